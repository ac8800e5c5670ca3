"""Signals as a stream, to the last moment of the process.

asyncio gives its handlers back when it ends, and for an instant a signal would kill again what is
just ending in good order.
"""

import signal
import socket
from collections.abc import AsyncIterator, Iterable

import anyio


class SignalStream:
    """The signals of these numbers, in the order they came; many of one kind may be told as one.

    Made in the main thread, where it takes the handlers and the wake-up descriptor for itself.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        self._ours, self._theirs = socket.socketpair()
        self._ours.settimeout(0)
        self._theirs.settimeout(0)
        # A full pipe means that enough is on its way; a warning for each would fill the log.
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, _take_note)

    async def __aiter__(self) -> AsyncIterator[signal.Signals]:
        """Each signal; waits for the next one for ever."""
        while True:
            await anyio.wait_readable(self._ours)
            for number in dict.fromkeys(self._ours.recv(4096)):
                if number in self._numbers:
                    yield signal.Signals(number)


def hold_back(numbers: Iterable[signal.Signals]) -> None:
    """Have them wait for good: at its very end, Python would give their handlers back, too.

    Holds for the main thread and those it starts from now on.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _take_note(_number: int, _frame: object) -> None:
    """Nothing: the descriptor has been written to already."""
