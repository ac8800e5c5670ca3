"""`usps-token explain`: the broker's word on an error, as `usps-token-broker explain` prints it."""

from __future__ import annotations

import os

from . import _checking
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MOST_BYTES = 65_536
"""What a broker takes."""
_WIDTH = 78
_INDENT = 9


def told(word: str | None) -> bytes:
    """What is to be explained: this code, or what is piped in (`-` or None), cut to what fits."""
    if word is not None and word != "-":
        return word.encode("utf-8", "surrogateescape")
    data = bytearray()
    try:
        while len(data) < MOST_BYTES and (piece := os.read(0, MOST_BYTES - len(data))):
            data += piece
    except OSError:
        # A closed one has nothing in it.
        pass
    return bytes(data).replace(b"\0", b" ").rstrip(b"\n")


def recognised(data: dict[str, Any]) -> bool:
    """Whether a row of the catalogue knows it. Raises ProtocolMismatch."""
    known = data.get("recognised")
    if not isinstance(known, bool):
        raise _checking.bad_answer("`recognised` is neither true nor false")
    for name in ("code", "detail", "fix", "symptom", "cause", "who", "source"):
        _checking.text(data, name)
    return known


def describe(data: dict[str, Any]) -> str:
    """For people, 78 columns wide."""
    rows = (
        [("seen", "symptom"), ("cause", "detail")] if data["recognised"] else [("seen", "detail")]
    )
    rows += [("do", "fix"), ("who", "who"), ("source", "source")]
    lines = [_checking.words(data["code"])]
    for label, name in rows:
        lines += _wrapped(label, _checking.words(data[name]).split(" "))
    return "\n".join(lines)


def _wrapped(label: str, words: list[str]) -> Iterator[str]:
    line = f"  {label:<{_INDENT - 2}}"
    begun = False
    for word in words:
        if not word:
            continue
        if begun and len(line) + 1 + len(word) > _WIDTH:
            yield line
            line, begun = " " * _INDENT, False
        line += f" {word}" if begun else word
        begun = True
    if begun:
        yield line
