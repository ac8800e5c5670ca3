"""Text from outside, made fit for a log line: one line, bounded, and no secret in it."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from usps_token_broker.core.values import Secret

LIMIT: Final = 300
"""Characters a person reads; what is longer is cut."""

MARK: Final = "[…]"
"""Stands where something was taken out. Too short to hold a secret itself."""

_MOST_CHARS: Final = 20_000
"""Of a longer text the rest is not looked at."""

_SHORTEST_SECRET: Final = 4
"""A shorter secret would take letters out of every word, and hides nothing."""

_JWT: Final = re.compile(r"eyJ[\w-]{4,}(?:\.[\w-]*){0,2}", re.ASCII)
_RUN: Final = re.compile(r"[\w+/=-]{32,}", re.ASCII)
_SEPARATOR: Final = re.compile(r"[-_/+=]+")
_WORD: Final = re.compile(
    r"[a-z]{1,16}|[A-Z]{1,16}|(?:[A-Z]{1,4}[a-z]{1,15}){1,8}|[A-Za-z]{1,10}\d{0,3}|\d{1,6}"
)


def redact(text: str, secrets: Iterable[Secret] = (), limit: int = LIMIT) -> str:
    """The text as one line of at most `limit` characters, without secrets.

    Taken out are the given secrets, also as JSON, URL or HTML would write them and in any case;
    whatever looks like a JWT; and runs of 32 or more characters of base64 or hex. Paths and
    hyphenated words of that length stay. Characters that cannot be printed become blanks.
    """
    line = _one_line(text[:_MOST_CHARS])
    spelled = {_one_line(spelling) for secret in secrets for spelling in _spellings(secret)}
    # The longest first: a shorter one may be a part of it.
    spellings = sorted((s for s in spelled if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)
    for spelling in spellings:
        line = re.sub(re.escape(spelling), MARK, line, flags=re.IGNORECASE)
    if len(text) > _MOST_CHARS and spellings:
        # Its end may be the beginning of a secret.
        line = line[: -len(spellings[0])]
    line = _JWT.sub(MARK, line)
    line = _RUN.sub(_without_opaque, line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _spellings(secret: Secret) -> Iterator[str]:
    value = secret.reveal()
    yield value
    yield json.dumps(value)[1:-1]
    printable = value.encode("utf-8", "replace")
    yield quote(printable, safe="")
    yield quote_plus(printable)
    html = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield html
    yield html.replace('"', "&quot;").replace("'", "&#x27;")
    yield html.replace('"', "&#34;").replace("'", "&#39;")


def _without_opaque(run: re.Match[str]) -> str:
    parts = [part for part in _SEPARATOR.split(run[0]) if part]
    return run[0] if all(_WORD.fullmatch(part) for part in parts) else MARK
