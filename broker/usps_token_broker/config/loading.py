"""`load`: from a file or from the environment to settings, or every problem at once."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from usps_token_broker.config import budgets, hosts, role_remarks
from usps_token_broker.config.apps import Rules, read_app
from usps_token_broker.config.environment import VARIABLES, read_environment, variables_set
from usps_token_broker.config.files import NO_SUCH_FILE, read_toml
from usps_token_broker.config.http import Http, read_http
from usps_token_broker.config.kinds import Flag, ListOf
from usps_token_broker.config.limits import read_limits, read_variables
from usps_token_broker.config.payment_files import merge
from usps_token_broker.config.places import read_places
from usps_token_broker.config.problems import ConfigError, Problem, key_path
from usps_token_broker.config.settings import AppSettings, Settings
from usps_token_broker.config.tables import ENVIRONMENT, Table, Variables
from usps_token_broker.drivers.secret_source import EnvironmentSource

DEFAULT_PATH: Final = Path("/etc/usps-token-broker/broker.toml")
NO_CONFIGURATION: Final = "no configuration"
"""What stands in the place of a file's name where there is neither file nor variable."""

_EXAMPLE: Final = """\
[apps.default]
client_id = "the Consumer Key"
client_secret = { file = "/etc/usps-token-broker/client-secret" }"""
_BOTH_WAYS: Final = """\
either a file, {path} or another one named by --config:
{example}
or the environment:
    USPS_CLIENT_ID=… USPS_CLIENT_SECRET_FILE=/path/to/secret usps-token-broker run
without an account: usps-token-broker demo"""


def load(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    uid: int,
    default_path: Path = DEFAULT_PATH,
) -> Settings:
    """The settings, for a daemon that runs as `uid`. Blocks: files and names are looked up.

    Without a path the default one is read if it exists, else the environment. Secrets are not
    read. Raises ConfigError with all that is wrong.
    """
    if path is None and os.path.lexists(default_path):
        path = default_path
    if path is not None:
        return _from_file(path, environ, uid=uid)
    if variables_set(environ):
        return _from_environment(environ, uid=uid)
    raise ConfigError([_nothing_at(default_path)])


def _from_file(path: Path, environ: Mapping[str, str], *, uid: int) -> Settings:
    problems: list[Problem] = []
    values = read_toml(path)
    if isinstance(values, Problem):
        raise ConfigError([_with_example(values), *_both(path, (), environ)])
    table = Table(str(path), values, problems)
    rules = _read_rules(table)
    apps = tuple(read_app(name, inner, rules) for name, inner in table.named_tables("apps"))
    if not values.get("apps"):
        table.note("an app", "none", _EXAMPLE, "apps")
    variables = Variables(environ, problems)
    socket_path, state_dir = read_places(table, variables, environ, uid=uid)
    limits = read_limits(table.table("limits"))
    http = read_http(table.table("http"), variables, path)
    table.finish()
    problems += [*_twins(table.source, apps), *_both(path, apps, environ)]
    if problems:
        raise ConfigError(problems)
    merged = merge(apps, path)
    warnings = (*_remarks(merged.apps, http), *merged.warnings)
    return Settings(
        merged.apps,
        state_dir,
        socket_path,
        f"file {path}",
        warnings,
        merged.broken,
        limits,
        http.listen,
        http.tokens,
        http.keys_file,
    )


def _from_environment(environ: Mapping[str, str], *, uid: int) -> Settings:
    problems: list[Problem] = []
    variables = Variables(environ, problems, VARIABLES)
    apps = (read_environment(variables),)
    socket_path, state_dir = read_places(None, variables, environ, uid=uid)
    limits = read_variables(variables)
    http = read_http(None, variables)
    if problems:
        raise ConfigError(problems)
    warnings = tuple(_remarks(apps, http))
    return Settings(
        apps, state_dir, socket_path, ENVIRONMENT, warnings, limits=limits, http=http.listen
    )


def _read_rules(table: Table) -> Rules:
    names = table.take("allow_http_hosts", ListOf(hosts.HTTP_HOST), ())
    return Rules(
        frozenset(name.lower().rstrip(".") for name in names),
        table.take("allow_readable_secret", Flag(), default=False),
    )


def _with_example(problem: Problem) -> Problem:
    if problem.found != NO_SUCH_FILE:
        return problem
    return replace(problem, fix=f"{problem.fix}, or begin one with these lines:\n{_EXAMPLE}")


def _nothing_at(default_path: Path) -> Problem:
    example = "\n".join(f"    {line}" for line in _EXAMPLE.splitlines())
    return Problem(
        NO_CONFIGURATION,
        "",
        f"{default_path} or USPS_CLIENT_ID in the environment",
        "neither",
        _BOTH_WAYS.format(path=default_path, example=example),
    )


def _both(path: Path, apps: Sequence[AppSettings], environ: Mapping[str, str]) -> Iterable[Problem]:
    """File and environment together. A variable that the file itself names is no second form."""
    named = {app.secret.name for app in apps if isinstance(app.secret, EnvironmentSource)}
    names = [name for name in variables_set(environ) if name not in named]
    if names:
        yield Problem(
            "configuration",
            "",
            "either a file or the environment",
            f"both {path} and {', '.join(names)}",
            f"unset {' '.join(names)}, or take the file away",
        )


def _twins(source: str, apps: Sequence[AppSettings]) -> Iterable[Problem]:
    """Two apps that USPS would take for one: they would share tokens, quota and saved state."""
    first: dict[tuple[str, str], str] = {}
    for app in apps:
        twin = first.setdefault((app.host, app.client_id), app.name)
        if twin != app.name and app.client_id:
            yield Problem(
                source,
                key_path("apps", app.name),
                "a client_id or base_url of its own",
                f"those of {key_path('apps', twin)}",
                f"write what it has as [{key_path('apps', twin, 'payments')}.NAME], of which there "
                f"may be many, and take [{key_path('apps', app.name)}] out",
            )


def _remarks(apps: Iterable[AppSettings], http: Http) -> Iterator[str]:
    yield from http.remarks()
    for app in apps:
        yield from filter(None, [hosts.remark(app.name, app.host)])
        yield from budgets.remarks(app)
        yield from role_remarks.remarks(app)
