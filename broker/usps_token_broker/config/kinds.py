"""Kinds of values: what fits, and in which words one that does not is refused."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from usps_token_broker.config.problems import kind_of, shown

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value does not fit."""

    expected: str
    found: str
    fix: str = ""
    """What to do; when empty, `write` or the kind's example is what to write."""
    below: tuple[str | int, ...] = ()
    """The way from the key to the part that is wrong."""
    write: str = ""
    """The value that was probably meant, as TOML writes it."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A value that does not fit, with every fault in it."""

    faults: tuple[Fault, ...]


def unfit(expected: str, found: str, fix: str = "", *, write: str = "") -> Unfit:
    """A single fault in the value as a whole."""
    return Unfit((Fault(expected, found, fix, write=write),))


class Kind(Protocol[T_co]):
    """What a key may hold."""

    @property
    def example(self) -> str:
        """A value that fits, as TOML writes it."""

    def read(self, value: object) -> T_co | Unfit:
        """The value as the settings hold it."""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    example: str = "true"

    def read(self, value: object) -> bool | Unfit:
        """As it is."""
        if isinstance(value, bool):
            return value
        fix = ""
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            fix = f"write it without quotes: {value.lower()}"
        return unfit("true or false", shown(value), fix)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of something, from `low` to `high`."""

    low: int
    high: int
    example: str
    why: str = ""
    """Where the bounds come from."""

    def read(self, value: object) -> int | Unfit:
        """As it is; true is no number."""
        if (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        ):
            return value
        return _no_number("a whole number", self, value)


@dataclass(frozen=True, slots=True)
class Span:
    """A number of seconds, from `low` to `high`."""

    low: int
    high: int
    example: str
    why: str = ""
    """Where the bounds come from."""

    def read(self, value: object) -> float | Unfit:
        """As it is; neither true nor `nan` is a number."""
        match value:
            case bool():
                pass
            case int() | float() if self.low <= value <= self.high:
                return value
        return _no_number("a number of seconds", self, value)


def _no_number(noun: str, kind: Whole | Span, value: object) -> Unfit:
    digits = isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value)
    return unfit(
        f"{noun} from {kind.low} to {kind.high}{kind.why and f' ({kind.why})'}",
        shown(value),
        f"write it without quotes: {value}" if digits else "",
    )


@dataclass(frozen=True, slots=True)
class Text:
    """A string that matches a pattern. One that is `private` is not shown."""

    pattern: re.Pattern[str]
    expected: str
    example: str
    private: bool = False

    def read(self, value: object) -> str | Unfit:
        """As it is."""
        if isinstance(value, str) and self.pattern.fullmatch(value):
            return value
        found = _hidden(value) if self.private else shown(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return unfit(self.expected, found, "put it in quotes" if is_number else "")


def _hidden(value: object) -> str:
    """What sort of value it is, and what is seen of a string without showing it."""
    if not isinstance(value, str):
        return f"{kind_of(value)} (not shown)"
    if not value:
        return "an empty string"
    blanks = " with blanks in it" if value.split() != [value] else ""
    return f"a string{blanks} (not shown)"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]
    example: str

    def read(self, value: object) -> str | Unfit:
        """As it is."""
        if isinstance(value, str) and value in self.words:
            return value
        return unfit(" or ".join(f'"{word}"' for word in self.words), shown(value))


@dataclass(frozen=True, slots=True)
class FullPath:
    """A path from the root on."""

    example: str
    longest_bytes: int = 4095
    """PATH_MAX less the NUL at the end, limits.h."""
    private: bool = False

    def read(self, value: object) -> Path | Unfit:
        """As a Path."""
        expected = "a full path, from / on"
        if not isinstance(value, str) or not value.startswith("/"):
            found = f"{kind_of(value)} (not shown)" if self.private else shown(value)
            return unfit(expected, found)
        if "\0" in value:
            return unfit(expected, "a NUL in it")
        size = len(value.encode("utf-8", "surrogateescape"))
        if size > self.longest_bytes:
            return unfit(f"a path of at most {self.longest_bytes} bytes", f"{size} bytes")
        return Path(value)


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ListOf(Generic[Item]):
    """A list, empty or not, of one kind."""

    kind: Kind[Item]

    @property
    def example(self) -> str:
        """A list of one."""
        return f"[{self.kind.example}]"

    def read(self, value: object) -> tuple[Item, ...] | Unfit:
        """Every item read; the faults of all."""
        if not isinstance(value, list):
            is_one = isinstance(value, str | int) and not isinstance(value, bool)
            single = f"[{shown(value)}]" if is_one else ""
            return unfit(f"a list, such as {self.example}", shown(value), write=single)
        items, faults = read_all(self.kind, value)
        return Unfit(tuple(faults)) if faults else tuple(items)


def read_all(kind: Kind[Item], values: Sequence[object]) -> tuple[list[Item], list[Fault]]:
    """What fits, and the faults of the rest with their places in the list."""
    items: list[Item] = []
    faults: list[Fault] = []
    for index, value in enumerate(values):
        item = kind.read(value)
        if isinstance(item, Unfit):
            faults += [Fault(f.expected, f.found, f.fix, (index, *f.below)) for f in item.faults]
        else:
            items.append(item)
    return items, faults


NAME: Final = Text(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
    "a name of letters, digits, `_`, `.` and `-` that begins with a letter or digit, up to 64 long",
    '"default"',
)
"""App and slot names: they stand in URLs and in file names."""

CLIENT_ID: Final = Text(
    re.compile(r"[!-~]{1,512}"),
    "the Consumer Key of your app as the USPS portal shows it (no spaces, ASCII)",
    '"the Consumer Key"',
    private=True,  # it is none, but the secret may have been put in its place
)
