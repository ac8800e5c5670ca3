"""What `renew`, `reload` and `forget` share: an order over the admin socket, and how it ended."""

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from usps_token_broker.cli import paths
from usps_token_broker.config import Problem
from usps_token_broker.drivers import asking
from usps_token_broker.wire.problems import ConfigProblem

MOST_WAIT_SECONDS: Final = 60.0

M = TypeVar("M")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every order takes."""
    paths.add_config(parser)
    paths.add_admin_socket(parser)
    parser.add_argument("--json", action="store_true", help="the broker's answer as it is")


def add_wait(parser: argparse.ArgumentParser, what: str) -> None:
    """`--wait SECONDS`, for `what`."""
    parser.add_argument("--wait", metavar="SECONDS", type=_wait_seconds, default=20.0, help=what)


def _wait_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if 0 <= seconds <= MOST_WAIT_SECONDS:
        return seconds
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a number of seconds from 0 to {MOST_WAIT_SECONDS:g}"
    )


def give(  # noqa: PLR0913 - what is asked, and what to do with the answer
    options: argparse.Namespace,
    target: str,
    kind: type[M],
    tell: Callable[[M], None],
    *,
    judge: Callable[[M], int] = lambda _: 0,
    wait_seconds: float = 0.0,
) -> int:
    """Post to this target; `tell` prints what came of it, `judge` gives the exit code."""
    deadline = wait_seconds + asking.DEADLINE_SECONDS
    try:
        answer = asking.post(paths.admin_candidates(options), target, deadline)
    except asking.AskError as problem:
        if options.json and problem.document is not None:
            _dump(problem.document)
        else:
            print(_words(problem), file=sys.stderr)  # noqa: T201
        return problem.exit_code
    try:
        message = msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        print(  # noqa: T201
            f"what answers there is no broker, or one of another version: {error}\n"
            "use the `usps-token-broker` that belongs to it, or --json",
            file=sys.stderr,
        )
        return asking.EX_PROTOCOL
    if options.json:
        _dump(answer)
    else:
        tell(message)
    return judge(message)


def _words(error: asking.AskError) -> str:
    """Everything that is wrong with a configuration, as `check` says it; else what was said."""
    try:
        problems = msgspec.convert((error.document or {}).get("problems", []), list[ConfigProblem])
    except msgspec.ValidationError:
        problems = []
    if not problems:
        return str(error)
    told = [str(Problem(p.file, p.key, p.expected, p.found, p.fix)) for p in problems]
    return "\n".join([*told, "nothing was changed"])


def _dump(answer: dict[str, Any]) -> None:
    print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())  # noqa: T201
