"""A terminal that is drawn on again and again, and is as it was when that ends, however it does."""

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Final, Self

from usps_token_broker.cli import screen
from usps_token_broker.cli.picture import Line

_ENDING: Final = {b"q", b"Q", b"\x04", b""}
_SIGNALLED: Final = 128
"""What a shell adds to the number of the signal that ended a command."""


class Page:
    """The terminal's other screen, and its keys one by one. A context manager.

    Ctrl-Z gives the terminal back until the shell goes on with us; SIGTERM gives it back and ends.
    """

    def __init__(self) -> None:
        self._console = screen.console()
        self._before = termios.tcgetattr(sys.stdin)
        self._woken, self._waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stack = contextlib.ExitStack()
        self._suspended = False

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, self._woken)
            stack.callback(os.close, self._waking)
            stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(self._waking))
            stack.enter_context(_handled(signal.SIGTERM, _end))
            stack.enter_context(_handled(signal.SIGWINCH, lambda *_: None))
            stack.enter_context(_handled(signal.SIGTSTP, self._suspend))
            stack.callback(self._give_back)
            self._take()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def draw(self, lines: Iterable[Line]) -> None:
        """Show these lines in place of those before."""
        from rich.control import Control  # noqa: PLC0415 - only where a person looks
        from rich.screen import Screen  # noqa: PLC0415 - as above

        with self._console:  # in one write
            self._console.control(Control.home())
            self._console.print(Screen(screen.text(lines)), end="")

    @property
    def height(self) -> int:
        """Lines that it has now."""
        return self._console.height

    def is_ended(self, seconds: float) -> bool:
        """Whether `q` or Ctrl-D is pressed within a span; it is cut short by a change of size."""
        readable, _, _ = select.select([sys.stdin, self._woken], [], [], seconds)
        if self._woken in readable:
            os.read(self._woken, 64)
        if self._suspended:
            self._stop_for_a_while()
            return False
        # By the descriptor: a buffered read would wait for more.
        return sys.stdin in readable and os.read(sys.stdin.fileno(), 16) in _ENDING

    def _take(self) -> None:
        tty.setcbreak(sys.stdin)
        self._console.set_alt_screen()
        self._console.show_cursor(False)  # noqa: FBT003 - rich's

    def _give_back(self) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)
        self._console.show_cursor()
        self._console.set_alt_screen(False)

    def _suspend(self, *_: object) -> None:
        self._suspended = True

    def _stop_for_a_while(self) -> None:
        self._give_back()
        self._suspended = False
        with _handled(signal.SIGTSTP, signal.SIG_DFL):
            os.kill(os.getpid(), signal.SIGTSTP)  # here we stand still, until SIGCONT
        self._take()


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(_SIGNALLED + number)


@contextlib.contextmanager
def _handled(
    number: signal.Signals, handler: Callable[[int, FrameType | None], object] | signal.Handlers
) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
