"""`client_secret`: where the secret lies. It never stands in the configuration itself."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from usps_token_broker.config.kinds import Fault, FullPath, Text, Unfit, unfit
from usps_token_broker.config.problems import kind_of
from usps_token_broker.drivers.secret_source import (
    CredentialSource,
    EnvironmentSource,
    FileSource,
    SecretSource,
)

T = TypeVar("T")

_FILE: Final = '{ file = "/etc/usps-token-broker/client-secret" }'
_THREE_WAYS: Final = f"""\
write one of these, and the secret itself into the file (`chmod 600` it):
client_secret = {_FILE}
client_secret = {{ credential = "usps-client-secret" }}    # with systemd's LoadCredential=
client_secret = {{ env = "USPS_CLIENT_SECRET" }}"""

_PATH: Final = FullPath('"/etc/usps-token-broker/client-secret"', private=True)
_CREDENTIAL: Final = Text(
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}"),
    "the name of a systemd credential, without a slash",
    '"usps-client-secret"',
    private=True,
)
VARIABLE: Final = Text(
    re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "the name of an environment variable",
    '"USPS_CLIENT_SECRET"',
    private=True,
)


@dataclass(frozen=True, slots=True)
class SecretKind:
    """A table with one of `credential`, `file` and `env`."""

    allow_readable: bool = False
    example: str = _FILE

    def read(self, value: object) -> SecretSource | Unfit:
        """The source. Nothing of the value is ever shown: somebody may have written the secret."""
        expected = "a table that says where the secret lies"
        if not isinstance(value, dict):
            return unfit(expected, f"{kind_of(value)} (not shown)", _THREE_WAYS)
        if len(value) != 1:
            found = f"{len(value)} keys"
            return unfit("exactly one of credential, file and env", found, _THREE_WAYS)
        [(key, where)] = value.items()
        match key:
            case "file":
                return _below(key, _PATH.read(where), self._file)
            case "credential":
                return _below(key, _CREDENTIAL.read(where), self._credential)
            case "env":
                return _below(key, VARIABLE.read(where), EnvironmentSource)
            case _:
                return unfit("one of credential, file and env", "another key", _THREE_WAYS)

    def _file(self, path: Path) -> SecretSource:
        return FileSource(path, self.allow_readable)

    def _credential(self, name: str) -> SecretSource:
        return CredentialSource(name, self.allow_readable)


def _below(key: str, read: T | Unfit, make: Callable[[T], SecretSource]) -> SecretSource | Unfit:
    if not isinstance(read, Unfit):
        return make(read)
    faults = (Fault(f.expected, f.found, f.fix or _THREE_WAYS, (key,)) for f in read.faults)
    return Unfit(tuple(faults))
