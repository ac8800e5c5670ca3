"""Finds a secret in a text however the text may write it.

Escapes of JSON, URLs and HTML, one in another up to three deep, any part of it or all; any case;
base64 in both alphabets, also after other bytes, as in Basic credentials (RFC 7617); hex. The text
is decoded and not the secret encoded: each character may be written in a way of its own. Where a
text ends within a secret, as an answer that breaks off does, its first part counts as well.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from usps_token_broker.core.values import Secret

SHORTEST: Final = 4
"""Characters. A shorter secret would take letters out of every word, and hides nothing."""

LONGEST_GROWTH: Final = 12
"""No way of writing takes more characters for one, but for escapes within escapes."""

_SHORTEST_ENCODED: Final = 8
_DEPTH: Final = 3
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_BLANKS: Final = "bfnrt"
_ESCAPE: Final = re.compile(
    r"(?P<url>(?:%[0-9a-f]{2})+)|(?P<json>(?:\\u[0-9a-f]{4})+)|\\x(?P<byte>[0-9a-f]{2})"
    r"|\\(?P<plain>[\"\\/bfnrt'])|&#x0*(?P<hex>[0-9a-f]{1,6});?|&#0*(?P<number>[0-9]{1,7});?"
    r"|&(?P<name>amp|lt|gt|quot|apos);",
    re.IGNORECASE,
)
_HALF_ESCAPE: Final = re.compile(
    r"(?:%[0-9a-f]?|\\(?:x[0-9a-f]?|u[0-9a-f]{0,3})?|&(?:#x?[0-9a-f]{0,7}|[a-z]{0,4}))\Z",
    re.IGNORECASE,
)
_IN_RUN: Final = re.compile(r"[\w+/=%-]", re.ASCII)

Span = tuple[int, int]


class _View(NamedTuple):
    """A text, and where in the line each of its characters came from."""

    text: str
    spans: list[Span]


def find(line: str, secrets: Iterable[Secret]) -> list[Span]:
    """Where in the line a secret stands, in order and without overlap."""
    needles = [needle for secret in secrets for needle in _needles(secret)]
    if not needles:
        return []
    found: list[Span] = []
    for view in _views(_View(line, [(at, at + 1) for at in range(len(line))])):
        folded = _folded(view)
        for needle, is_encoded in needles:
            shortest = _SHORTEST_ENCODED if is_encoded else SHORTEST
            spans = [*_places(folded, needle), *_at_the_end(folded, needle, shortest, len(line))]
            found += [_whole_run(line, span) if is_encoded else span for span in spans]
    return list(_merged(found))


def holds(text: str, secrets: Iterable[Secret]) -> bool:
    """Whether one of the secrets stands in the text."""
    return bool(find(text, secrets))


def _views(view: _View, depth: int = _DEPTH) -> Iterator[_View]:
    """The view as it is, and with one layer of escapes after the other taken off.

    What breaks off within an escape is seen without that end as well.
    """
    half = _HALF_ESCAPE.search(view.text)
    ends = (len(view.text),) if half is None else (len(view.text), half.start())
    for end in ends:
        cut = _View(view.text[:end], view.spans[:end])
        yield cut
        decoded = _decoded(cut) if depth else None
        if decoded is not None:
            yield from _views(decoded, depth - 1)


def _needles(secret: Secret) -> Iterator[tuple[str, bool]]:
    """What to look for in a folded view, and whether it may stand amidst other encoded bytes."""
    value = secret.reveal()
    plain = _fold(value)
    if len(plain) >= SHORTEST:
        yield plain, False
    data = value.encode("utf-8", "replace")
    encoded = [data.hex()]
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode("ascii")
        # The characters all of whose six bits are the secret's own.
        encoded.append(whole[-(-before * 4 // 3) : (before + len(data)) * 4 // 3])
    folded = {_fold(one) for one in encoded}
    yield from ((one, True) for one in sorted(folded) if len(one) >= _SHORTEST_ENCODED)


def _fold(text: str) -> str:
    """What differs between ways of writing is taken away: case, blanks, alphabets of base64."""
    return "".join(map(_folded_char, text))


def _folded_char(char: str) -> str:
    if char in "+-" or char.isspace():
        return ""
    return "/" if char == "_" else char.lower()


def _folded(view: _View) -> _View:
    pairs = [
        (folded, span)
        for char, span in zip(view.text, view.spans, strict=True)
        for folded in _folded_char(char)
    ]
    return _View("".join(char for char, _ in pairs), [span for _, span in pairs])


def _places(view: _View, needle: str) -> Iterator[Span]:
    at = view.text.find(needle)
    while at >= 0:
        yield view.spans[at][0], view.spans[at + len(needle) - 1][1]
        at = view.text.find(needle, at + 1)


def _at_the_end(view: _View, needle: str, shortest: int, end: int) -> Iterator[Span]:
    for length in range(min(len(needle) - 1, len(view.text)), shortest - 1, -1):
        if view.text.endswith(needle[:length]):
            yield view.spans[-length][0], end
            return


def _whole_run(line: str, span: Span) -> Span:
    """What stands before and after in the same encoding is no word either."""
    start, end = span
    while start > 0 and _IN_RUN.match(line[start - 1]):
        start -= 1
    while end < len(line) and _IN_RUN.match(line[end]):
        end += 1
    return start, end


def _merged(spans: list[Span]) -> Iterator[Span]:
    last: Span | None = None
    for start, end in sorted(spans):
        if last is not None and start <= last[1]:
            last = last[0], max(last[1], end)
            continue
        if last is not None:
            yield last
        last = start, end
    if last is not None:
        yield last


def _decoded(view: _View) -> _View | None:
    """The view with one layer of escapes taken off; None when it has none."""
    text: list[str] = []
    spans: list[Span] = []
    at = 0
    for escape in _ESCAPE.finditer(view.text):
        text.append(view.text[at : escape.start()])
        spans += view.spans[at : escape.start()]
        at = escape.start()
        for char, width in _meant(escape):
            text.append(char)
            spans.append((view.spans[at][0], view.spans[at + width - 1][1]))
            at += width
        at = escape.end()
    if not text:
        return None
    return _View("".join([*text, view.text[at:]]), spans + view.spans[at:])


def _meant(escape: re.Match[str]) -> Iterator[tuple[str, int]]:
    """Each character that an escape stands for, and how many it is written with."""
    kind, written = escape.lastgroup or "", escape[0]
    value = escape[kind]
    match kind:
        case "url":
            decoded = bytes.fromhex(written.replace("%", "")).decode("utf-8", "surrogateescape")
            for char in decoded:
                yield char, 3 * len(char.encode("utf-8", "surrogateescape"))
        case "json":
            units = bytes.fromhex(re.sub(r"\\u", "", written, flags=re.IGNORECASE))
            for char in units.decode("utf-16-be", "surrogatepass"):
                yield char, 6 * len(char.encode("utf-16-be", "surrogatepass")) // 2
        case "plain":
            yield " " if value in _BLANKS else value, len(written)
        case "name":
            yield _NAMED[value.lower()], len(written)
        case _:
            number = int(value, 10 if kind == "number" else 16)
            yield chr(number) if number <= 0x10FFFF else " ", len(written)  # noqa: PLR2004
