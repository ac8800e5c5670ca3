"""What every connection does, served or refused: write, linger, run out of time, end."""

import asyncio
import enum
from functools import partial
from typing import Final

from usps_token_broker.drivers.server.hub import Hub
from usps_token_broker.drivers.server.stream import Stream
from usps_token_broker.wire.replies import Reply


class State(enum.Enum):
    """What a connection is doing."""

    READING = enum.auto()
    """Between requests or in the middle of one."""
    WAITING = enum.auto()
    """The reply is not there yet. Input is held back, but read, to see the client leave."""
    BLOCKED = enum.auto()
    """The client must take what is written, or others have their turn; nothing is read."""
    LINGERING = enum.auto()
    """The last reply is written; input is thrown away, so that the client gets to read it."""
    CLOSED = enum.auto()
    """No more input is read, and nothing more written than what is on its way."""


# Looking up a member of an enum takes CPython 3.11 longer than serving a request should.
READING: Final = State.READING
WAITING: Final = State.WAITING
BLOCKED: Final = State.BLOCKED
LINGERING: Final = State.LINGERING
CLOSED: Final = State.CLOSED


class BaseConnection(asyncio.BufferedProtocol):
    """The end of a connection, however it comes. Subclasses serve before that."""

    __slots__ = ("_half_closed", "_hub", "_state", "_stream", "_unsent", "deadline")
    _stream: Stream

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._state: State = READING
        self._half_closed = False
        self._unsent = 0
        self.deadline = hub.loop.time() + hub.limits.idle_seconds
        """When `expire` is due, on the clock of the loop."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The stream is there."""
        assert isinstance(transport, Stream)  # noqa: S101 - for the type checker
        self._stream = transport
        self._hub.join(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - there is one size
        """The buffer that all connections read into."""
        return self._hub.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Input came; it is thrown away."""

    def eof_received(self) -> bool:
        """The client sends no more. False has our half closed too, once all is written."""
        self._half_closed = True
        return False

    def resume_writing(self) -> None:
        """The client has taken everything."""
        if self._state is LINGERING:
            self._expire_in(self._hub.limits.linger_seconds)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - no reason matters
        """The socket is closed."""
        self._state = CLOSED
        self._hub.leave(self)

    def expire(self, now: float) -> None:
        """Ends what took too long."""
        self._stream.guard(partial(self._expire, now))

    def _expire(self, now: float) -> None:
        """A client that has read something since then gets more time."""
        unsent = self._stream.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self.deadline = now + self._hub.limits.stalled_seconds
        else:
            self._stream.abort()

    def abort(self) -> None:
        """Ends now."""
        self._stream.abort()

    def close_if_idle(self) -> None:
        """Ends unless a request has begun."""

    def _end_with(self, reply: Reply) -> None:
        """Writes a last reply, to a client that may still be sending."""
        self._state = LINGERING
        self._stream.write(reply.encode(connection="close"))
        self._end(linger=True)

    def _end(self, *, linger: bool) -> None:
        """Ends after the last reply.

        When a socket is closed with input unread, the client's next write fails, and many clients
        (curl is one) then never look at the reply. So that input is thrown away first.
        """
        if not linger or self._half_closed:
            self._close()
            return
        self._state = LINGERING
        self._stream.write_eof()
        self._stream.resume_reading()
        if self._stream.get_write_buffer_size():
            self._expect_to_read()
        else:
            self._expire_in(self._hub.limits.linger_seconds)

    def _close(self) -> None:
        self._state = CLOSED
        self._stream.close()
        self._expect_to_read()

    def _expect_to_read(self) -> None:
        """Gives the client time to take something of what is written."""
        self._unsent = self._stream.get_write_buffer_size()
        self._expire_in(self._hub.limits.stalled_seconds)

    def _expire_in(self, seconds: float) -> None:
        self.deadline = self._hub.loop.time() + seconds
        self._hub.watch(self.deadline)


class Refusal(BaseConnection):
    """A connection that is told one thing, before a byte of it is looked at."""

    __slots__ = ("_reply",)

    def __init__(self, hub: Hub, reply: Reply) -> None:
        super().__init__(hub)
        self._reply = reply
        hub.refusals += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The stream is there."""
        super().connection_made(transport)
        self._end_with(self._reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        super().connection_lost(exc)
        self._hub.refusals -= 1
