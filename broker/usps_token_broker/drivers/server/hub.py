"""What the connections of one server share: who they are, what they may take, when they end."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

from usps_token_broker.core.rates import Rate
from usps_token_broker.drivers.server import replies
from usps_token_broker.drivers.server.lanes import Lanes
from usps_token_broker.drivers.server.limits import Ledger, Limits
from usps_token_broker.drivers.server.readers import Readers
from usps_token_broker.wire.replies import Reply, Streamed
from usps_token_broker.wire.requests import Request

_BUFFER_BYTES: Final = 16 * 1024
_SWEPT_AT_ONCE: Final = 64


class Caller(Protocol):
    """Who is at the other end, as the kernel says. The gate may hang more on it."""

    uid: int
    groups: frozenset[int] | None


CallerT = TypeVar("CallerT", bound=Caller)
Handler = Callable[[Request, CallerT], Reply | Streamed | Awaitable[Reply]]
Job = Callable[[], Coroutine[Any, Any, None]]


class Member(Protocol):
    """What the hub asks of a connection."""

    deadline: float

    def expire(self, now: float) -> None:
        """Its deadline has passed: end, or set another one."""

    def abort(self) -> None:
        """End now."""

    def close_if_idle(self) -> None:
        """End unless a request has begun."""


class Hub:
    """The shared part of a server, and its one timer.

    The timer is set for the first deadline that could strike, so a deadline that moves away costs
    nothing but a look. Without connections it runs out and is not set again.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ledger = Ledger(limits)
        self.readers = Readers(limits)
        self.loop = asyncio.get_running_loop()
        per_minute = limits.requests_per_minute_per_uid
        self.rate = Rate(per_minute) if per_minute else None
        """How often a uid may ask."""
        self.lanes = Lanes(limits, self.ledger, self.loop)
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))
        """All connections read into it: what is read is used up before the next read."""
        self.stopping = False
        self.refusals = 0
        # A dict, for its order of things when memory is out: it grows before it takes in another,
        # while a set takes it in, fails to grow, and once it is full searches it for ever.
        self.members: dict[Member, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._resolution = limits.resolution_seconds
        self._jobs: deque[Job] = deque()
        self._changed = asyncio.Event()
        self._deserted = asyncio.Event()

    def too_often(self, rate: Rate, uid: int) -> Reply | None:
        """What a uid is told instead of being served when it has asked too often; else counts it.

        The clock of the loop is CLOCK_MONOTONIC.
        """
        now_usec = int(self.loop.time() * 1e6)
        if rate.take(uid, now_usec):
            return None
        return replies.too_often(rate.per_minute, rate.seconds(uid, now_usec))

    def join(self, member: Member) -> None:
        """Takes in a connection and keeps an eye on its deadline."""
        self.members[member] = None
        self.watch(member.deadline)

    def leave(self, member: Member) -> None:
        """Lets go of a connection."""
        self.members.pop(member, None)
        if not self.members:
            self._deserted.set()

    def watch(self, deadline: float) -> None:
        """Sees to it that a deadline that came nearer is noticed."""
        due = max(deadline, self.loop.time() + self._resolution)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
            self._timer = None  # should there be no memory for another, the next watch sets one
        self._timer = self.loop.call_at(due, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self.loop.time()
        # A deadline set from now on without `watch` is an idle one, so it cannot strike sooner.
        self._look_after(iter(tuple(self.members)), now, now + self.limits.idle_seconds)

    def _look_after(self, members: Iterator[Member], now: float, first: float) -> None:
        """Looks after the next few of them, so that a crowd holds nobody up."""
        some = tuple(islice(members, _SWEPT_AT_ONCE))
        for member in some:
            if member.deadline <= now:
                member.expire(now)
            first = min(first, member.deadline)
        if len(some) == _SWEPT_AT_ONCE:
            self.loop.call_soon(self._look_after, members, now, first)
        elif self.members:
            self.watch(first)

    def start(self, job: Job) -> None:
        """Has a coroutine run in the server's task group."""
        self._jobs.append(job)
        self.wake()

    def wake(self) -> None:
        """Has `next_jobs` return, even without a job."""
        self._changed.set()

    async def next_jobs(self) -> list[Job]:
        """Waits for jobs, or to be woken."""
        await self._changed.wait()
        self._changed.clear()
        jobs = list(self._jobs)
        self._jobs.clear()
        return jobs

    async def deserted(self) -> None:
        """Waits until there is no connection."""
        while self.members:
            self._deserted.clear()
            await self._deserted.wait()

    def close_idle(self) -> None:
        """Ends every connection on which no request has begun."""
        for member in tuple(self.members):
            member.close_if_idle()

    def abort_all(self) -> None:
        """Ends every connection now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for member in tuple(self.members):
            member.abort()
