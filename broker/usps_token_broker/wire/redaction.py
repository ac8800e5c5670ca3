"""Text from outside, made fit for a log line: one line, bounded, and no secret in it."""

import re
from collections.abc import Iterable
from typing import Final

from usps_token_broker.core.values import Secret
from usps_token_broker.wire.disguises import LONGEST_GROWTH, SHORTEST, find

LIMIT: Final = 300
"""Characters a person reads; what is longer is cut."""

MARK: Final = "[…]"
"""Stands where something was taken out. Too short to hold a secret itself."""

MOST_CHARS: Final = 5_000
"""Of a longer text the rest is not looked at: far more than is shown, and searched in no time."""

_ODD: Final = re.compile(r"[^\x20-\x7e]")
"""What may be no text; most of a text is none of these."""
_JWT: Final = re.compile(r"eyJ[\w-]{4,}(?:\.[\w-]*){0,2}", re.ASCII)
_RUN: Final = re.compile(r"[\w+/=-]{32,}", re.ASCII)
_NAMED: Final = re.compile(
    r"""((?:client_secret|authorization)["']?\s{0,9}[=:]\s{0,9}["']?(?:(?:basic|bearer)\s{1,9})?)"""
    r"""(?=[^\s"'&]{0,99}\d)[^\s"'&]{8,}""",
    re.IGNORECASE,
)
"""What stands where a secret does; one without a digit is a word about it."""
_SEPARATOR: Final = re.compile(r"[-_/+=]+")
_WORD: Final = re.compile(
    r"[a-z]{1,16}|[A-Z]{1,16}|(?:[A-Z]{1,4}[a-z]{1,15}){1,8}|[A-Za-z]{1,10}\d{0,3}|\d{1,6}"
)


def redact(text: str, secrets: Iterable[Secret] = (), limit: int = LIMIT) -> str:
    """The text as one line of at most `limit` characters, without secrets.

    Taken out are the given secrets, in any case and however JSON, URLs, HTML, base64 or hex would
    write them; whatever looks like a JWT; what follows the name of a secret; and runs of 32 or more
    characters of base64 or hex. Paths and hyphenated words of that length stay. Characters that
    cannot be printed become blanks.
    """
    line = _one_line(text[:MOST_CHARS])
    secrets = tuple(secrets)
    named = {_one_line(secret.reveal()) for secret in secrets}
    # The longest first: a shorter one may be a part of it.
    values = sorted((v for v in named if len(v) >= SHORTEST), key=len, reverse=True)
    for value in values:
        line = re.sub(re.escape(value), MARK, line, flags=re.IGNORECASE)
    for start, end in reversed(find(line, secrets)):
        line = line[:start] + MARK + line[end:]
    if len(text) > MOST_CHARS and values:
        # Its end may be the beginning of a secret.
        line = line[: -LONGEST_GROWTH * len(values[0])]
    line = _JWT.sub(MARK, line)
    line = _NAMED.sub(rf"\1{MARK}", line)
    line = _RUN.sub(_without_opaque, line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(_ODD.sub(_printable, text).split())


def _printable(character: re.Match[str]) -> str:
    return character[0] if character[0].isprintable() else " "


def _without_opaque(run: re.Match[str]) -> str:
    parts = [part for part in _SEPARATOR.split(run[0]) if part]
    return run[0] if all(_WORD.fullmatch(part) for part in parts) else MARK
