"""What has happened since the broker started, in plain numbers, until somebody asks for them.

Counting must cost a reply next to nothing; making figures of it is `app.metrics`'s business.
"""

import bisect
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable
from typing import Final

from usps_token_broker.app.calls import Handled
from usps_token_broker.app.promises import Told
from usps_token_broker.core.commands import Command, Note, Outcome
from usps_token_broker.core.events import Event, Failed, Granted
from usps_token_broker.core.notes import UNCHANGED
from usps_token_broker.core.outcomes import Code, FailureKind
from usps_token_broker.core.values import Endpoint, SlotId
from usps_token_broker.wire.replies import Reply, Streamed

NO_OPERATION: Final = "none"
"""Where a path or a method is not served, a request target makes no sense, or a peer is let do
nothing at all. What the server refuses by itself never gets as far as to be counted."""
DURATION_BOUNDS_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Up to the deadline of an attempt as it is configured by default."""


class Durations:
    """How long attempts took: how many up to each bound, the last one without any."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(DURATION_BOUNDS_SECONDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect.bisect_left(DURATION_BOUNDS_SECONDS, seconds)] += 1
        self.seconds += seconds


def _from_zero() -> defaultdict[int, int]:
    return defaultdict(int)


class Tally:
    """Counts, by what they are counted by."""

    __slots__ = ("durations", "failures", "grants", "reloads", "reports", "requests")

    def __init__(self) -> None:
        self.requests: defaultdict[str, defaultdict[int, int]] = defaultdict(_from_zero)
        """By operation, and by status. A `Counter`, or one of pairs, takes twice as long to count
        one, and this is done for every token that is handed out."""
        self.grants: Counter[SlotId] = Counter()
        self.failures: Counter[tuple[SlotId, Code, FailureKind]] = Counter()
        self.reports: Counter[tuple[str, Outcome]] = Counter()
        """By app and outcome."""
        self.reloads: Counter[bool] = Counter()
        """By whether they were put in force."""
        self.durations: dict[tuple[str, Endpoint], Durations] = {}
        """By app and endpoint."""

    def counted(self, operation: str, handled: Handled) -> Handled:
        """Count a reply, now or when it comes."""
        if type(handled) is Reply:
            self.requests[operation][handled.status] += 1
            return handled
        if isinstance(handled, Streamed):
            self.requests[operation][handled.status] += 1
        elif isinstance(handled, Coroutine):
            return Told(handled, lambda reply: self._count(operation, reply))
        return handled

    def _count(self, operation: str, reply: Reply) -> None:
        self.requests[operation][reply.status] += 1

    def took(self, app: str, endpoint: Endpoint, seconds: float) -> None:
        """An attempt at USPS ended after this long."""
        self.durations.setdefault((app, endpoint), Durations()).add(seconds)

    def handled(self, event: Event, commands: Iterable[Command]) -> None:
        """The core took this event in, and said this to it: it knows what counts."""
        if not isinstance(event, Granted | Failed):
            return
        said = {c.event for c in commands if isinstance(c, Note) and c.slot == event.slot}
        if "granted" in said:
            self.grants[event.slot] += 1
        elif "failed" in said:
            failure = event.failure if isinstance(event, Failed) else UNCHANGED
            self.failures[event.slot, failure.code, failure.kind] += 1
