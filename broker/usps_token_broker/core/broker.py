"""All slots together. Three things drive it: events, commands' results as events, and time.

`handle(event, now)` decides without waiting and says what to do; then the caller asks
`next_wakeup(now)` and comes back with `Woke` no later than that. Nothing here reads a clock.
"""

from collections.abc import Iterable
from typing import NamedTuple, assert_never

from usps_token_broker.core import (
    credentials,
    denials,
    notes,
    payments,
    reloading,
    restoring,
    saving,
    schedule,
    snapshot,
)
from usps_token_broker.core.callers import Callers
from usps_token_broker.core.commands import Command, Denial, Fetch, Persist
from usps_token_broker.core.events import (
    Asked,
    CredentialsSeen,
    Event,
    Failed,
    Forgotten,
    Granted,
    Reloaded,
    RenewalOrdered,
    Reported,
    Restored,
    Stopped,
    Used,
    Withdrawn,
    Woke,
)
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.planning import Planner, Start, endpoint_of
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.publishing import Publisher
from usps_token_broker.core.results import Results
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import BEARER, Now, SlotId


class Wakeup(NamedTuple):
    """When to come back, on the boot clock, and why."""

    at: float
    why: str


class Broker:
    """The state of everything, and every decision."""

    def __init__(self, apps: Iterable[AppPlan], slots: Iterable[SlotPlan]) -> None:
        plans = {app.name: app for app in apps}
        wanted = tuple(slots)
        self._required = _required(wanted)
        self._slots = {plan.id: reloading.make_slot(plan, plans[plan.id.app]) for plan in wanted}
        self._planner = Planner(plans, self._slots)
        self._results = Results(self._planner)
        self._callers = Callers(self._planner)
        self._publisher = Publisher()
        self._boot_id = ""
        self._running = False
        self._stopped = False
        self._dirty = False

    # -- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Now) -> list[Command]:
        """Decide what follows from this event at this time.

        Of the commands, `Persist` stands before every `Fetch`: what is sent was charged first.
        """
        out = self._dispatch(event, now)
        if self._stopped:
            out += self._callers.dismiss()
        elif self._running:
            out += self._settle(now)
        if self._dirty:
            self._dirty = False
            first = next((i for i, c in enumerate(out) if isinstance(c, Fetch)), len(out))
            out.insert(first, Persist())
        return out

    def _dispatch(self, event: Event, now: Now) -> list[Command]:  # noqa: PLR0911 - one branch per event
        match event:
            case Restored():
                return self._restored(event, now)
            case Granted() | Failed():
                return self._landed(event, now)
            case CredentialsSeen():
                return self._credentials_seen(event)
            case Reloaded():
                return self._reloaded(event, now)
            case Forgotten():
                return self._forgotten(event)
            case Reported():
                return self._callers.reported(event, now)
            case Asked() | RenewalOrdered() | Used() | Withdrawn():
                self._take_in(event, now)
                return []
            case Woke():
                return []
            case Stopped():
                self._stopped = True
                self._dirty = True
                return []
            case _:
                assert_never(event)

    def _take_in(self, event: Asked | RenewalOrdered | Used | Withdrawn, now: Now) -> None:
        match event:
            case Asked():
                self._callers.asked(event, now)
            case RenewalOrdered():
                self._callers.ordered(event, now)
            case Used():
                self._used(event, now)
            case Withdrawn():
                self._callers.room.remove(event.ask)
            case _:
                assert_never(event)

    def _used(self, event: Used, now: Now) -> None:
        slot = self._slots.get(event.slot)
        if slot is not None:
            slot.asked(now)
            self._dirty = True

    def _restored(self, event: Restored, now: Now) -> list[Command]:
        self._boot_id = event.boot_id
        self._running = True
        self._dirty = True
        if event.saved is None:
            return []
        self._results.last_serial = restoring.last_serial(event.saved)
        translation = restoring.Translation(event.saved, event.boot_id, now)
        restoring.restore_windows(self._planner.windows, event.saved, translation)
        in_force = {slot.id: slot.basis for slot in self._slots.values() if slot.id.is_bearer}
        out: list[Command] = []
        for slot in self._slots.values():
            saved = restoring.find(event.saved, self._planner.apps[slot.id.app], slot)
            if saved is not None:
                out += restoring.restore(slot, saved, translation)
        for bearer, fingerprint in in_force.items():
            if fingerprint:
                out += self._credentials_seen(CredentialsSeen(bearer.app, fingerprint))
        return out

    def _landed(self, event: Granted | Failed, now: Now) -> list[Command]:
        slot = self._results.flight(event)
        if slot is None:
            return []
        self._dirty = True
        if isinstance(event, Granted):
            return [*self._results.granted(slot, event, now)]
        return [*self._results.failed(slot, event, now)]

    def _reloaded(self, event: Reloaded, now: Now) -> list[Command]:
        self._planner, out = reloading.replan(self._planner, event.apps, event.slots, now)
        self._slots = self._planner.slots
        self._results.planner = self._callers.planner = self._planner
        self._required = _required(event.slots)
        self._publisher.forget_all_but(self._slots)
        self._dirty = True
        return [*out]

    def _forgotten(self, event: Forgotten) -> list[Command]:
        slots = [self._slots[slot] for slot in event.slots if slot in self._slots]
        for slot in slots:
            slot.forget()
        self._dirty = True
        return [notes.forgotten(slot) for slot in slots]

    def _credentials_seen(self, event: CredentialsSeen) -> list[Command]:
        bearer = self._slots.get(SlotId(event.app, BEARER))
        if bearer is None:
            return []
        if not credentials.seen(bearer, event.fingerprint) or not self._running:
            return []
        self._dirty = True
        return [*credentials.changed(bearer, self._planner.payments_of(bearer))]

    # -- what follows ---------------------------------------------------------------------------

    def _settle(self, now: Now) -> list[Command]:
        out: list[Command] = []
        for slot in self._slots.values():
            if slot.give_up(now):
                self._dirty = True
                out.append(notes.gave_up(slot))
        for app, slots in self._planner.siblings.items():
            bearer = self._slots[SlotId(app, BEARER)]
            lacks_scope = payments.lacks_scope(bearer)
            for slot in slots:
                if lacks_scope or slot.halted():
                    out += self._check_scope(slot, bearer, now)
        out += self._start_all(now)
        out += self._callers.resolve(now)
        for slot in self._slots.values():
            out += self._publisher.changes(slot, now)
        return out

    def _check_scope(self, slot: Slot, bearer: Slot, now: Now) -> list[Command]:
        if not self._planner.bearer_usable(slot, now):
            return []
        out = payments.check_scope(slot, bearer, now)
        self._dirty = self._dirty or bool(out)
        return [*out]

    def _start_all(self, now: Now) -> list[Command]:
        return [self._start(s, now) for s in self._planner.startable(now, self._callers.hurried())]

    def _start(self, start: Start, now: Now) -> Fetch:
        slot = start.slot
        bearer = None if slot.id.is_bearer else self._planner.bearer_of(slot).token
        self._planner.charge(start, now)
        slot.start(start.cause, bearer, now)
        self._dirty = True
        account = self._planner.apps[slot.id.app].account
        value = bearer.value if bearer else None
        return Fetch(slot.id, slot.attempt, endpoint_of(slot.id), account, value)

    # -- what is asked of it --------------------------------------------------------------------

    def next_wakeup(self, now: Now) -> Wakeup | None:
        """The soonest instant at which time alone changes anything; after `Stopped`, none."""
        if not self._running or self._stopped:
            return None
        candidates: list[Wakeup] = []
        start = self._planner.next_start_at(now, self._callers.hurried())
        if start is not None:
            candidates.append(Wakeup(start.at, f"{start.slot.id} {start.cause}"))
        for slot in self._slots.values():
            edge = schedule.next_edge_at(slot.policy, slot.token, now)
            if edge is not None:
                candidates.append(Wakeup(edge, f"{slot.id} freshness"))
        give_up = self._callers.next_give_up_at(now)
        if give_up is not None:
            candidates.append(Wakeup(give_up, "a caller gives up"))
        return min(candidates, default=None)

    def serving(self, slot: SlotId, now: Now) -> snapshot.Serving | None:
        """What may be handed out for this slot now, or None."""
        found = self._slots.get(slot)
        return None if found is None else snapshot.serving(found, now)

    def denial(self, slot: SlotId, now: Now) -> Denial:
        """What a caller is told of this slot while it cannot be served."""
        found = self._slots.get(slot)
        return denials.gone(slot) if found is None else self._callers.denial(found, now)

    def slot_view(self, slot: SlotId, now: Now) -> snapshot.SlotView | None:
        """What a person may see of one slot; None when there is none of that name."""
        found = self._slots.get(slot)
        if found is None:
            return None
        return snapshot.view(self._planner, found, now, required=slot in self._required)

    def snapshot(self, now: Now) -> snapshot.Snapshot:
        """Everything a person may see. It holds no secret."""
        return snapshot.take(self._planner, self._required, self._results.skew_seconds, now)

    def secrets_in_force(self) -> dict[str, str]:
        """The fingerprint of each app's client secret, by the app's name."""
        return {slot.id.app: slot.basis for slot in self._slots.values() if slot.id.is_bearer}

    def is_superseded(self, report: Reported, now: Now) -> bool:
        """Whether this report is old news: `Settle` would come at once and nothing would change."""
        return self._callers.is_superseded(report, now)

    @property
    def stopped(self) -> bool:
        """Whether it heard `Stopped`: nothing is begun any more."""
        return self._stopped

    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._callers.room)

    def state(self, now: Now) -> SavedState:
        """What the next process should know. It holds the tokens."""
        return saving.save(self._planner, self._boot_id, self._results.last_serial, now)


def _required(slots: Iterable[SlotPlan]) -> set[SlotId]:
    return {plan.id for plan in slots if plan.required}
