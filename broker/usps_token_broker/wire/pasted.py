"""What people paste, without what a terminal, an editor, a chat or a log has put around it."""

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Final

MOST_CHARS: Final = 64 * 1024
"""Of a longer text the rest is not looked at."""

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_PROGRESS: Final = re.compile(
    r"^ {1,4}% Total {1,9}%[^\n]{0,200}\n {9,60}Dload[^\n]{0,200}\n|\r[ \d.kMGTP:-]{60,100}\n?",
    re.MULTILINE,
)
"""curl's meter, which it shows when its output goes into a pipe: before and amidst the answer."""
_UNQUOTED: Final = re.compile(r"^(?!>)[^\n]*\S", re.MULTILINE)
_QUOTE: Final = re.compile(r"^> ?", re.MULTILINE)
_BEGIN: Final = re.compile(r"""\{\s{0,99}(["']?)(?:apiVersion|error|fault|body|type)\1\s?:""")
"""Of a body of USPS, or of a refusal of the broker; without quotes as Node.js shows an object."""
_ESCAPE: Final = re.compile(r"\\([\"'\\/nrt])")
_BLANKS: Final = {"n": "\n", "r": "", "t": " "}
_BARE_KEY: Final = re.compile(r"([{,]\s{0,99})(\w{1,64}):")
_MOST_BEGINS: Final = 8
_MOST_BODY_CHARS: Final = 8192
_MOST_SEARCHED: Final = 16 * 1024
"""Characters at the end of a text that is no answer as a whole."""
_MOST_ESCAPES: Final = 3


def decoded(data: bytes) -> str:
    """The text in these bytes, whatever they are: UTF-8, or UTF-16 as PowerShell's `>` writes it.

    Of UTF-16 only ASCII comes out whole: every other byte is left out, since what came through a
    shell has blanks where the NULs were.
    """
    if data.startswith(b"\xff\xfe"):
        return data[2::2].decode("latin-1")
    if data.startswith(b"\xfe\xff"):
        return data[3::2].decode("latin-1")
    return data.decode("utf-8", "replace")


def plain(text: str) -> str:
    """The beginning of the text without colours, curl's meter, and quoting or indenting of all."""
    text = _COLOUR.sub("", text[:MOST_CHARS]).replace("\r\n", "\n").lstrip("\ufeff")
    text = _PROGRESS.sub("", text)
    if not _UNQUOTED.search(text):
        text = _QUOTE.sub("", text)
    return textwrap.dedent(text).rstrip()


def bodies_in(text: str) -> Iterator[str]:
    """What may be bodies of USPS amid other text, the last first; those that end too soon as well.

    They are found as they are, in a string of JSON or of Python, and as Python and Node.js show an
    object.
    """
    text = text[-_MOST_SEARCHED:]
    for _ in range(_MOST_ESCAPES):
        begins = list(_BEGIN.finditer(text))
        for begin in begins[: -_MOST_BEGINS - 1 : -1]:
            body = text[begin.start() : begin.start() + _MOST_BODY_CHARS]
            yield _whole(body if begin[1] == '"' else _as_json(body))
        if "\\" not in text:
            return
        text = _ESCAPE.sub(lambda found: _BLANKS.get(found[1], found[1]), text)


def _as_json(shown: str) -> str:
    return _BARE_KEY.sub(r'\1"\2":', shown.replace("'", '"'))


def _whole(body: str) -> str:
    """Without what follows it; as it is where it has no end."""
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(body)
    except (ValueError, RecursionError):
        return body
    return body[:end]
