"""What is wrong with a configuration, said so that it can be put right without a manual."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right."""

    source: str
    """The file, or `the environment`."""
    key: str
    """The full path of the key, the line, or the variable; empty for all of it."""
    expected: str
    found: str
    fix: str = ""
    """What to write or do."""

    def __str__(self) -> str:
        where = f"{self.source}: {self.key}" if self.key else self.source
        text = f"{where}: expected {self.expected}, found {self.found}"
        lines = (text, *self.fix.split("\n")) if self.fix else (text,)
        return "\n    ".join(map(printable, lines))


class ConfigError(Exception):
    """The configuration cannot be used. Holds every problem that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def key_path(*keys: str | int) -> str:
    """The way to a key as TOML writes it, with the index of a list in brackets."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
            continue
        is_bare = len(key) <= _LONGEST_SHOWN and _BARE_KEY.fullmatch(key)
        part = key if is_bare else quoted(key)
        text += f".{part}" if text else part
    return text


def printable(text: str) -> str:
    """The text with escapes for what would move a cursor, break a line or be no text at all."""
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def quoted(text: str) -> str:
    """A TOML string, cut to a length that can be read, whatever is in it."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    shown = "".join(c if c.isprintable() and c not in '"\\' else _escape(c) for c in cut)
    return f'"{shown}"'


def _escape(character: str) -> str:
    return "\\" + character if character in '"\\' else f"\\U{ord(character):08x}"


_SORTS: Final = (
    (type(None), "nothing"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "a table"),
)


def kind_of(value: object) -> str:
    """What sort of value this is, without a word of its content."""
    return next((noun for sort, noun in _SORTS if isinstance(value, sort)), "a date or time")


def shown(value: object) -> str:
    """The value as TOML writes it, where it is short; else what sort it is. Never for secrets."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() if abs(value) >= 10**18:
            return "a very large number"
        case int() | float():
            return str(value)
        case str():
            return quoted(value)
        case _:
            return kind_of(value)
