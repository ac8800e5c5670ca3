"""What prints for people: in colour and with bars on a terminal, as plain lines elsewhere."""

import functools
import os
import pwd
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Literal

from usps_token_broker.cli import picture, standing
from usps_token_broker.cli.picture import Line, Painter
from usps_token_broker.wire.status import StatusMessage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_BLOCKS: Final = "█░"
_DUMB: Final = {"", "dumb", "unknown"}


def console() -> "Console":
    """The terminal; NO_COLOR and TERM are obeyed."""
    from rich.console import Console  # noqa: PLC0415 - only where a person looks

    colours: Literal["auto"] | None = None if is_dumb() else "auto"
    return Console(highlight=False, markup=False, emoji=False, color_system=colours)


def is_dumb() -> bool:
    """Whether the terminal, by TERM, can neither show colours nor move its cursor."""
    return os.environ.get("TERM", "") in _DUMB


def painter() -> Painter:
    """What this terminal can show, now: it may have been made narrower since."""
    try:
        _BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        blocks = False
    else:
        blocks = True
    return Painter(shutil.get_terminal_size().columns, blocks)


def status_lines(message: StatusMessage) -> Iterator[Line]:
    """How all stands, as a picture for this terminal."""
    return picture.status(message, painter(), user_name)


def text(lines: Iterable[Line]) -> "Text":
    """Lines for rich, cut where the terminal ends."""
    from rich.text import Text  # noqa: PLC0415 - as above

    whole = Text(no_wrap=True, overflow="crop")
    for number, line in enumerate(lines):
        if number:
            whole.append("\n")
        for piece, style in line.pieces:
            whole.append(piece, style)
    return whole


def printer() -> Callable[[str], None]:
    """What prints a plain line at once: in colour on a terminal, as it is elsewhere."""
    if not sys.stdout.isatty():
        return lambda line: print(line, flush=True)  # noqa: T201
    from rich.text import Text  # noqa: PLC0415 - as above

    terminal = console()
    return lambda line: terminal.print(Text(line, style=_style(line)), soft_wrap=True)


def show(message: StatusMessage) -> None:
    """Print how all stands: a picture on a terminal, one line a fact elsewhere."""
    if sys.stdout.isatty():
        console().print(text(status_lines(message)), soft_wrap=True)
        return
    for line in standing.lines(message):
        print(line)  # noqa: T201


def _style(line: str) -> str:
    if line.startswith("    do:"):
        return "cyan"
    if line.startswith(("    ", "state not saved")) or "no token" in line:
        return "red"
    if "NOT READY" in line or "degraded" in line:
        return "yellow"
    return "bold" if line.startswith(("usps-token-broker", "app ")) else ""


@functools.cache
def user_name(uid: int) -> str:
    """The name of a user, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return str(uid)
