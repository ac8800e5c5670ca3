"""Which attempts may start now: who needs a bearer, whose turn it is, what the budget allows.

Callers who wait go first, then tokens that are missing, then renewals and their retries, the one
whose buffer begins first before the others, then the rest. Planned renewals of many payment slots
are spread over half the lead, so that they neither burst nor run late.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from usps_token_broker.core import payments, schedule
from usps_token_broker.core.budget import BudgetKey, HourWindow
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.phases import NEEDS, URGENCY, Cause, Held, Wanted
from usps_token_broker.core.plans import AppPlan
from usps_token_broker.core.values import Endpoint, Freshness, Now, Phase, SlotId

MAX_FLIGHTS: Final = 8
"""Calls to one endpoint under way at once: far below any spike arrest that was ever reported."""


class Start(NamedTuple):
    """An attempt a slot wants and may make, not before `at` on the boot clock."""

    at: float
    cause: Cause
    slot: Slot
    held: Held


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
    attempt_floor: int = 0
    """The highest number of an attempt of a slot that is gone."""
    siblings: dict[str, list[Slot]] = field(init=False, default_factory=dict)
    """Per app, its payment slots; they do not change under a planner."""

    _bearers: dict[str, Slot] = field(init=False, default_factory=dict)
    _window_of: dict[SlotId, HourWindow] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Group the slots and open their windows."""
        self.siblings = {app: [] for app in self.apps}
        for slot in self.slots.values():
            if slot.id.is_bearer:
                self._bearers[slot.id.app] = slot
            else:
                self.siblings[slot.id.app].append(slot)
        self._open_windows()
        self._window_of = {
            slot: self.windows[self.apps[slot.app].key(endpoint_of(slot))] for slot in self.slots
        }

    def _open_windows(self) -> None:
        limits: dict[BudgetKey, int] = {}
        for app in self.apps.values():
            for endpoint in Endpoint:
                key = app.key(endpoint)
                # Apps may share a client id; the more careful of them speaks for all.
                limits[key] = min(limits.get(key, app.calls_per_hour), app.calls_per_hour)
        for key, limit in limits.items():
            self.windows.setdefault(key, HourWindow(limit)).limit = limit

    def highest_attempt(self) -> int:
        """The highest number an attempt was ever given, by this planner or one before."""
        return max([self.attempt_floor, *(slot.attempt for slot in self.slots.values())])

    def window(self, slot: SlotId) -> HourWindow:
        """The hour that calls for this slot count against."""
        return self._window_of[slot]

    def bearer_of(self, slot: Slot) -> Slot:
        """The bearer slot of the same app."""
        return self._bearers[slot.id.app]

    def payments_of(self, bearer: Slot) -> list[Slot]:
        """The payment slots of the same app."""
        return self.siblings[bearer.id.app]

    def bearer_usable(self, slot: Slot, now: Now) -> bool:
        """Whether a payment slot has a bearer to ask with, and none better is on its way."""
        bearer = self.bearer_of(slot)
        if not bearer.servable(now) or payments.refused_with(slot, bearer):
            return False
        if payments.awaits_bearer(slot, bearer):
            return False
        return not bearer.reported or bearer.suspect or not self._renewing(bearer, now)

    def _renewing(self, bearer: Slot, now: Now) -> bool:
        start = self.next_start(bearer, now, hurried=True)
        about_to_start = start is not None and start.at <= now.boot
        return bearer.phase is Phase.FETCHING or about_to_start

    def next_start(self, slot: Slot, now: Now, *, hurried: bool) -> Start | None:
        """When this slot's next attempt may start, or None when time alone will not start it."""
        want = self._wanted(slot, now)
        if want is None or want.at == math.inf:
            return None
        return self._start(slot, want, now, hurried=hurried)

    def _wanted(self, slot: Slot, now: Now) -> Wanted | None:
        """What the slot wants; an order is worth less, and must not hold back what was planned."""
        want, planned = slot.wanted(now), slot.wanted_anyway(now)
        if want is None or planned is None:
            return want
        return min(planned, want, key=lambda each: max(each.at, self._allowed_at(slot, each, now)))

    def _allowed_at(self, slot: Slot, want: Wanted, now: Now) -> float:
        return max(
            slot.bucket.ready_at(want.need, now.boot, slot.life_seconds),
            self.window(slot.id).ready_at(want.need, now.boot),
        )

    def _start(self, slot: Slot, want: Wanted, now: Now, *, hurried: bool) -> Start | None:
        if not slot.id.is_bearer and not self.bearer_usable(slot, now):
            return None
        at = max(want.at, now.boot)
        window = self.window(slot.id)
        allowed_at = self._allowed_at(slot, want, now)
        held = Held.NOTHING
        if max(allowed_at, window.floor_at) > at:
            held = Held.BUDGET if allowed_at > window.floor_at else Held.RETRY_AFTER
        at = max(at, allowed_at, window.floor_at)
        if not hurried:
            at = max(at, self._paced_from(slot, want.cause, now))
        return Start(at, want.cause, slot, held)

    def _paced_from(self, slot: Slot, cause: Cause, now: Now) -> float:
        last = self.paced_at.get(slot.id.app)
        peers = len(self.siblings[slot.id.app])
        if last is None or slot.id.is_bearer or peers < 2:  # noqa: PLR2004 - one has no peers
            return 0.0
        match cause:
            case Cause.MISSING:
                return last + schedule.scaled(schedule.COLD_PACE_SECONDS, slot.life_seconds)
            case Cause.DUE | Cause.CLOCK if slot.freshness(now) is Freshness.DUE:
                lead = schedule.lead_seconds(slot.policy, slot.life_seconds)
                return last + lead / (2 * peers)
            case _:
                return 0.0

    def startable(self, now: Now, hurried: frozenset[SlotId]) -> Iterator[Start]:
        """The attempts that may start now, in their order; each must be charged as it comes."""
        flights = self._flights()
        for slot, want in self._due(now, hurried):
            window = self.window(slot.id)
            if flights[id(window)] >= MAX_FLIGHTS:
                continue
            start = self._start(slot, want, now, hurried=slot.id in hurried)
            if start is not None and start.at <= now.boot:
                flights[id(window)] += 1
                yield start

    def _due(self, now: Now, hurried: frozenset[SlotId]) -> list[tuple[Slot, Wanted]]:
        due = [
            (slot, want)
            for slot in self.slots.values()
            if (want := self._wanted(slot, now)) is not None and want.at <= now.boot
        ]

        def rank(wish: tuple[Slot, Wanted]) -> tuple[bool, int, float]:
            slot, want = wish
            if want.cause is Cause.RETRY and want.need == NEEDS[Cause.RETRY]:
                return (slot.id not in hurried, URGENCY[Cause.DUE], slot.late_at(now))
            at = slot.late_at(now) if want.cause is Cause.DUE else want.at
            return (slot.id not in hurried, URGENCY[want.cause], at)

        return sorted(due, key=rank)

    def _flights(self) -> Counter[int]:
        flying = (slot for slot in self.slots.values() if slot.phase is Phase.FETCHING)
        return Counter(id(self.window(slot.id)) for slot in flying)

    def charge(self, start: Start, now: Now) -> None:
        """Count the call and its turn; the slot charges its own bucket."""
        is_retry = start.cause is Cause.RETRY
        self.window(start.slot.id).charge(now.boot, is_retry=is_retry)
        if not start.slot.id.is_bearer:
            self.paced_at[start.slot.id.app] = now.boot

    def next_start_at(self, now: Now, hurried: frozenset[SlotId]) -> Start | None:
        """The next attempt that time will start, of any slot.

        One that may start already and has not waits for a flight to end, not for time.
        """
        first: Start | None = None
        for slot in self.slots.values():
            want = self._wanted(slot, now)
            if want is None or want.at == math.inf or (first and want.at >= first.at):
                continue
            start = self._start(slot, want, now, hurried=slot.id in hurried)
            if start is not None and start.at > now.boot and (not first or start.at < first.at):
                first = start
        return first
