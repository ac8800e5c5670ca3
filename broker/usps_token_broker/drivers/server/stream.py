"""One accepted socket on the event loop: whole reads in, ordered writes out."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable
from typing import Any, Final

from usps_token_broker.drivers.server.faults import report
from usps_token_broker.drivers.server.lanes import Lane

_NO_EXTRA: Final[dict[str, Any]] = {}
_NOTHING: Final = memoryview(b"")
_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT


class Stream(asyncio.Transport):
    """A transport for an accepted socket, made without a task and without waiting.

    asyncio can only make its own by a coroutine, which costs connect, ask and close twice the time
    and a connection twice the memory. Differences that its one protocol relies on: the buffer is
    asked for once; `pause_writing` comes as soon as one byte does not fit into the socket, and
    `resume_writing` when all have; `close` after `pause_reading` is fine.
    """

    __slots__ = (
        "_buffer",
        "_closing",
        "_eof_due",
        "_fd",
        "_lane",
        "_protocol",
        "_socket",
        "_unsent",
        "_watched",
    )

    def __init__(
        self,
        lane: Lane,
        connected: socket.socket,
        protocol: asyncio.BufferedProtocol,
    ) -> None:
        super().__init__(_NO_EXTRA)
        self._lane = lane
        self._socket: socket.socket | None = connected
        self._fd = connected.fileno()
        self._protocol = protocol
        self._buffer = protocol.get_buffer(-1)
        self._unsent = _NOTHING
        self._watched = 0
        self._closing = False
        self._eof_due = False
        lane.join()
        try:
            protocol.connection_made(self)
            self.resume_reading()
        except BaseException:
            self._part()
            raise

    def is_closing(self) -> bool:
        """Whether it is closed, or will be once all is written."""
        return self._closing

    def is_gone(self) -> bool:
        """Whether the other side is closed, and has not just ended its half."""
        if self._socket is None:
            return True
        poll = select.poll()
        poll.register(self._fd, 0)
        return bool(poll.poll(0))  # POLLHUP and POLLERR are told unasked

    def is_reading(self) -> bool:
        """Whether input is taken."""
        return bool(self._watched & _IN)

    def pause_reading(self) -> None:
        """Leaves input in the kernel."""
        if self._watched & _IN:
            self._watch(self._watched & ~_IN)

    def resume_reading(self) -> None:
        """Takes input again, unless it is closing."""
        if not self._watched & _IN and self._socket is not None and not self._closing:
            try:
                self._watch(self._watched | _IN)
            except OSError as error:  # no kernel memory, or too many files watched
                self._lose(error)

    def get_write_buffer_size(self) -> int:
        """How many bytes the other side has not made room for yet."""
        return len(self._unsent)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sends what fits now and keeps the rest."""
        if self._socket is None or self._eof_due:
            return
        if self._unsent:
            self._unsent = memoryview(b"".join((self._unsent, data)))
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._lose(error)
            return
        if sent < len(data):
            try:
                self._watch(self._watched | _OUT)
            except OSError as error:
                self._lose(error)
            else:
                self._unsent = memoryview(data)[sent:]
                self._protocol.pause_writing()

    def write_eof(self) -> None:
        """Ends our half once all is written; input is still taken."""
        self._eof_due = True
        if not self._unsent and self._socket is not None:
            with contextlib.suppress(OSError):  # the other side is gone: reading will tell
                self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Takes no more input, and closes once all is written."""
        self.pause_reading()
        self._closing = True
        if not self._unsent:
            self._lose(None)

    def abort(self) -> None:
        """Closes now."""
        self._lose(None)

    def guard(self, call: Callable[[], None]) -> None:
        """Makes a call that serves this connection only: its failure ends it, and nothing else."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not harm others
            self._fail(error)

    def _watch(self, events: int) -> None:
        """Waits for these events. Raises OSError, and then waits for those before."""
        if not self._watched:
            self._lane.watch(self._fd, events, self._ready)
        elif events:
            self._lane.watch_for(self._fd, events)
        else:
            self._lane.unwatch(self._fd)
        self._watched = events

    def _ready(self, events: int) -> None:
        """Does what it waited for. An error, or that the other side is gone, is both."""
        if events & ~_OUT and self._watched & _IN:
            self._readable()
        if events & ~_IN and self._watched & _OUT:
            self._writable()

    def _part(self) -> None:
        """Lets go of the socket, and of the lane."""
        if self._socket is not None:
            self._socket = None
            self._lane.leave()

    def _fail(self, error: Exception) -> None:
        report("a connection", error)
        self._lose(error)

    def _readable(self) -> None:
        if self._socket is None:
            return
        try:
            count = self._socket.recv_into(self._buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        try:
            if count:
                self._protocol.buffer_updated(count)
            elif self._protocol.eof_received():
                self.pause_reading()  # an ended half stays readable for ever
            else:
                self.close()
        except Exception as error:  # noqa: BLE001 - as in `guard`, without its cost
            self._fail(error)

    def _writable(self) -> None:
        if self._socket is None:
            return
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._unsent = _NOTHING  # an empty view would keep the whole reply alive
            self._watch(self._watched & ~_OUT)
            self._written()

    def _written(self) -> None:
        if self._eof_due:
            self.write_eof()
        if self._closing:
            self._lose(None)
            return
        self.guard(self._protocol.resume_writing)

    def _lose(self, error: Exception | None) -> None:
        """Closes the socket now, and tells the protocol when it is no longer in a call of ours."""
        if self._socket is None:
            return
        self._unsent = _NOTHING
        if self._watched:
            self._watch(0)
        self._socket.close()
        self._part()
        self._closing = True
        self._lane.loop.call_soon(self._protocol.connection_lost, error)
        del self._protocol  # it knows us: a ring would wait for the garbage collector
