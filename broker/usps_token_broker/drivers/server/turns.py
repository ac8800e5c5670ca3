"""Turns: how much of one round of the event loop a uid gets while others want it too."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from usps_token_broker.drivers.server.limits import Ledger, Limits

HEAVY: Final = 4
"""What a connection or a refusal costs beside a token that lies ready, in requests."""
AWAITED: Final = 12
"""The same of a reply that does not lie ready, such as the one to a report."""
_UIDS_COUNTED: Final = 256
"""So that uids that ask now and then do not take memory for good."""


class Turns:
    """Shares each round of the loop out among uids, however many connections each of them has.

    A request is served when `take` lets it; else its connection is `put_off`, and goes on in a
    later round, in the order in which those of its uid were put off. So whoever asks waits for a
    share of every other uid, and not for all that one of them has asked for.

    Nothing is scheduled until half of a share is used up: a round begun for its own sake would
    cost every single request. So what counts as a round may be several, of little each.
    """

    __slots__ = ("_due", "_half", "_ledger", "_limits", "_loop", "_put_off", "_taken")

    def __init__(self, limits: Limits, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> None:
        self._limits = limits
        self._ledger = ledger
        self._loop = loop
        self._half = limits.shared_turn // 2
        """What may be taken without a further look. Whenever a uid comes, it is set anew."""
        self._taken: dict[int, int] = {}
        self._put_off: dict[int, deque[Callable[[], None]]] = {}
        self._due = False

    def take(self, uid: int) -> bool:
        """Counts a request of this uid, unless it has had its share of this round."""
        taken = self._taken.get(uid, 0)
        if taken >= self._half:
            self._schedule()
            if taken >= self._share():
                return False
        self._taken[uid] = taken + 1
        return True

    def charge(self, uid: int, requests: int) -> None:
        """Counts what was done for this uid as so many requests, share or no share."""
        taken = self._taken.get(uid, 0) + requests
        self._taken[uid] = taken
        self._half = self._share() // 2
        if taken >= self._half or len(self._taken) > _UIDS_COUNTED:
            self._schedule()

    def is_over(self, uid: int) -> bool:
        """Whether this uid has had its share of this round."""
        return self._taken.get(uid, 0) >= self._share()

    def put_off(self, uid: int, go_on: Callable[[], None]) -> None:
        """Has `go_on` called when it is this uid's turn again. It must not fail."""
        self._put_off.setdefault(uid, deque()).append(go_on)
        self._schedule()

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Begins a round with those that were put off, before anything is read in it."""
        self._due = False
        self._half = self._share() // 2
        self._taken.clear()
        for uid in tuple(self._put_off):
            waiting = self._put_off[uid]
            for _ in range(len(waiting)):
                waiting.popleft()()
                if self.is_over(uid):
                    break
            if not waiting:
                del self._put_off[uid]
        if self._put_off:
            self._schedule()

    def _share(self) -> int:
        return self._limits.shared_turn if self._ledger.crowded else self._limits.turn
