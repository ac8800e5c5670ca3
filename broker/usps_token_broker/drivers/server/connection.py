"""One client's connection: requests in, replies out in the same order, one at a time."""

import math
from collections.abc import Awaitable
from functools import partial
from http import HTTPStatus
from typing import Final, Generic

import anyio

from usps_token_broker.drivers.server import replies
from usps_token_broker.drivers.server.base import (
    BLOCKED,
    READING,
    WAITING,
    BaseConnection,
)
from usps_token_broker.drivers.server.hub import CallerT, Handler, Hub
from usps_token_broker.drivers.server.lanes import AWAITED, HEAVY, Lane
from usps_token_broker.drivers.server.outflow import Outflow
from usps_token_broker.drivers.server.parsing import RefusedError, RequestReader
from usps_token_broker.wire.replies import Reply, Streamed
from usps_token_broker.wire.requests import Request

_REFUSED: Final = int(HTTPStatus.BAD_REQUEST)
_LOOK_SECONDS: Final = 2.0
"""How often a client is looked after whose stream is quiet and whose input is left unread."""


class Connection(BaseConnection, Generic[CallerT]):
    """Serves one client, in bounded memory, from its first byte to its last.

    At most one request is in the works. Those behind it stay bytes, at most two reads of them;
    then nothing more is read. `peer` has been counted in the hub's ledger.
    """

    __slots__ = ("_awaited", "_handler", "_lane", "_outflow", "_peer", "_reader", "_rest", "_scope")

    def __init__(self, hub: Hub, lane: Lane, handler: Handler[CallerT], peer: CallerT) -> None:
        super().__init__(hub)
        self._lane = lane
        self._handler = handler
        self._peer = peer
        self._reader: RequestReader | None = None
        self._rest = b""
        self._awaited: Awaitable[Reply] | None = None
        self._scope: anyio.CancelScope | None = None
        self._outflow: Outflow | None = None

    def buffer_updated(self, nbytes: int) -> None:
        """Input came."""
        if self._state is READING:
            data = self._hub.buffer[:nbytes].tobytes()
            if not self._lane.take():
                self._rest = data
                self._give_way()
                return
            known = None if self._reader else self._hub.readers.recall(data)
            if known is None:
                self._consume(data)
            elif self._serve(known):
                self._end(linger=False)
            elif self._state is READING:
                self._restart_clock()
        elif self._state is WAITING:
            self._rest += self._hub.buffer[:nbytes].tobytes()
            if self._is_full():
                self._stream.pause_reading()
                self._look_after_stream()

    def eof_received(self) -> bool:
        """The client sends no more. True keeps our half open, for a reply that is still due."""
        self._half_closed = True
        self._look_after_stream()
        return self._state is WAITING and not self._stream.is_gone()

    def pause_writing(self) -> None:
        """The client must take what is written before anything else is done for it."""
        if self._state is READING:
            self._state = BLOCKED
            self._stream.pause_reading()
            self._expect_to_read()
        elif self._outflow is not None:
            self._outflow.pause()
            self._expect_to_read()

    def resume_writing(self) -> None:
        """The client has taken everything, or the others have had their turn."""
        if self._state is BLOCKED:
            self._proceed()
        elif self._outflow is not None:
            self._outflow.resume()
            self._look_after_stream()
        else:
            super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: whatever the client waited for, it waits no more."""
        super().connection_lost(exc)
        self._hub.ledger.disconnect(self._peer.uid)
        self._reader = None
        self._rest = b""
        if self._awaited is not None:
            replies.discard(self._awaited)
            self._awaited = None
        if self._scope is not None:
            self._scope.cancel()

    def abort(self) -> None:
        """Ends now; a stream of which nothing is under way gets its end first."""
        if self._outflow is not None:
            self._outflow.finish()  # thrown away with what the client has yet to take
        super().abort()

    def _expire(self, now: float) -> None:
        """A client in the middle of a request is told why it ends."""
        if self._state is READING and self._reader is not None:
            self._end_with(replies.too_slow(self._patience(), in_head=self._reader.in_head))
        elif self._state is READING and self._hub.stopping:
            self._close()
        elif self._outflow is not None and not self._outflow.blocked and not self._stream.is_gone():
            self._look_after_stream()
        else:
            super()._expire(now)

    def close_if_idle(self) -> None:
        """Ends unless a request has begun, or may be on its way.

        Who has just come, or just had a reply, may be about to ask: to be cut off then looks like a
        failed call, so it is given a moment.
        """
        if self._state is not READING or self._reader is not None:
            return
        limits = self._hub.limits
        idle_since = self.deadline - limits.idle_seconds
        if self._hub.loop.time() < idle_since + limits.parting_seconds:
            self._expire_in(limits.parting_seconds)
        else:
            self._close()

    def _consume(self, data: bytes) -> None:
        """Answers requests until one must wait, the client must read, or others have a turn.

        The turn for the first of them has been taken.
        """
        position = served = 0
        in_head_before = self._in_head()
        while position < len(data) and self._state is READING:
            if served and self._has_had_its_turn(served):
                self._give_way()
                break
            try:
                request, position = self._read(data, position)
            except RefusedError as error:
                self._end_with(replies.refused(error))
                return
            if request is None:
                break
            served += 1
            if self._serve(request):
                self._end(linger=position < len(data))
                return
        self._rest = data[position:]
        if self._state is READING and (
            served or in_head_before != self._in_head() or self.deadline == math.inf
        ):
            self._restart_clock()

    def _has_had_its_turn(self, served: int) -> bool:
        """Whether others come first, of this uid or of another one."""
        most = self._hub.limits.pipelined_requests
        return served == most or not self._lane.take()

    def _read(self, data: bytes, position: int) -> tuple[Request | None, int]:
        """The next request, or none while there is more of it to come, and how far it reaches."""
        readers = self._hub.readers
        reader = self._reader
        alone = position == 0 and reader is None
        if reader is None:
            reader = self._reader = readers.take()
        position = reader.feed(data, position)
        request = reader.request
        if request is None:
            if reader.wants_continue:
                reader.wants_continue = False
                self._stream.write(replies.CONTINUE)
            return None, position
        if alone and position == len(data) and not request.body:
            readers.remember(data, request)
        self._reader = None
        readers.give_back(reader)
        return request, position

    def _serve(self, request: Request) -> bool:
        """Gets a request answered now or later; True when that was the last reply."""
        hub = self._hub
        if hub.rate is not None and not hub.rate.take_ready(self._peer.uid):
            refusal = hub.too_often(hub.rate, self._peer.uid)
            if refusal is not None:
                return self._write(request, refusal)
        answer = replies.ask(self._handler, request, self._peer)
        if isinstance(answer, Reply):
            return self._write(request, answer)
        self._lane.charge(AWAITED)
        if isinstance(answer, Streamed):
            return self._begin_stream(request, answer)
        excess = self._hub.ledger.wait(self._peer.uid)
        if excess is not None:
            replies.discard(answer)
            return self._write(request, replies.too_many(excess))
        self._state = WAITING
        self.deadline = math.inf
        self._awaited = answer
        self._hub.start(partial(self._answer_later, request))
        return False

    def _write(self, request: Request, reply: Reply) -> bool:
        """Writes a reply; True when it is the last one."""
        if request.body:
            self._lane.charge(AWAITED)
        elif reply.status >= _REFUSED:
            self._lane.charge(HEAVY)
        last = self._hub.stopping or not request.persistent or reply is replies.INTERNAL_ERROR
        if request.plain and not last:
            self._stream.write(reply.whole)
            return False
        self._stream.write(replies.encode(request, reply, last=last))
        return last

    async def _answer_later(self, request: Request) -> None:
        """Waits for the reply, as long as the client does."""
        reply = None
        awaited, self._awaited = self._awaited, None
        try:
            if awaited is not None:
                with anyio.CancelScope() as self._scope:
                    reply = await replies.outcome(awaited)
        finally:
            self._scope = None
            self._hub.ledger.answered(self._peer.uid)
            if reply is None:
                self._stream.abort()
        if reply is not None and self._state is WAITING:
            self._stream.guard(partial(self._answer_now, request, reply))

    def _answer_now(self, request: Request, reply: Reply) -> None:
        """Writes the reply that was waited for, and goes on."""
        self._state = READING
        if self._write(request, reply):
            self._end(linger=bool(self._rest))
        elif self._state is READING:
            self._proceed()

    def _begin_stream(self, request: Request, streamed: Streamed) -> bool:
        """Writes the head of a reply that goes on; True when there is no more and it is the last.

        Where no chunks are understood, only the end of the connection ends the body.
        """
        last = self._hub.stopping or not request.persistent or request.old
        head = streamed.encode_head(chunked=not request.old, last=last)
        if request.method == "HEAD":
            self._stream.write(head)
            return last
        excess = self._hub.ledger.stream(self._peer.uid)
        if excess is not None:
            return self._write(request, replies.too_many(excess))
        self._state = WAITING
        self.deadline = math.inf
        self._outflow = Outflow(self._stream, chunked=not request.old)
        self._stream.write(head)
        self._look_after_stream()
        self._hub.start(partial(self._stream_later, self._outflow, streamed, last))
        return False

    async def _stream_later(self, outflow: Outflow, streamed: Streamed, last: bool) -> None:  # noqa: FBT001 - by `partial`
        """Writes piece after piece, as long as there are any and the client is there."""
        whole = None
        try:
            if self._state is WAITING:
                with anyio.CancelScope() as self._scope:
                    whole = await outflow.run(streamed.pieces)
        finally:
            self._scope = None
            self._hub.ledger.streamed(self._peer.uid)
            if whole is None:
                self.abort()
            self._outflow = None
        if self._state is WAITING:
            self._stream.guard(partial(self._end_stream, outflow, whole=bool(whole), last=last))

    def _end_stream(self, outflow: Outflow, *, whole: bool, last: bool) -> None:
        """Ends a reply that went on, and goes on with the next request."""
        if not whole:
            self._stream.abort()
            return
        self._state = READING
        outflow.finish()
        if last or self._hub.stopping:
            self._end(linger=bool(self._rest))
        elif self._state is READING:
            self._proceed()

    def _look_after_stream(self) -> None:
        """Sets the deadline of a stream that is not blocked: a quiet one has all the time.

        That the client leaves is seen by reading; where its input is left unread, by looking.
        """
        if self._outflow is None or self._outflow.blocked:
            return
        if self._is_full():
            self._expire_in(_LOOK_SECONDS)
        else:
            self.deadline = math.inf

    def _proceed(self) -> None:
        """Goes on with the input held back, then with what comes."""
        self._state = READING
        rest, self._rest = self._rest, b""
        if not rest:
            self._restart_clock()
        elif self._lane.take():
            self._consume(rest)
        else:
            self._rest = rest
            self._give_way()
        if self._half_closed and self._state is READING:
            self._close()
        elif self._state is READING or (self._state is WAITING and not self._is_full()):
            self._stream.resume_reading()
        else:
            self._look_after_stream()

    def _give_way(self) -> None:
        """Stops for as long as it takes to give others their turn."""
        self._state = BLOCKED
        self.deadline = math.inf
        self._stream.pause_reading()
        go_on = partial(self._stream.guard, self.resume_writing)
        self._lane.put_off(go_on)

    def _restart_clock(self) -> None:
        """Sets the deadline for what is next."""
        if self._reader is None:  # not watched: no timer is set for later than this
            self.deadline = self._hub.loop.time() + self._hub.limits.idle_seconds
        else:
            self._expire_in(self._patience())

    def _patience(self) -> float:
        limits = self._hub.limits
        return limits.head_seconds if self._in_head() else limits.body_seconds

    def _in_head(self) -> bool | None:
        return None if self._reader is None else self._reader.in_head

    def _is_full(self) -> bool:
        """Whether so much input is held back that no more must be read."""
        return self._half_closed or len(self._rest) >= len(self._hub.buffer)
