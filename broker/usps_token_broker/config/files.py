"""A configuration file as a table, or what keeps it from being one."""

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO, Final

from usps_token_broker.config.problems import Problem

NO_SUCH_FILE: Final = "no such file"
MOST_BYTES: Final = 1024 * 1024
"""Room for thousands of payment slots."""

_PLACE: Final = re.compile(
    r" \(at (?P<place>line (?P<line>[0-9]+), column [0-9]+|end of document)\)"
)
_LEADING_ZERO: Final = re.compile(r"=\s*[+-]?0[0-9]")
_HINTS: Final = (
    ("Illegal character '\\n'", "a text ends with the quote that it begins with"),
    ("'=' after a key", 'a key is written: key = "value", and a table: [apps.default]'),
    ("Invalid statement", 'a key is written: key = "value", and a table: [apps.default]'),
    ("after a statement", 'each key stands on a line of its own: key = "value"'),
    ("end of document", "something is not closed before the end: a text, a list ] or a table }"),
    ("at the end of a table declaration", "a table is written: [apps.default]"),
    ("overwrite a value", "the same key stands above already: keep one of the two"),
    ("twice", "the same table stands above already: put the keys together below one of the two"),
    ("Unclosed", "a list ends with ] and a table with }, with commas between their values"),
    ("Invalid value", 'text goes in quotes: key = "value"'),
)
"""Words of tomllib, and what to do."""
_CURLY: Final = re.compile("[\u2018\u2019\u201c\u201d]")


def read_toml(path: Path) -> dict[str, Any] | Problem:
    """What the file says. Blocks."""
    data = read_bytes(path)
    if isinstance(data, Problem):
        return data
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem(str(path), f"line {line}", "UTF-8 text", "other bytes", "save it as UTF-8")
    try:
        return tomllib.loads(text)
    except RecursionError:
        return Problem(str(path), "", "TOML", "tables or lists nested too deep")
    except ValueError as error:
        # Its words name the fault and the place, and quote no more than a key or a character.
        return _syntax_problem(path, text, str(error))


def read_bytes(path: Path) -> bytes | Problem:
    """The bytes of a regular file that not everybody can write. Blocks."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            return _read_open(path, file)
    except (OSError, ValueError) as error:
        return _unreadable(path, error)


def _open_without_waiting(path: str, flags: int) -> int:
    """Without O_NONBLOCK, opening a FIFO would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _read_open(path: Path, file: BinaryIO) -> bytes | Problem:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        return _not_regular(path, "something else")
    if status.st_mode & stat.S_IWOTH:
        return Problem(
            str(path),
            "",
            "a file that not everybody can change",
            f"mode {stat.S_IMODE(status.st_mode):04o}",
            f"who can write it can send the client secret anywhere: chmod o-w {path}",
        )
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        return Problem(str(path), "", f"a file of at most {MOST_BYTES} bytes", "a larger one")
    return data


def _unreadable(path: Path, error: OSError | ValueError) -> Problem:
    match error:
        case FileNotFoundError():
            return Problem(str(path), "", "a file", NO_SUCH_FILE, "check the path")
        case IsADirectoryError():
            return _not_regular(path, "a directory")
        case PermissionError():
            fix = f"let uid {os.geteuid()}, whom the broker runs as, read it and its directories"
            return Problem(str(path), "", "a file that can be read", "permission denied", fix)
        case OSError():
            return Problem(str(path), "", "a file that can be read", error.strerror or "an error")
        case _:
            return Problem(repr(str(path)), "", "a path", "a NUL in it")


def _not_regular(path: Path, found: str) -> Problem:
    fix = "it is read again at each reload, so it must be a file that stays"
    return Problem(str(path), "", "a regular file", found, fix)


def _syntax_problem(path: Path, text: str, message: str) -> Problem:
    match = _PLACE.search(message)
    place = match["place"] if match else ""
    line = text.split("\n")[int(match["line"]) - 1] if match and match["line"] else ""
    fault = f"a mistake: {_PLACE.sub('', message)}"
    return Problem(str(path), place, "TOML", fault, _hint(line, message))


def _hint(line: str, message: str) -> str:
    if _LEADING_ZERO.search(line):
        return 'ids are strings: put the number in quotes, such as CRID = "012345678"'
    if _CURLY.search(line):
        return 'the quotes are curly ones, as word processors write them; use "'
    return next((hint for words, hint in _HINTS if words in message), "")
