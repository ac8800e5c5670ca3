"""What is wrong with a configuration, as the local interface says it."""

from collections.abc import Iterable

from usps_token_broker.config import ConfigError, Problem
from usps_token_broker.core.outcomes import Code
from usps_token_broker.wire import problems as wire_problems
from usps_token_broker.wire.problems import ConfigProblem, problem_reply
from usps_token_broker.wire.replies import Reply


def config_problems(problems: Iterable[Problem]) -> list[ConfigProblem]:
    """Each as a message."""
    return [ConfigProblem(p.source, p.key, p.expected, p.found, p.fix) for p in problems]


def invalid(error: ConfigError) -> Reply:
    """422: nothing was changed, and everything that is wrong."""
    problems = tuple(config_problems(error.problems))
    first = error.problems[0]
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    where = f"{first.source}: {first.key}" if first.key else first.source
    return problem_reply(
        wire_problems.problem(
            Code.CONFIG_INVALID,
            f"{where}: expected {first.expected}, found {first.found}{more}; nothing was changed",
            first.fix or "put that right and reload again; `usps-token-broker check` says it too",
            problems=problems,
        )
    )
