"""`usps-token-broker top`: the status, live."""

import argparse
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from usps_token_broker.cli import live, paths, picture, screen
from usps_token_broker.cli.picture import Line, Painter
from usps_token_broker.drivers import asking
from usps_token_broker.wire.status import SlotMessage, StatusMessage

EX_USAGE: Final = 64

DESCRIPTION = """\
Show live how every token stands that you may read: time left, next step, last trouble with its fix,
the budget of calls to USPS, what has just changed; for root and the broker's own user also who is
connected. Fits 80 columns, needs no colour. q or Ctrl-C ends it. A broker that restarts is waited
for.
Exit code 0: ended by q; 64: this is no terminal; 69: no broker here; 77: it is not open to you."""
EPILOG = """\
examples:
  usps-token-broker top
  ssh -t HOST sudo usps-token-broker top --every 5
next: usps-token-broker explain CODE, for a trouble that it shows"""

_CHANGES_SHOWN: Final = 6
_LEAST_SECONDS: Final = 0.2
_MOST_SECONDS: Final = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `top`."""
    paths.add_config(parser)
    paths.add_socket(parser)
    paths.add_admin_socket(parser)
    parser.add_argument(
        "--every",
        metavar="SECONDS",
        type=_seconds,
        default=1.0,
        help="how often to look (default 1)",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        return seconds
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a number of seconds from {_LEAST_SECONDS:g} to {_MOST_SECONDS:g}"
    )


def act(options: argparse.Namespace) -> int:
    """Show it until told to end."""
    if unfit := _unfit():
        print(  # noqa: T201
            f"top draws on a terminal, and {unfit}\n"
            "use `usps-token-broker status`, with --follow for each change or --json for programs",
            file=sys.stderr,
        )
        return EX_USAGE
    look = Looker(options)
    try:
        first = look()
    except asking.AskError as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return problem.exit_code
    _live(look, first, options.every)
    return 0


def _unfit() -> str:
    """Why nothing can be drawn here; empty where it can."""
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return "this is none"
    if screen.is_dumb():
        named = os.environ.get("TERM")
        return f"this one cannot move its cursor (TERM is {named or 'not set'})"
    return ""


class Looker:
    """Asks how all stands: on the admin socket where that is open to us, which tells more."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    def __call__(self) -> StatusMessage:
        """The status. Raises AskError."""
        if self._options.socket is not None:
            return self._ask(paths.candidates(self._options.socket))
        admin = paths.admin_candidates(self._options)
        try:
            return self._ask(admin)
        except asking.AskError as problem:
            try:
                return self._ask(paths.candidates(None))
            except asking.AskError:
                # What is wrong with the one that is there, not that another is not.
                if self._options.config or any(map(os.path.lexists, admin)):
                    raise problem from None
                raise

    @staticmethod
    def _ask(candidates: list[Path]) -> StatusMessage:
        answer = asking.get(candidates, "/v1/status")
        try:
            return msgspec.convert(answer, StatusMessage)
        except msgspec.ValidationError as error:
            raise asking.AskError(
                f"what answers there is no broker, or one of another version: {error}\n"
                "use the `usps-token-broker` that belongs to it",
                asking.EX_PROTOCOL,
            ) from None


class Changes:
    """What was different from one look to the next, the latest last."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_CHANGES_SHOWN)
        self._before: dict[tuple[str, str], SlotMessage] = {}
        self._pid: int | None = None

    def note(self, message: StatusMessage) -> None:
        """Compare with the last one."""
        if self._pid not in {None, message.pid}:
            self._say(message.at, f"another broker: pid {message.pid}")
        slots = {(app.app, slot.slot): slot for app in message.apps for slot in app.slots}
        if self._pid is not None:
            for key, slot in slots.items():
                for text in _difference(self._before.get(key), slot):
                    self._say(message.at, f"{key[0]}/{key[1]}: {text}")
        self._pid, self._before = message.pid, slots

    def lines(self) -> Iterator[Line]:
        """For the picture."""
        if self._lines:
            yield Line((("changes", "bold"),))
        for text in self._lines:
            yield Line(((f"  {text}", "dim"),))

    def _say(self, at: float, text: str) -> None:
        self._lines.append(f"{_clock(at)}  {text}")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")


def _difference(before: SlotMessage | None, slot: SlotMessage) -> Iterator[str]:
    if before is None:
        yield "is there now"
        return
    if before.serial != slot.serial:
        yield "forgotten" if slot.serial is None else "another token"
    trouble, old = slot.trouble, before.trouble
    if trouble is not None and (old is None or old.times != trouble.times):
        yield f"{trouble.reason or trouble.code}: {trouble.detail}"
    if before.freshness != slot.freshness and slot.serial == before.serial:
        yield slot.freshness


def _live(look: Callable[[], StatusMessage], message: StatusMessage, every: float) -> None:
    changes, trouble = Changes(), ""
    changes.note(message)
    with live.Page() as page:
        while True:
            page.draw(_page(message, changes, trouble, page.height))
            if page.is_ended(every):
                return
            try:
                message, trouble = look(), ""
            except asking.AskError as problem:
                trouble = str(problem)
            else:
                changes.note(message)


def _page(message: StatusMessage, changes: Changes, trouble: str, height: int) -> list[Line]:
    """All where it fits, else what is not well first, and how much more there is."""
    painter, foot = screen.painter(), "q ends"
    lines = list(_lines(message, changes, trouble, painter))
    if len(lines) >= height:
        lines = list(_lines(message, changes, trouble, painter._replace(brief=True)))
    if hidden := max(0, len(lines) - height + 1):
        lines = lines[: height - 1]
        foot = f"q ends; {hidden} more lines: see `status`"
    return [*lines, Line(((foot, "dim"),))]


def _lines(
    message: StatusMessage, changes: Changes, trouble: str, painter: Painter
) -> Iterator[Line]:
    for line in trouble.splitlines():
        yield from painter.wrapped(line, "bold red", "")
    if trouble:
        yield Line(((f"what follows is as it was at {_clock(message.at)}", "bold red"),))
    yield from picture.status(message, painter, screen.user_name)
    yield from changes.lines()
