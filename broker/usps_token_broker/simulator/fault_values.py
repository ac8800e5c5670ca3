"""What a fault can be given: a number, one of a few words, or a text."""

import math
from dataclasses import dataclass
from typing import Final

NO_VALUE: Final = "none"
"""Written for a value that may be absent, such as the Retry-After of a 503."""


LONGEST_SECONDS: Final = 10_000_000.0
"""Sixteen weeks: more than any token lives, and no date that cannot be written."""


class FaultError(ValueError):
    """A fault that does not exist or does not fit; the text says what would."""


@dataclass(frozen=True, slots=True)
class Number:
    """A value that is a number within limits, or, where allowed, the word `none`."""

    label: str
    default: float | str
    least: float
    most: float
    may_be_none: bool = False

    def read(self, raw: object) -> float | str:
        """The number that somebody wrote, as text or as JSON.

        Raises:
            FaultError: It is no number, or outside the limits.
        """
        if self.may_be_none and raw == NO_VALUE:
            return NO_VALUE
        number = _to_float(raw)
        if number is None or not self.least <= number <= self.most:
            raise FaultError(f"{raw!r} is not {self.describe()}")
        return number

    def describe(self) -> str:
        """What may be written, in words."""
        or_none = f", or {NO_VALUE}" if self.may_be_none else ""
        return f"a number from {self.least:g} to {self.most:g}{or_none}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that is one of a few words."""

    label: str
    default: str
    options: tuple[str, ...]

    def read(self, raw: object) -> str:
        """The word that somebody wrote; a number in JSON counts as its digits.

        Raises:
            FaultError: It is none of the words.
        """
        if str(raw) not in self.options:
            raise FaultError(f"{raw!r} is not {self.describe()}")
        return str(raw)

    def describe(self) -> str:
        """What may be written, in words."""
        return "one of " + ", ".join(self.options)


@dataclass(frozen=True, slots=True)
class Text:
    """A value that stands in one line of printable characters, as a header can carry it."""

    label: str
    default: str

    def read(self, raw: object) -> str:
        """The text that somebody wrote.

        Raises:
            FaultError: It is empty, no text, or would break a header.
        """
        if not isinstance(raw, str) or not raw or not raw.isascii() or not raw.isprintable():
            raise FaultError(f"{raw!r} is not {self.describe()}")
        return raw

    def describe(self) -> str:
        """What may be written, in words."""
        return "printable ASCII text"


Value = Number | Choice | Text


def _to_float(raw: object) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
