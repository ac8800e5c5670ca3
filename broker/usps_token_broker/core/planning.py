"""Which attempts may start now: who needs a bearer, whose turn it is, what the budget allows.

Callers who wait go first, then first attempts, then the rest. Planned renewals of many payment
slots are spread over half the lead, so that they neither burst nor run late.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from usps_token_broker.core import schedule
from usps_token_broker.core.budget import BudgetKey, HourWindow
from usps_token_broker.core.lifecycle import Cause, Slot
from usps_token_broker.core.values import BEARER, Endpoint, Freshness, Now, Phase, SlotId

MAX_FLIGHTS: Final = 8
"""Calls to one endpoint under way at once: far below any spike arrest that was ever reported."""
COLD_PACE_SECONDS: Final = 1.0

_ORDER: Final = {
    Cause.MISSING: 0,
    Cause.DUE: 1,
    Cause.RETRY: 2,
    Cause.REPORTED: 3,
    Cause.CLOCK: 4,
    Cause.PROOF: 5,
    Cause.PROBE: 6,
}


@dataclass(frozen=True, slots=True)
class AppPlan:
    """What the core must know of an app."""

    name: str
    host: str
    client_id: str
    policy: schedule.LifePolicy
    calls_per_hour: int = 30

    def key(self, endpoint: Endpoint) -> BudgetKey:
        """Whose quota a call to this endpoint counts against."""
        return BudgetKey(self.host, self.client_id, endpoint)


class Start(NamedTuple):
    """An attempt a slot wants and may make, not before `at` on the boot clock."""

    at: float
    cause: Cause
    slot: Slot
    budget_blocks: bool


def endpoint_of(slot: SlotId) -> Endpoint:
    """The USPS call that grants this slot's token."""
    return Endpoint.TOKEN if slot.is_bearer else Endpoint.PAYMENT_AUTHORIZATION


@dataclass(slots=True)
class Planner:
    """The budget windows and the pace, over all slots."""

    apps: dict[str, AppPlan]
    slots: dict[SlotId, Slot]
    windows: dict[BudgetKey, HourWindow] = field(default_factory=dict)
    paced_at: dict[str, float] = field(default_factory=dict)
    """Per app, when the last payment attempt started."""
    siblings: dict[str, int] = field(default_factory=dict)
    """Per app, how many payment slots share the pace."""

    def __post_init__(self) -> None:
        """Count the payment slots once; they do not change under a planner."""
        for slot in self.slots:
            if not slot.is_bearer:
                self.siblings[slot.app] = self.siblings.get(slot.app, 0) + 1

    def window(self, slot: SlotId) -> HourWindow:
        """The hour that calls for this slot count against."""
        app = self.apps[slot.app]
        key = app.key(endpoint_of(slot))
        if key not in self.windows:
            self.windows[key] = HourWindow(app.calls_per_hour)
        self.windows[key].limit = app.calls_per_hour
        return self.windows[key]

    def bearer_of(self, slot: Slot) -> Slot:
        """The bearer slot of the same app."""
        return self.slots[SlotId(slot.id.app, BEARER)]

    def bearer_usable(self, slot: Slot, now: Now) -> bool:
        """Whether a payment slot has a bearer to ask with: served, and not under suspicion."""
        bearer = self.bearer_of(slot)
        if not bearer.servable(now):
            return False
        return not bearer.reported or bearer.suspect

    def next_start(self, slot: Slot, now: Now, *, hurried: bool) -> Start | None:
        """When this slot's next attempt may start, or None when time alone will not start it."""
        want = slot.wanted(now)
        if want is None or want.at == float("inf"):
            return None
        if not slot.id.is_bearer and not self.bearer_usable(slot, now):
            return None
        at = max(want.at, now.boot)
        allowed_at = max(
            slot.bucket.ready_at(want.need, now.boot, slot.life_seconds),
            self.window(slot.id).ready_at(want.need, now.boot),
        )
        blocks = allowed_at > at
        at = max(at, allowed_at)
        if not hurried:
            at = max(at, self._paced_from(slot, want.cause, now))
        return Start(at, want.cause, slot, blocks)

    def _paced_from(self, slot: Slot, cause: Cause, now: Now) -> float:
        last = self.paced_at.get(slot.id.app)
        siblings = self.siblings.get(slot.id.app, 0)
        if last is None or slot.id.is_bearer or siblings < 2:  # noqa: PLR2004 - one has no peers
            return 0.0
        match cause:
            case Cause.MISSING:
                return last + schedule.scaled(COLD_PACE_SECONDS, slot.life_seconds)
            case Cause.DUE if slot.freshness(now) is Freshness.DUE:
                lead = schedule.lead_seconds(slot.policy, slot.life_seconds)
                return last + lead / (2 * siblings)
            case _:
                return 0.0

    def startable(self, now: Now, hurried: frozenset[SlotId]) -> Start | None:
        """The attempt that should start first among those that may start now."""
        flights = self._flights()
        candidates = (
            start
            for start in self._starts(self.slots.values(), now, hurried)
            if start.at <= now.boot and flights.get(self._lane(start.slot), 0) < MAX_FLIGHTS
        )
        return min(candidates, key=lambda start: self._rank(start, hurried), default=None)

    def _starts(
        self, slots: Iterable[Slot], now: Now, hurried: frozenset[SlotId]
    ) -> Iterable[Start]:
        for slot in slots:
            start = self.next_start(slot, now, hurried=slot.id in hurried)
            if start is not None:
                yield start

    def _lane(self, slot: Slot) -> BudgetKey:
        return self.apps[slot.id.app].key(endpoint_of(slot.id))

    def _flights(self) -> dict[BudgetKey, int]:
        flights: dict[BudgetKey, int] = {}
        for slot in self.slots.values():
            if slot.phase is Phase.FETCHING:
                lane = self._lane(slot)
                flights[lane] = flights.get(lane, 0) + 1
        return flights

    @staticmethod
    def _rank(start: Start, hurried: frozenset[SlotId]) -> tuple[bool, int, float]:
        wanted_at = start.slot.token.renew_at if start.slot.token else 0.0
        return (start.slot.id not in hurried, _ORDER[start.cause], wanted_at)

    def charge(self, start: Start, now: Now) -> None:
        """Count the call and its turn; the slot charges its own bucket."""
        self.window(start.slot.id).charge(now.boot)
        if not start.slot.id.is_bearer:
            self.paced_at[start.slot.id.app] = now.boot

    def next_start_at(self, now: Now, hurried: frozenset[SlotId]) -> Start | None:
        """The next attempt that time will start, of any slot.

        One that may start already and has not waits for a flight to end, not for time.
        """
        starts = self._starts(self.slots.values(), now, hurried)
        later = (start for start in starts if start.at > now.boot)
        return min(later, key=lambda start: start.at, default=None)
