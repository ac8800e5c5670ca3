"""Signals as a stream, which never interrupt anything, to the last moment of the process.

Handlers are given back when an event loop ends, and again when Python ends; for an instant a signal
would kill then what is just ending in good order. So there are none: the signals are blocked, and a
thread waits for them.
"""

import contextlib
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterable


class SignalStream:
    """The signals of these numbers; many of one kind may be told as one.

    Made in the main thread before any other thread is started, since all of them must block the
    signals. They stay blocked for good, and in children, too. What comes before somebody listens
    is told then.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._came = {number: threading.Event() for number in numbers}
        signal.pthread_sigmask(signal.SIG_BLOCK, self._came)
        self._ours, self._theirs = socket.socketpair()
        self._ours.settimeout(0)
        self._theirs.settimeout(0)
        threading.Thread(target=self._wait, name="signals", daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[signal.Signals]:
        """Each signal; waits for the next one for ever."""
        import anyio  # noqa: PLC0415 - signals are taken before the socket listens, this comes after

        while True:
            await anyio.wait_readable(self._ours)
            self._ours.recv(4096)
            for number, came in self._came.items():
                if came.is_set():
                    came.clear()
                    yield number

    def _wait(self) -> None:
        while True:
            self._came[signal.Signals(signal.sigwait(self._came))].set()
            with contextlib.suppress(
                BlockingIOError
            ):  # full: it will be read, and then all is told
                self._theirs.send(b"\0")
