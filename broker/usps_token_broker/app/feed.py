"""`GET /v1/events`: how everything stands, then each change, to every peer that follows.

Of what has changed only the names of slots are kept for a follower, until it can take another
line; what has become of them is looked at then. So a slow one costs bounded memory and is told the
present, never an old state after a new one. No secret in any line.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Final

import anyio

from usps_token_broker.app import problems
from usps_token_broker.app.access import Access
from usps_token_broker.app.ports import Clock
from usps_token_broker.app.queries import Query
from usps_token_broker.app.resolving import Refused
from usps_token_broker.app.status import Status
from usps_token_broker.core.values import SlotId
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.events import (
    AliveEvent,
    Event,
    ReloadedEvent,
    RemovedEvent,
    SlotEvent,
    StoppingEvent,
    status_event,
)
from usps_token_broker.wire.replies import Streamed

CONTENT_TYPE: Final = "application/x-ndjson"
ALIVE_SECONDS: Final = 30.0
"""After so long without a line one is sent, so that both sides notice when the other is gone."""
_PIECE_BYTES: Final = 16 * 1024
"""Lines go out together up to about this size, which is what the server has the kernel hold."""
_KEPT_SECONDS: Final = 1.0
"""How long a line is good for whoever comes next: as long as a ready token is."""

Judge = Callable[[], Access]
"""What a follower may see now. `Feed.reloaded` is due after the answer has changed."""


class _Follower:
    """One stream: whose it is, and what it has yet to be told."""

    __slots__ = ("app", "changed", "judge", "news", "reloaded", "shown")

    def __init__(self, judge: Judge, app: str | None) -> None:
        self.judge = judge
        self.app = app
        self.shown: frozenset[SlotId] = frozenset()
        """The slots it has been told of and may be told of."""
        self.changed: dict[SlotId, None] = {}
        """Those of them that changed since, in the order in which they did."""
        self.reloaded = False
        self.news: anyio.Event | None = None

    def look(self) -> Access:
        """Find out anew what it may see; it is told of all of that next."""
        access = self.judge()
        self.shown = frozenset(slot for slot in access.slots if self.app in {None, slot.app})
        self.changed.clear()
        return access

    def tell(self) -> None:
        """There is news, for when it can take it."""
        if self.news is not None:
            self.news.set()


class Feed:
    """Everybody who follows. What the loop calls only takes notes: it costs no encoding.

    `status` gives the one in force, which a reload may replace.
    """

    def __init__(self, status: Callable[[], Status], clock: Clock) -> None:
        self._status = status
        self._clock = clock
        self._followers: set[_Follower] = set()
        self._closed = False
        self._lines: dict[SlotId, tuple[float, bytes]] = {}
        self._statuses: dict[tuple[frozenset[SlotId], str | None], tuple[float, bytes]] = {}

    @property
    def followers(self) -> int:
        """How many streams are open."""
        return len(self._followers)

    def changed(self, slot: SlotId) -> None:
        """What is told of this slot has changed."""
        self._lines.pop(slot, None)
        self._statuses.clear()
        for follower in self._followers:
            if slot in follower.shown:
                follower.changed[slot] = None
                follower.tell()

    def reloaded(self) -> None:
        """Another configuration is in force: other slots, or other peers who may see them."""
        self._lines.clear()
        self._statuses.clear()
        for follower in self._followers:
            follower.reloaded = True
            follower.tell()

    def close(self) -> None:
        """The broker ends, and so does every stream, those that begin from now on too."""
        self._closed = True
        for follower in self._followers:
            follower.tell()

    def stream(self, judge: Judge, query: Query) -> Streamed | Refused:
        """`GET /v1/events`: what this peer may see, of one app or all.

        It ends when the broker does, or when a reload leaves nothing that the peer may see: it then
        learns why from the refusal when it asks again.
        """
        access = judge()
        if query.app is not None and access.app(query.app) is None:
            return problems.no_app(access, query.app)
        return Streamed(200, CONTENT_TYPE, self._follow(_Follower(judge, query.app)))

    async def _follow(self, follower: _Follower) -> AsyncGenerator[bytes, None]:
        self._followers.add(follower)
        try:
            yield self._standing(follower)
            while True:
                while piece := self._news(follower):
                    yield piece
                if self._closed:
                    yield self._line(StoppingEvent(self._clock().wall))
                    return
                if not follower.shown:
                    return
                if not await self._has_news(follower):
                    yield self._line(AliveEvent(self._clock().wall))
        finally:
            self._followers.discard(follower)

    async def _has_news(self, follower: _Follower) -> bool:
        """Wait for news, and not for ever."""
        follower.news = anyio.Event()  # before anything else happens: there is no news yet
        with anyio.move_on_after(ALIVE_SECONDS):
            await follower.news.wait()
            return True
        return False

    def _news(self, follower: _Follower) -> bytes:
        """The lines this follower is to be told next, as many as go together; empty for none."""
        if follower.reloaded:
            return self._after_reload(follower)
        if not follower.changed:
            return b""
        open_to_it = follower.judge().slots  # a reload may be in force and not yet told
        piece = bytearray()
        while follower.changed and len(piece) < _PIECE_BYTES:
            slot = next(iter(follower.changed))
            del follower.changed[slot]
            if slot in open_to_it:
                piece += self._slot_line(slot)
        return bytes(piece)

    def _after_reload(self, follower: _Follower) -> bytes:
        before = follower.shown
        at = self._clock().wall
        lines = [self._line(ReloadedEvent(at)), self._standing(follower)]
        gone = sorted(before - follower.shown, key=str)
        lines += [self._line(RemovedEvent(at, slot.app, slot.name)) for slot in gone]
        return b"".join(lines)

    def _standing(self, follower: _Follower) -> bytes:
        """How everything stands for this follower; it has been told of all changes then."""
        follower.reloaded = False
        access = follower.look()
        if not follower.shown:
            return b""
        key, now = (follower.shown, follower.app), self._clock().boot
        made_at, line = self._statuses.get(key, (-_KEPT_SECONDS, b""))
        if not line or now - made_at >= _KEPT_SECONDS:
            line = self._line(status_event(self._status().message(access, follower.app)))
            self._statuses[key] = (now, line)
        return line

    def _slot_line(self, slot: SlotId) -> bytes:
        """How a slot stands, the same bytes for all who are told of a change."""
        now = self._clock()
        made_at, line = self._lines.get(slot, (-_KEPT_SECONDS, b""))
        if not line or now.boot - made_at >= _KEPT_SECONDS:
            message = self._status().slot(slot, now)
            if message is None:  # removed, and the reload is yet to be told
                return b""
            line = self._line(SlotEvent(now.wall, slot.app, message))
            self._lines[slot] = (now.boot, line)
        return line

    @staticmethod
    def _line(event: Event) -> bytes:
        return to_json(event) + b"\n"
