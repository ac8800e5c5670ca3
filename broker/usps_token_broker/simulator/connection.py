"""One client's connection: requests in, answers out, and the faults that are about sockets.

An asyncio protocol and not an anyio stream, because a reset connection needs the transport, and a
simulator beside the program it tests should cost little. Answers that are due at once are written
from the callback; one task runs, in the simulator's task group, for a call that has to wait or is
sent slowly. It ends when the client leaves.
"""

import asyncio
import contextlib
import math
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import anyio
import anyio.abc
import anyio.lowlevel

from usps_token_broker.simulator.messages import BODYLESS, Answer, Request, Transfer, head
from usps_token_broker.simulator.reader import Limits, RequestReader, timed_out
from usps_token_broker.simulator.service import Arrival

_CHUNK: Final = b"A" * 65_536
_PIPELINED_AT_MOST: Final = 100
_LINGER_SECONDS: Final = 2.0
"""How long a client may take to read the last answer and close (RFC 9112 9.6)."""


class Handler(Protocol):
    """What a connection asks about its requests."""

    def arrive(self, request: Request) -> Arrival | None:
        """Count a request, and say what happens before it is answered."""

    def answer(self, request: Request, arrival: Arrival | None) -> Answer:
        """The answer to a request that arrived."""

    def ended(self, arrival: Arrival | None) -> None:
        """A request that arrived is over: its answer is sent, or its client has left."""


class Connection(asyncio.Protocol):
    """Serves one client, one request after the other."""

    def __init__(
        self,
        handler: Handler,
        task_group: anyio.abc.TaskGroup,
        limits: Limits,
        connections: set["Connection"],
    ) -> None:
        self._handler = handler
        self._task_group = task_group
        self._limits = limits
        self._connections = connections
        self._reader = RequestReader(limits)
        self._loop = asyncio.get_running_loop()
        self._arrival: Arrival | None = None
        self._scope: anyio.CancelScope | None = None
        self._writable: anyio.Event | None = None
        self._is_ending = False
        self._watched_for = ""
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        # create_server hands every protocol a transport that reads and writes.
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._connections.add(self)
        if len(self._connections) > self._limits.connections:
            self._transport.abort()
            return
        self._watch()
        self._tick()

    def data_received(self, data: bytes) -> None:
        """Read on; what comes after the last answer is thrown away."""
        if self._is_ending:
            return
        self._reader.feed(data)
        self._advance()
        if len(self._reader.ready) > _PIPELINED_AT_MOST:
            self.abort()

    def eof_received(self) -> None:
        """The client sends no more: nothing it still waits for matters. The transport closes."""
        self._finish()
        if self._scope is not None:
            self._scope.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        del exc
        self._is_ending = True
        self._connections.discard(self)
        self._finish()
        if self._timer is not None:
            self._timer.cancel()
        if self._scope is not None:
            self._scope.cancel()

    def pause_writing(self) -> None:
        """The client does not read: wait for it."""
        self._writable = anyio.Event()
        self._watch()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._writable is not None:
            writable, self._writable = self._writable, None
            writable.set()
        self._advance()

    # What the simulator calls.

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self._is_ending = True
        self._transport.abort()

    # Requests and answers.

    def _advance(self) -> None:
        """Answer what has come in whole, as far as the client reads the answers."""
        while self._can_answer() and self._reader.ready:
            request, keep_alive = self._reader.ready.popleft()
            self._watched_for = ""
            self._serve(request, keep_alive=keep_alive)
        if self._can_answer():
            if self._reader.refusal is not None:
                self._refuse(self._reader.refusal)
            elif self._reader.take_continue():
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._watch()

    def _can_answer(self) -> bool:
        return not self._is_ending and self._scope is None and self._writable is None

    def _serve(self, request: Request, *, keep_alive: bool) -> None:
        self._arrival = arrival = self._handler.arrive(request)
        if arrival is not None and arrival.effects:
            self._start(lambda: self._serve_later(request, arrival, keep_alive=keep_alive))
            return
        answer = self._handler.answer(request, arrival)
        if _is_slow(answer):
            self._start(lambda: self._send_slowly(answer, keep_alive=keep_alive))
            return
        self._send(request, answer, keep_alive=keep_alive)
        self._finish()

    def _send(self, request: Request, answer: Answer, *, keep_alive: bool) -> None:
        is_bodyless = request.method == "HEAD" or answer.status in BODYLESS
        body = b"" if is_bodyless else answer.body
        self._transport.write(head(answer, keep_alive=keep_alive) + body)
        if not keep_alive:
            self._end()

    def _refuse(self, answer: Answer) -> None:
        self._transport.write(head(answer, keep_alive=False) + answer.body)
        self._end()

    def _end(self) -> None:
        """Close once the client has read the last answer: closing at once could cut it off."""
        self._is_ending = True
        # The client may have reset the connection, which asyncio has yet to notice.
        with contextlib.suppress(OSError):
            self._transport.write_eof()
        self._loop.call_later(_LINGER_SECONDS, self._transport.abort)

    def _finish(self) -> None:
        """The call is over, however it ended."""
        arrival, self._arrival = self._arrival, None
        self._handler.ended(arrival)

    # Calls that take their time.

    def _start(self, act: Callable[[], Awaitable[None]]) -> None:
        self._scope = anyio.CancelScope()
        self._task_group.start_soon(self._run, self._scope, act)

    async def _run(self, scope: anyio.CancelScope, act: Callable[[], Awaitable[None]]) -> None:
        with scope:
            await act()
        self._scope = None
        self._finish()
        if not scope.cancelled_caught:
            self._watched_for = ""
            self._advance()

    async def _serve_later(self, request: Request, arrival: Arrival, *, keep_alive: bool) -> None:
        for effect in arrival.effects:
            match effect.fault.name:
                case "delay":
                    await anyio.sleep(effect.fault.number)
                case "hold":
                    await effect.wait_lifted()
                case "reset":
                    self._reset()
                    return
                case _:
                    await anyio.sleep_forever()
        answer = self._handler.answer(request, arrival)
        if _is_slow(answer):
            await self._send_slowly(answer, keep_alive=keep_alive)
        else:
            self._send(request, answer, keep_alive=keep_alive)

    async def _send_slowly(self, answer: Answer, *, keep_alive: bool) -> None:
        if answer.transfer is Transfer.CUT:
            # Promise more than there is, also where there is nothing.
            self._transport.write(head(answer, keep_alive=keep_alive, missing=answer.length + 1))
            self._transport.write(answer.body[: len(answer.body) // 2])
            self._end()
            return
        self._transport.write(head(answer, keep_alive=keep_alive))
        pause = answer.pause_seconds
        for start in range(len(answer.body)) if pause else ():
            await self._write(answer.body[start : start + 1])
            await anyio.sleep(pause)
        if not pause:
            await self._write(answer.body)
        for start in range(0, answer.filler_bytes, len(_CHUNK)):
            await self._write(_CHUNK[: answer.filler_bytes - start])
        if not keep_alive:
            self._end()

    async def _write(self, data: bytes) -> None:
        if self._writable is not None:
            await self._writable.wait()
        else:
            await anyio.lowlevel.checkpoint()
        self._transport.write(data)

    def _reset(self) -> None:
        """Close with a RST, which a zero linger time asks for (socket(7))."""
        connected = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    # Time limits.

    def _watch(self) -> None:
        """Set the deadline of the state the connection is in; one that goes on keeps its own."""
        limits = self._limits
        if self._writable is not None:
            state, seconds = "stalled", limits.stall_seconds
        elif self._scope is not None:
            state, seconds = "busy", math.inf
        elif self._reader.is_midway:
            state, seconds = "midway", limits.request_seconds
        else:
            state, seconds = "idle", limits.idle_seconds
        if state != self._watched_for:
            self._watched_for = state
            self._deadline = self._loop.time() + seconds

    def _tick(self) -> None:
        """Look at the deadline, often enough for the shortest."""
        limits = self._limits
        left = self._deadline - self._loop.time()
        shortest = min(limits.request_seconds, limits.idle_seconds, limits.stall_seconds)
        if left > 0:
            self._timer = self._loop.call_later(min(left, shortest), self._tick)
        elif self._watched_for == "midway" and not self._is_ending:
            self._refuse(timed_out())
        else:
            self.abort()


def _is_slow(answer: Answer) -> bool:
    return answer.transfer is not Transfer.WHOLE or answer.filler_bytes > 0
