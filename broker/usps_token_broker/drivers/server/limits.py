"""What one client may take of the server, and the counting that holds it to that."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

_DESCRIPTORS_KEPT_BACK: Final = 64
"""For the state file, USPS connections, logs, worker threads: all that is not a local client."""


_DESCRIPTORS_PER_LANE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on clients. Sizes are bytes, spans are seconds."""

    head_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    """Also the bound on what chunked encoding may add to a body."""
    head_seconds: float = 10.0
    """From the first byte of a request to the end of its head."""
    body_seconds: float = 10.0
    """From the end of the head to the end of the body."""
    idle_seconds: float = 300.0
    """Between requests, and before the first one."""
    stalled_seconds: float = 30.0
    """For a client that does not read: since it last took a byte of its reply."""
    linger_seconds: float = 2.0
    """How long input is thrown away after the last reply, so that the client gets to read it."""
    parting_seconds: float = 0.5
    """How long a client that has just come or just been answered may still ask when the server
    ends: longer than a process that has connected takes to send, on a busy machine too."""
    pipelined_requests: int = 64
    """Answered in one go before other clients have their turn."""
    turn: int = 128
    """Requests of one uid in one round of the loop while no other is connected: so many, answered
    in about 2 ms, may be ahead of somebody who has just come."""
    shared_turn: int = 8
    """The same while others are connected, with each read from a socket counted too: what each of
    them may have to wait for, about 0.1 ms."""
    lanes: int = 64
    """Uids that have a turn of their own; those that come while so many are connected share one."""
    send_buffer_bytes: int = 16 * 1024
    """Asked of the kernel, which doubles it: replies sent but unread count as our memory."""
    counted_by: str = "uid"
    """What clients are told apart by, as they are told it; `uid` stands for the key of each."""
    connections: int = 16_384
    connections_per_uid: int = 1024
    waiting_per_uid: int = 512
    """Requests whose reply is not there yet, or goes on."""
    clears_idle: bool = False
    """Whether those connected who ask nothing are sent away when there is no room for another."""
    streams_per_uid: int = 16
    """Replies that go on. Each is written to whenever there is news: work that nobody asks for."""
    requests_per_minute_per_uid: int = 600_000
    """0 is none. Requests beyond it cost next to nothing."""
    lingering_refusals: int = 128
    """Refused connections that are drained at any time; those beyond are closed at once."""

    def within(self, descriptors: int) -> "Limits":
        """These limits cut to a process that may open `descriptors` files (RLIMIT_NOFILE).

        One uid gets at most half, so that it cannot shut out the others.
        """
        lanes = max(1, min(self.lanes, descriptors // _DESCRIPTORS_PER_LANE))
        room = descriptors - _DESCRIPTORS_KEPT_BACK - lanes - self.lingering_refusals
        connections = max(2, min(self.connections, room))
        return replace(
            self,
            lanes=lanes,
            connections=connections,
            connections_per_uid=min(self.connections_per_uid, connections // 2),
        )

    @property
    def resolution_seconds(self) -> float:
        """How late a time limit may strike: an eighth of the shortest, at most a second."""
        spans = (
            self.head_seconds,
            self.body_seconds,
            self.idle_seconds,
            self.stalled_seconds,
            self.linger_seconds,
        )
        return min(1.0, min(spans) / 8)


class Ledger:
    """How many connections, waiting requests and streams there are, by uid."""

    __slots__ = ("_connections", "_limits", "_streams", "_total", "_waiting")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._connections: Counter[int] = Counter()
        self._waiting: Counter[int] = Counter()
        self._streams: Counter[int] = Counter()
        self._total = 0

    @property
    def connections(self) -> int:
        """Connections open now, refused ones not counted."""
        return self._total

    @property
    def waiting(self) -> int:
        """Requests that wait for their reply now, or for the rest of it."""
        return self._waiting.total()

    @property
    def crowded(self) -> bool:
        """Whether more than one uid is connected."""
        return len(self._connections) > 1

    def by_uid(self) -> list[tuple[int, int, int, int]]:
        """Each uid that is connected, with its connections, requests without an answer, streams."""
        return [
            (uid, count, self._waiting[uid] - self._streams[uid], self._streams[uid])
            for uid, count in self._connections.items()
        ]

    def connect(self, uid: int) -> str | None:
        """Counts a connection, or says which limit it would pass."""
        if self._connections[uid] >= self._limits.connections_per_uid:
            return self._excess(uid, "connections", "connections", self._limits.connections_per_uid)
        if self._total >= self._limits.connections:
            return f"all {self._limits.connections} connections are taken"
        self._connections[uid] += 1
        self._total += 1
        return None

    def disconnect(self, uid: int) -> None:
        """Gives back what `connect` counted."""
        self._total -= 1
        _discount(self._connections, uid)

    def wait(self, uid: int) -> str | None:
        """Counts a waiting request, or says which limit it would pass."""
        if self._waiting[uid] >= self._limits.waiting_per_uid:
            return self._excess(uid, "waiting requests", "waiting", self._limits.waiting_per_uid)
        self._waiting[uid] += 1
        return None

    def answered(self, uid: int) -> None:
        """Gives back what `wait` counted."""
        _discount(self._waiting, uid)

    def stream(self, uid: int) -> str | None:
        """Counts a stream, which is a waiting request too, or says which limit it would pass."""
        if self._streams[uid] >= self._limits.streams_per_uid:
            return self._excess(uid, "streams", "streams", self._limits.streams_per_uid)
        excess = self.wait(uid)
        if excess is None:
            self._streams[uid] += 1
        return excess

    def streamed(self, uid: int) -> None:
        """Gives back what `stream` counted."""
        _discount(self._streams, uid)
        self.answered(uid)

    def _excess(self, uid: int, what: str, key: str, limit: int) -> str:
        by = self._limits.counted_by
        if by == "uid":
            return (
                f"uid {uid} already has {limit} {what}, the most that one uid may have "
                f"(limits.{key}_per_uid)"
            )
        return f"this {by} already has {limit} {what}, the most that one {by} may have"


def _discount(counter: Counter[int], uid: int) -> None:
    counter[uid] -= 1
    if not counter[uid]:
        del counter[uid]
