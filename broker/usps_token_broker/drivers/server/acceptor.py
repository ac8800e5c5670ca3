"""The listening socket: who is let in, in what doses, and how it all stops."""

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, Generic

import anyio
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

from usps_token_broker.drivers.server import replies
from usps_token_broker.drivers.server.base import Refusal
from usps_token_broker.drivers.server.connection import Connection
from usps_token_broker.drivers.server.faults import report
from usps_token_broker.drivers.server.hub import CallerT, Handler, Hub
from usps_token_broker.drivers.server.lanes import HEAVY
from usps_token_broker.drivers.server.limits import Limits
from usps_token_broker.drivers.server.stream import Stream
from usps_token_broker.wire.replies import Reply

_log = logging.getLogger(__name__)

Gate = Callable[[CallerT], Reply | None]
"""What a caller is told instead of being served, or None."""

ACCEPTED_AT_ONCE: Final = 2
"""Then those accepted get their turn, and those who have been served before."""
_BACKLOG: Final = 4096
"""Callers queue here; a full queue makes a connect that must not block fail with EAGAIN."""
_ACCEPT_PAUSE_SECONDS: Final = 0.1
_SAID_AGAIN_SECONDS: Final = 60.0
"""How soon it is said again that nobody can be let in: it may be so ten times a second, and for as
long as a crowd stays."""
_LOOKUPS_AT_ONCE: Final = 4


class Server(Generic[CallerT]):
    """Serves a listening socket, which stays the caller's. `serve` makes and runs it."""

    def __init__(  # noqa: PLR0913 - what it is made of, each by its name
        self,
        listener: socket.socket,
        handler: Handler[CallerT],
        gate: Gate[CallerT],
        limits: Limits,
        *,
        identify: Callable[[socket.socket], CallerT],
        look_up_groups: Callable[[CallerT], None],
    ) -> None:
        self._listener = listener
        self._handler = handler
        self._gate = gate
        self._limits = limits
        self._identify = identify
        self._look_up_groups = look_up_groups
        self._hub = Hub(limits)
        self._lookups = anyio.CapacityLimiter(_LOOKUPS_AT_ONCE)
        self._retry: asyncio.TimerHandle | None = None
        self._said_at = -math.inf
        self._cleared_at = -math.inf
        self._pauses_for_others = False
        self._stopped = False

    @property
    def connections(self) -> int:
        """How many clients are being served."""
        return self._hub.ledger.connections

    @property
    def waiting(self) -> int:
        """How many requests wait for their reply."""
        return self._hub.ledger.waiting

    def by_uid(self) -> list[tuple[int, int, int, int]]:
        """Each uid that is connected, with its connections, requests without an answer, streams."""
        return self._hub.ledger.by_uid()

    async def stop(self, grace_seconds: float) -> None:
        """Ends the server: what has been asked is answered, for at most `grace_seconds`.

        Nobody is let in any more; each client's next reply is its last; who has asked nothing is
        sent away. Replies that are awaited come, or do not, by the handler's doing; so do the ends
        of streams, and those that have none when the grace is over are ended here.
        """
        self._hub.stopping = True
        self._stop_accepting()
        with anyio.move_on_after(self._limits.parting_seconds):
            while self._hub.lanes.are_busy():  # with what clients have already sent
                await checkpoint()
        self._hub.close_idle()
        with anyio.move_on_after(grace_seconds):
            await self._hub.deserted()
        self._stopped = True
        self._hub.wake()

    async def run(
        self, *, task_status: TaskStatus["Server[CallerT]"] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Serves until `stop` has ended or the task is cancelled; then no connection is left."""
        self._listener.settimeout(0)
        self._listener.listen(_BACKLOG)
        self._start_accepting()
        try:
            async with anyio.create_task_group() as tasks:
                task_status.started(self)
                while not self._stopped:
                    for job in await self._hub.next_jobs():
                        tasks.start_soon(job)
                tasks.cancel_scope.cancel()
        finally:
            self._hub.stopping = True
            self._stop_accepting()
            self._hub.abort_all()
            self._hub.lanes.close()

    def _start_accepting(self) -> None:
        self._retry = None
        self._hub.loop.add_reader(self._listener, self._accept)

    def _stop_accepting(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        elif self._listener.fileno() >= 0:
            self._hub.loop.remove_reader(self._listener)

    def _accept(self) -> None:
        """Lets in the next few that queue; while more do, in every other round of the loop.

        Never fewer, whoever they are: they queue in one line, and others may stand behind them.
        """
        if self._pauses_for_others:
            self._pauses_for_others = False
            return
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connected, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            try:
                self._receive(connected)
            except Exception as error:  # noqa: BLE001 - one caller's trouble is not the server's
                report("letting a caller in", error)
                connected.close()
        self._pauses_for_others = True

    def _pause(self, error: OSError) -> None:
        """Accepts nothing for a moment: a queue that cannot be emptied would keep us busy."""
        now = self._hub.loop.time()
        if now >= self._said_at + _SAID_AGAIN_SECONDS:
            self._said_at = now
            fields = {"fields": {"event": "not_accepting", "reason": "out_of_descriptors"}}
            _log.warning("cannot accept connections for now: %s", error.strerror, extra=fields)
        self._stop_accepting()
        self._retry = self._hub.loop.call_later(_ACCEPT_PAUSE_SECONDS, self._start_accepting)

    def _receive(self, connected: socket.socket) -> None:
        """Finds out who calls, and whether there is room."""
        connected.settimeout(0)
        peer = self._identify(connected)
        self._hub.lanes.of(peer.uid).charge(HEAVY)
        excess = self._hub.ledger.connect(peer.uid)
        if excess is not None:
            self._clear_idle()
            self._refuse(connected, peer, replies.too_many(excess))
        elif peer.groups is None:
            self._hub.start(partial(self._receive_later, connected, peer))
        else:
            self._pass_gate(connected, peer)

    def _clear_idle(self) -> None:
        """Makes room for who comes next, at most so often that who has just come can ask."""
        now = self._hub.loop.time()
        if self._limits.clears_idle and now >= self._cleared_at + self._limits.parting_seconds:
            self._cleared_at = now
            self._hub.close_idle()

    async def _receive_later(self, connected: socket.socket, peer: CallerT) -> None:
        """Goes on once it is known in which groups the caller is."""
        try:
            await self._ask_for_groups(peer)
        except BaseException:
            self._hub.ledger.disconnect(peer.uid)
            connected.close()
            raise
        try:
            self._pass_gate(connected, peer)
        except Exception as error:  # noqa: BLE001 - one caller's trouble is not the server's
            report("letting a caller in", error)
            connected.close()

    async def _ask_for_groups(self, peer: CallerT) -> None:
        """Asks in a thread, and not for ever: without an answer, the uid alone must do."""
        try:
            with anyio.move_on_after(self._limits.head_seconds):
                await anyio.to_thread.run_sync(
                    self._look_up_groups, peer, limiter=self._lookups, abandon_on_cancel=True
                )
        except Exception as error:  # noqa: BLE001 - a name service can fail in any way
            report("looking up the groups of a caller", error)
        if peer.groups is None:
            peer.groups = frozenset()

    def _pass_gate(self, connected: socket.socket, peer: CallerT) -> None:
        """Serves the caller, unless the gate has something else to say."""
        try:
            refusal = self._gate(peer)
        except Exception as error:  # noqa: BLE001 - who cannot be judged is not let in
            report("judging a caller", error)
            refusal = replies.INTERNAL_ERROR
        if refusal is None:
            self._begin(connected, peer)
        else:
            self._hub.ledger.disconnect(peer.uid)
            self._refuse(connected, peer, refusal)

    def _begin(self, connected: socket.socket, peer: CallerT) -> None:
        """Serves the caller; one that cannot be, for want of memory, must not count for ever."""
        connection = None
        try:
            size = self._limits.send_buffer_bytes
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            lane = self._hub.lanes.of(peer.uid)
            connection = Connection(self._hub, lane, self._handler, peer)
            Stream(lane, connected, connection)
        except BaseException:
            if connection is not None:
                self._hub.leave(connection)
            self._hub.ledger.disconnect(peer.uid)
            raise

    def _refuse(self, connected: socket.socket, peer: CallerT, reply: Reply) -> None:
        """Says so, and waits for the caller to hear it unless too many are being waited for."""
        if self._hub.refusals < self._limits.lingering_refusals:
            Stream(self._hub.lanes.of(peer.uid), connected, Refusal(self._hub, reply))
            return
        with contextlib.suppress(OSError):
            connected.send(reply.encode(connection="close"))
        connected.close()


async def serve(  # noqa: PLR0913 - as Server
    listener: socket.socket,
    handler: Handler[CallerT],
    gate: Gate[CallerT],
    limits: Limits,
    *,
    identify: Callable[[socket.socket], CallerT],
    look_up_groups: Callable[[CallerT], None],
    task_status: TaskStatus[Server[CallerT]] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serves a listening socket until the `Server` it starts with is stopped, or cancelled.

    `identify` says who is at the other end of an accepted socket. When it leaves `groups` None,
    `look_up_groups` is called with the caller in a thread, to set them. `gate` is asked before a
    byte is read: its reply is all the caller gets. Then `handler` is asked for each request: its
    reply is written at once, an awaitable is awaited, and cancelled when the caller leaves. It must
    do nothing before it is awaited, for it is not when too many are waiting already. Of a stream
    the next piece is asked for once the caller has taken the one before; it is cancelled and closed
    in the same way, and not begun when too many are open. HEAD is the handler's to answer like
    GET; the body is dropped here.
    """
    server = Server(
        listener, handler, gate, limits, identify=identify, look_up_groups=look_up_groups
    )
    await server.run(task_status=task_status)
