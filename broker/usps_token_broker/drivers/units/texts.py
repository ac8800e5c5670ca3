"""What is written, as values: a shipped unit made fit for this host, and stamped.

By the stamp a later run tells what it wrote from what somebody has changed.

The stamp stands in the file itself. A manifest elsewhere would part from it: /var is emptied or
not copied with an image, a crash falls between two files, a restored backup brings back one.
"""

import hashlib
import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

HEAD: Final = """\
# Written by `usps-token-broker install-units`, which goes on replacing it with what a newer release
# ships as long as nobody has changed it. Changes belong in a file beside it: systemctl edit.
"""
_STAMP: Final = re.compile(
    rb"\A(?P<before>(?:#[^\n]*\n)*?)# install-units sha256=(?P<sum>[0-9a-f]{64})\n(?P<after>.*)\Z",
    re.DOTALL,
)
_COMMAND: Final = re.compile(
    r"^(?P<key>Exec\w+=[-@:+!]*)\S*/usps-token-broker(?=\s|$)", re.MULTILINE
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._+@,:=~-]+")
_FORBIDDEN: Final = frozenset("'\"\\")
_DIRECTIVE: Final = re.compile(r"^(?P<name>[A-Z]\w*)=")

SINCE: Final = {"PrivateIPC": 248, "SocketBindAllow": 249, "SocketBindDeny": 249}
"""Directives of the units that came after systemd 247, Debian 11's, and what brought them: NEWS of
systemd. An older one ignores such a line, and complains of it at every reload."""


class Origin(Enum):
    """Whose text a file holds."""

    OURS = auto()
    """As it was written, by this release or another."""
    CHANGED = auto()
    FOREIGN = auto()


def stamped(text: str) -> bytes:
    """The text with the head that `origin` knows again."""
    digest = hashlib.sha256((HEAD + text).encode()).hexdigest()
    return f"{HEAD}# install-units sha256={digest}\n{text}".encode()


def origin(data: bytes) -> Origin:
    """Whether `stamped` made it, and all of it."""
    match = _STAMP.match(data)
    if match is None:
        return Origin.FOREIGN
    digest = hashlib.sha256(match["before"] + match["after"]).hexdigest()
    return Origin.OURS if digest == match["sum"].decode() else Origin.CHANGED


def for_program(text: str, program: Sequence[str]) -> str:
    """The unit with this program in its Exec lines, arguments kept.

    Raises ValueError for a path that no unit can hold.
    """
    words = " ".join(map(exec_word, program))
    return _COMMAND.sub(lambda match: match["key"] + words, text)


def exec_word(word: str) -> str:
    """The word as systemd.service(5) wants it in a command line. Raises ValueError for none."""
    # Whatever they are escaped with, systemd takes no program with these in its name.
    if not word.isprintable() or not _FORBIDDEN.isdisjoint(word):
        raise ValueError(f"{word!r} has a character that no unit can hold")
    doubled = word.replace("%", "%%")
    return doubled if _PLAIN.fullmatch(word) else f'"{doubled}"'


def for_systemd(text: str, version: int | None) -> tuple[str, tuple[str, ...]]:
    """The unit without what this systemd does not know, and the names of that.

    None is a systemd that nobody can ask: it gets everything.
    """
    if version is None:
        return text, ()
    lines = text.splitlines(keepends=True)
    unknown = {name for name, since in SINCE.items() if since > version}
    left_out: list[str] = []
    for number, line in enumerate(lines):
        match = _DIRECTIVE.match(line)
        if match and match["name"] in unknown:
            lines[number] = f"# Not known to systemd {version}: {line}"
            left_out.append(match["name"])
    return "".join(lines), tuple(left_out)
