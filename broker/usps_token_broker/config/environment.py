"""One app named `default` from environment variables, for containers and for a first try."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usps_token_broker.config import limits
from usps_token_broker.config.files import read_bytes
from usps_token_broker.config.hosts import HTTP_HOST, PRODUCTION, BaseUrlKind
from usps_token_broker.config.kinds import CLIENT_ID, Unfit, read_all, unfit
from usps_token_broker.config.problems import Problem, quoted
from usps_token_broker.config.roles import Roles, RolesKind, fingerprint
from usps_token_broker.config.settings import AppSettings, SlotSettings
from usps_token_broker.config.tables import Table, Variables
from usps_token_broker.core.values import PAYMENT
from usps_token_broker.drivers.secret_source import EnvironmentSource, FileSource, SecretSource

_ID: Final = "USPS_CLIENT_ID"
_SECRET: Final = "USPS_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_SECRET_FILE: Final = "USPS_CLIENT_SECRET_FILE"  # noqa: S105 - as above
_BASE_URL: Final = "USPS_BASE_URL"
_ROLES: Final = "USPS_PAYMENT_ROLES"
_ROLES_FILE: Final = "USPS_PAYMENT_ROLES_FILE"
_HTTP_HOSTS: Final = "USPS_ALLOW_HTTP_HOSTS"
_ALLOW_READABLE: Final = "USPS_ALLOW_READABLE_SECRET"
_ALLOW_HTTP: Final = f"set {_HTTP_HOSTS}={{}}"
VARIABLES: Final = (
    _ID,
    _SECRET,
    _SECRET_FILE,
    _BASE_URL,
    _ROLES,
    _ROLES_FILE,
    _HTTP_HOSTS,
    _ALLOW_READABLE,
    *limits.VARIABLES,
)


def variables_set(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Those of ours that say something; an empty one counts as not set."""
    return tuple(name for name in VARIABLES if environ.get(name))


def read_environment(table: Variables) -> AppSettings:
    """The app. What is wrong is noted on the table."""
    hosts = table.take(_HTTP_HOSTS, _HostsKind(), ())
    base = table.take(_BASE_URL, BaseUrlKind(hosts, _ALLOW_HTTP, PRODUCTION.url), PRODUCTION)
    roles = _roles(table)
    payment = SlotSettings(PAYMENT, roles=roles, roles_fingerprint=fingerprint(roles))
    return AppSettings(
        name="default",
        base_url=base.url,
        host=base.host,
        client_id=table.need(_ID, CLIENT_ID, ""),
        secret=_secret(table),
        payments=(payment,) if roles else (),
    )


def _secret(table: Table) -> SecretSource:
    allow = table.take(_ALLOW_READABLE, _FlagKind(), default=False)
    path = table.take(_SECRET_FILE, _PathKind("/run/secrets/usps-client-secret"), None)
    if _SECRET_FILE in table and _SECRET in table:
        table.note("one of the two", f"{_SECRET} too", f"unset {_SECRET}", _SECRET_FILE)
    elif _SECRET_FILE not in table and _SECRET not in table:
        table.note(
            f"{_SECRET} or {_SECRET_FILE}",
            table.nothing(_SECRET),
            f"set {_SECRET_FILE} to the path of a file with the secret, mode 600",
            _SECRET,
        )
    return EnvironmentSource(_SECRET) if path is None else FileSource(path, allow)


def _roles(table: Table) -> Roles:
    path = table.take(_ROLES_FILE, _PathKind("/etc/usps-token-broker/roles.json"), None)
    if _ROLES in table and _ROLES_FILE in table:
        table.note("one of the two", f"{_ROLES} too", f"unset {_ROLES}", _ROLES_FILE)
    if path is None:
        return table.take(_ROLES, _RolesJson(), ())
    text = read_bytes(path)
    if isinstance(text, Problem):
        table.problems.append(text)
        return ()
    return Table(str(path), {"roles": text}, table.problems).take("roles", _RolesJson(), ())


@dataclass(frozen=True, slots=True)
class _RolesJson:
    """A JSON list of roles."""

    example: str = '[{"roleName": "PAYER", "CRID": "12345678", …}, {"roleName": "LABEL_OWNER", …}]'

    def read(self, value: object) -> Roles | Unfit:
        """As the roles of a file. Content is not shown: it might be anything."""
        try:
            roles = json.loads(value if isinstance(value, bytes) else str(value))
        except json.JSONDecodeError as error:
            return unfit("JSON", f"{error.msg} at line {error.lineno}, column {error.colno}")
        except (ValueError, RecursionError):
            return unfit("JSON", "what cannot be JSON")
        return RolesKind('"{}": {}').read(roles)


@dataclass(frozen=True, slots=True)
class _HostsKind:
    """Host names with commas between them."""

    example: str = "usps-simulator"

    def read(self, value: object) -> tuple[str, ...] | Unfit:
        """In lower case."""
        names = [name.strip() for name in str(value).split(",")]
        hosts, faults = read_all(HTTP_HOST, names)
        return Unfit(tuple(faults)) if faults else tuple(host.lower().rstrip(".") for host in hosts)


@dataclass(frozen=True, slots=True)
class _FlagKind:
    """A switch."""

    example: str = "true"

    def read(self, value: object) -> bool | Unfit:
        """By the usual words."""
        word = str(value).lower()
        if word in {"1", "true", "yes", "on"}:
            return True
        if word in {"0", "false", "no", "off"}:
            return False
        return unfit("true or false", quoted(str(value)))


@dataclass(frozen=True, slots=True)
class _PathKind:
    """A path, from the working directory on if it does not begin with a slash."""

    example: str

    def read(self, value: object) -> Path | Unfit:
        """The full path. Not shown: somebody may have written the secret itself."""
        text = str(value)
        if re.search(r"[\0\n]", text) or len(text) > 4095:  # noqa: PLR2004 - PATH_MAX, limits.h
            return unfit("a path", "a string that is none (not shown)")
        return Path(text).absolute()
