"""What may leave the host: a configuration without its secrets and ids, texts without both."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from usps_token_broker.catalogue import CATALOGUE
from usps_token_broker.core.values import Secret
from usps_token_broker.wire.redaction import MARK, redact

_LONGEST: Final = 4000
"""Characters of one line."""
_SHOWN: Final = frozenset(
    {
        "allow_http_hosts",
        "allow_readable_secret",
        "app",
        "base_url",
        "buffer_seconds",
        "ca_file",
        "calls_per_hour",
        "connections_per_uid",
        "file",
        "groups",
        "keep",
        "lead_seconds",
        "listen",
        "reports_per_minute_per_uid",
        "requests_per_minute_per_uid",
        "required",
        "socket",
        "state_dir",
        "streams_per_uid",
        "timeout_seconds",
        "users",
        "waiting_per_uid",
    }
)
"""Keys whose values are no secret and name no account. Of others only the size is told."""
_WORDS: Final = frozenset({"accountType", "roleName", "credential", "env"})
"""Keys whose values are shown where they are the words that belong there."""
_WORD: Final = re.compile(r"[A-Z][A-Z_]{2,40}|[a-z]{1,24}(-[a-z]{1,24}){0,6}")
_NUMBER: Final = re.compile(r"\d{6,}")
"""CRIDs, MIDs, accounts and parcels are told by such; so are uids of containers, alas."""
_USER: Final = re.compile(r"//[^/@\s]*@")
_HOME: Final = re.compile(r"(?<![^\s'\"`(=:])(/home/)[^/\s'\"`),;:]+")
"""A directory of a person, who is often called by it."""


class Mask:
    """Takes out what a configuration holds of secrets and ids, wherever it stands.

    And what tells who a person is: `names` as whole words, and home directories.
    """

    def __init__(
        self,
        values: Iterable[Mapping[str, Any]],
        secrets: Iterable[Secret] = (),
        names: Iterable[str] = (),
    ) -> None:
        self._hidden = [*secrets]
        self._names = [re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in names]
        for tree in values:
            # Shorter ones would take letters out of every word.
            self._hidden += (Secret(text) for text in _hidden(tree) if len(text) > 3)  # noqa: PLR2004

    def text(self, line: str) -> str:
        """One line without them."""
        return _NUMBER.sub(_unless_known, self.figures(line))

    def figures(self, line: str) -> str:
        """The same, for a line with numbers of our own in it: those stay."""
        line = _HOME.sub(rf"\1{MARK}", _USER.sub("//", line))
        for name in self._names:
            line = name.sub(MARK, line)
        return redact(line, self._hidden, limit=_LONGEST)

    def tree(self, value: object) -> object:
        """A message without them: the texts in it, keys too."""
        match value:
            case str():
                return "\n".join(self.text(line) for line in value.split("\n"))
            case Mapping():
                return {self.text(str(key)): self.tree(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self.tree(inner) for inner in value]
            case _:
                return value

    def configuration(self, values: Mapping[str, Any]) -> dict[str, object]:
        """As it was written, with the size of what is not shown."""
        return {self.text(str(key)): self._value(key, inner) for key, inner in values.items()}

    def _value(self, key: str, value: object) -> object:
        match value:
            case Mapping():
                return self.configuration(value)
            case list():
                return [self._value(key, inner) for inner in value]
            case bool():
                return value
            case str() if key in _SHOWN or (key in _WORDS and _WORD.fullmatch(value)):
                return self.text(value)
            case int() | float() if key in _SHOWN:
                return value
            case _:
                return f"[{len(str(value))} characters]"


def _unless_known(number: re.Match[str]) -> str:
    """USPS's own codes of what is wrong are what a report is about."""
    return number[0] if number[0] in CATALOGUE else MARK


def _hidden(value: object, key: str = "") -> Iterator[str]:
    """Every value that is not shown, as text."""
    match value:
        case Mapping():
            for name, inner in value.items():
                yield from _hidden(inner, name)
        case list():
            for inner in value:
                yield from _hidden(inner, key)
        case bool():
            pass
        case str() if key in _WORDS and _WORD.fullmatch(value):
            pass
        case _ if key not in _SHOWN:
            with contextlib.suppress(ValueError):  # a number of thousands of digits
                yield str(value)
        case _:
            pass
