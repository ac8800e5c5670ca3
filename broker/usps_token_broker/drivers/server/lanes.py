"""Lanes: how much of one round of the event loop a uid gets while others want it too."""

import asyncio
import contextlib
import select
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from usps_token_broker.drivers.server.faults import report
from usps_token_broker.drivers.server.limits import Ledger, Limits

HEAVY: Final = 4
"""What a connection or a refusal costs beside a token that lies ready, in requests."""
AWAITED: Final = 12
"""The same of a request with a body, such as a report, and of a reply that does not lie ready."""
_KEPT_SECONDS: Final = 1.0

Ready = Callable[[int], None]
"""Called with the events of epoll(7) that have come."""


class Lane:
    """The sockets of one uid, watched apart, so that its turn costs the others what it may cost.

    In each round of the loop it gets a share, and takes no more from the kernel than fits into it:
    to read from a socket counts as much as to answer a request. What was read beyond it is
    `put_off` and goes on in a later round, in order, before anything new. So whoever asks waits for
    a share of every other uid, and not for all that one of them has asked for, however many
    connections it came by.
    """

    __slots__ = (
        "_due",
        "_epoll",
        "_idled",
        "_ledger",
        "_left",
        "_limits",
        "_put_off",
        "_ready",
        "_streams",
        "loop",
    )

    def __init__(
        self,
        limits: Limits,
        ledger: Ledger,
        loop: asyncio.AbstractEventLoop,
        idled: Callable[[], None],
    ) -> None:
        self.loop = loop
        self._idled = idled
        self._streams = 0
        self._limits = limits
        self._ledger = ledger
        self._ready: dict[int, Ready] = {}
        self._put_off: deque[Callable[[], None]] = deque()
        self._left = 0
        """Of its share; less than nothing is owed to later rounds."""
        self._due = False
        self._epoll = select.epoll()
        loop.add_reader(self._epoll, self._begin)

    def is_busy(self) -> bool:
        """Whether there is something to read, or to go on with."""
        return not self._epoll.closed and (self._due or bool(self._epoll.poll(0, 1)))

    @property
    def is_idle(self) -> bool:
        """Whether nobody would miss it."""
        return not (self._streams or self._put_off or self._due)

    def join(self) -> None:
        """Counts a stream that uses it, whether it is watched or not."""
        self._streams += 1

    def leave(self) -> None:
        """Gives back what `join` counted."""
        self._streams -= 1
        if not self._streams:
            self._idled()

    def close(self) -> None:
        """Watches nothing any more, and goes on with nothing."""
        if not self._epoll.closed:
            self.loop.remove_reader(self._epoll)
            self._epoll.close()

    def watch(self, fd: int, events: int, ready: Ready) -> None:
        """Has `ready` called when one of the events has come. Raises OSError."""
        self._ready[fd] = ready  # first: without memory for it, nothing is watched
        try:
            self._epoll.register(fd, events)
        except BaseException:
            del self._ready[fd]
            raise

    def watch_for(self, fd: int, events: int) -> None:
        """Waits for other events of a socket that is watched. Raises OSError."""
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """Waits for nothing of a socket that is watched, and still open."""
        del self._ready[fd]
        self._epoll.unregister(fd)

    def take(self) -> bool:
        """Counts a request, unless this uid has had its share of this round."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def charge(self, requests: int) -> None:
        """Counts what was done for this uid as so many requests, share or no share."""
        self._left -= requests

    def put_off(self, go_on: Callable[[], None]) -> None:
        """Has `go_on` called when it is its turn. It must not fail."""
        self._schedule()
        self._put_off.append(go_on)

    def _begin(self) -> None:
        """Has a turn, as sockets are ready, unless the next one is due already."""
        if not self._due:
            self._have_turn()

    def _schedule(self) -> None:
        if not self._due:
            self.loop.call_soon(self._let_others_go_first)
            self._due = True

    def _let_others_go_first(self) -> None:
        """Leaves out a round: who has just asked waits for the rest of one turn and not for two."""
        try:
            self.loop.call_soon(self._go_on)
        except MemoryError:  # nothing else would call it
            self._go_on()

    def _go_on(self) -> None:
        self._due = False
        if not self._epoll.closed:
            self._have_turn()

    def _have_turn(self) -> None:
        """Takes from the kernel, and goes on with what was put off, until the share is used up."""
        crowded = self._ledger.crowded
        share = self._limits.shared_turn if crowded else self._limits.turn
        at_once = max(1, share // 4)
        # Of what it owes a part is forgiven: who is slowed down must not come to a halt.
        self._left = share if self._left >= 0 else max(1, share + self._left)
        try:
            while self._left > 0:
                found = self._read(at_once)
                for _ in range(len(self._put_off)):
                    if self._left <= 0:
                        break
                    self._put_off.popleft()()
                if found < at_once:
                    break
        finally:
            if self._put_off or self._left <= 0:
                self._schedule()

    def _read(self, at_once: int) -> int:
        """Sees to so many sockets that are ready, and tells how many were."""
        events = self._epoll.poll(0, at_once)
        kept = 0
        if self._put_off:  # what waits comes first
            kept, self._left = self._left, 0
        for fd, mask in events:
            self._left -= 1
            ready = self._ready.get(fd)
            if ready is not None:
                try:
                    ready(mask)
                except Exception as error:  # noqa: BLE001 - no memory; the others have their turn
                    report("a connection", error)
        self._left += kept
        return len(events)


class Lanes:
    """The lanes of one server. A lane takes a descriptor, so not every uid can have its own."""

    __slots__ = ("_by_uid", "_for_others", "_loop", "_make", "_most", "_timer")

    def __init__(self, limits: Limits, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> None:
        self._make = partial(Lane, limits, ledger, loop, self._close_idle_soon)
        self._most = limits.lanes
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._by_uid: dict[int, Lane] = {}
        self._for_others = self._make()
        """For uids for which there is none."""

    def of(self, uid: int) -> Lane:
        """The lane of a uid. It keeps it while it has streams in it, and a moment longer."""
        return self._by_uid.get(uid) or self._open(uid)

    def are_busy(self) -> bool:
        """Whether any of them has something to do."""
        return any(lane.is_busy() for lane in (self._for_others, *self._by_uid.values()))

    def close(self) -> None:
        """Closes them all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for lane in (self._for_others, *self._by_uid.values()):
            lane.close()
        self._by_uid.clear()

    def _close_idle_soon(self) -> None:
        """Not at once: who connects for each question would have one made for each."""
        if self._timer is None:
            with contextlib.suppress(MemoryError):  # then the next one to leave does it
                self._timer = self._loop.call_later(_KEPT_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        self._timer = None
        for uid in [uid for uid, lane in self._by_uid.items() if lane.is_idle]:
            self._by_uid.pop(uid).close()

    def _open(self, uid: int) -> Lane:
        if len(self._by_uid) >= self._most and not self._make_room():
            return self._for_others
        try:
            lane = self._make()
        except OSError:  # out of descriptors
            return self._for_others
        self._by_uid[uid] = lane
        self._close_idle_soon()  # nobody may join it: a caller that is refused does not always
        return lane

    def _make_room(self) -> bool:
        for uid, lane in self._by_uid.items():
            if lane.is_idle:
                del self._by_uid[uid]
                lane.close()
                return True
        return False
