"""All slots together. Three things drive it: events, commands' results as events, and time.

`handle(event, now)` decides without waiting and says what to do; then the caller asks
`next_wakeup(now)` and comes back with `Woke` no later than that. Nothing here reads a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from usps_token_broker.core import notes, restoring, saving, schedule, snapshot
from usps_token_broker.core.callers import Callers
from usps_token_broker.core.commands import Command, Denial, Fetch, Persist, Publish
from usps_token_broker.core.events import (
    Asked,
    CredentialsSeen,
    Event,
    Failed,
    Granted,
    Reported,
    Restored,
    Stopped,
    Withdrawn,
    Woke,
)
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.planning import AppPlan, Planner, Start, endpoint_of
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import (
    BEARER,
    PAYMENTS_SCOPE,
    Freshness,
    Now,
    Phase,
    SlotId,
    Token,
)


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """A slot as configured. `basis` is the fingerprint of a payment's roles."""

    id: SlotId
    basis: str = ""
    required: bool = False


class Wakeup(NamedTuple):
    """When to come back, on the boot clock, and why."""

    at: float
    why: str


class Seen(NamedTuple):
    """What callers were last told of a slot; a difference is worth a `Publish`."""

    serial: int | None
    freshness: Freshness
    phase: Phase
    degraded: bool
    trouble: object


class Broker:
    """The state of everything, and every decision."""

    def __init__(self, apps: Iterable[AppPlan], slots: Iterable[SlotPlan]) -> None:
        plans = {app.name: app for app in apps}
        wanted = tuple(slots)
        self._required = {plan.id for plan in wanted if plan.required}
        self._slots = {
            plan.id: Slot(plan.id, plans[plan.id.app].policy, plan.basis) for plan in wanted
        }
        self._planner = Planner(plans, self._slots)
        self._callers = Callers(self._planner)
        self._last_serial = 0
        self._boot_id = ""
        self._running = False
        self._dirty = False
        self._seen: dict[SlotId, Seen] = {}
        self._skew_seconds: dict[str, float] = {}

    # -- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Now) -> list[Command]:
        """Decide what follows from this event at this time.

        Of the commands, `Persist` stands before every `Fetch`: what is sent was charged first.
        """
        out = list(self._dispatch(event, now))
        if self._running:
            out += self._settle(now)
        if self._dirty:
            self._dirty = False
            first = next((i for i, c in enumerate(out) if isinstance(c, Fetch)), len(out))
            out.insert(first, Persist())
        return out

    def _dispatch(self, event: Event, now: Now) -> Iterable[Command]:  # noqa: PLR0911 - one branch per event
        match event:
            case Restored():
                return self._restored(event, now)
            case Granted():
                return self._granted(event, now)
            case Failed():
                return self._failed(event, now)
            case CredentialsSeen():
                return self._credentials_seen(event)
            case Asked():
                self._callers.asked(event)
                return ()
            case Reported():
                return list(self._callers.reported(event, now))
            case Withdrawn():
                self._callers.room.remove(event.ask)
                return ()
            case Woke():
                return ()
            case Stopped():
                self._running = False
                self._dirty = True
                return list(self._callers.dismiss())
            case _:
                assert_never(event)

    def _restored(self, event: Restored, now: Now) -> list[Command]:
        self._boot_id = event.boot_id
        self._running = True
        self._dirty = True
        if event.saved is None:
            return []
        self._last_serial = event.saved.last_serial
        self._planner.windows.update(restoring.windows(event.saved, event.boot_id, now))
        out: list[Command] = []
        for slot in self._slots.values():
            saved = restoring.find(event.saved, self._planner.apps[slot.id.app], slot)
            if saved is not None:
                out += restoring.restore(slot, saved, event.saved, event.boot_id, now)
        return out

    def _credentials_seen(self, event: CredentialsSeen) -> list[Command]:
        bearer = self._slots[SlotId(event.app, BEARER)]
        before, bearer.basis = bearer.basis, event.fingerprint
        if not self._running or event.fingerprint in {before, bearer.refused}:
            return []
        self._dirty = True
        for slot in self._slots.values():
            if slot.id.app == event.app and (slot is bearer or slot.phase is Phase.HALTED):
                slot.plan_anew()
        return [notes.secret_changed(bearer)]

    def _granted(self, event: Granted, now: Now) -> list[Command]:
        slot = self._slots.get(event.slot)
        if slot is None or slot.phase is not Phase.FETCHING or slot.attempt != event.attempt:
            return []
        self._dirty = True
        self._note_skew(slot, event.grant.skew_seconds)
        proof = slot.proof_pending()
        if not slot.gains(event.grant, event.sent_at, now):
            if proof:
                slot.proved()
                return [notes.secret_accepted(slot)]
            return self._failed(Failed(event.slot, event.attempt, notes.UNCHANGED, event.draw), now)
        before = slot.token
        self._last_serial = max(self._last_serial + 1, int(now.wall * 1000))
        slot.granted(self._token(slot, event))
        out: list[Command] = [notes.granted(slot, before, now)]
        if proof:
            out.append(notes.secret_accepted(slot))
        if slot.id.is_bearer:
            self._bearer_changed(slot, before)
        return out

    def _token(self, slot: Slot, event: Granted) -> Token:
        grant, sent_at = event.grant, event.sent_at
        end_at = sent_at.boot + grant.life_seconds
        return Token(
            value=grant.value,
            serial=self._last_serial,
            token_type=grant.token_type,
            sent_at=sent_at,
            life_seconds=grant.life_seconds,
            renew_at=schedule.renew_at(slot.policy, end_at, grant.life_seconds, event.draw),
            scopes=grant.scopes,
        )

    def _bearer_changed(self, bearer: Slot, before: Token | None) -> None:
        """A payment that this bearer may cure is looked at again."""
        old = set(before.scopes or ()) if before else set()
        new = set(bearer.token.scopes or ()) if bearer.token else set()
        for slot in self._payments_of(bearer):
            kind = slot.trouble.kind if slot.trouble else None
            refused_with_less = slot.phase is Phase.HALTED and new > old
            cured = slot.halted_for_scope() or kind is FailureKind.BEARER_REFUSED
            if slot.phase is not Phase.FETCHING and (
                refused_with_less or (cured and slot.phase is not Phase.IDLE)
            ):
                slot.plan_anew()

    def _payments_of(self, bearer: Slot) -> list[Slot]:
        return [s for s in self._slots.values() if s.id.app == bearer.id.app and s is not bearer]

    def _failed(self, event: Failed, now: Now) -> list[Command]:
        slot = self._slots.get(event.slot)
        if slot is None or slot.phase is not Phase.FETCHING or slot.attempt != event.attempt:
            return []
        self._dirty = True
        failure = event.failure
        self._note_skew(slot, failure.skew_seconds)
        if failure.kind is FailureKind.UNREACHED:
            self._planner.window(slot.id).refund(slot.charged_at)
        slot.failed(failure, event.draw, now)
        if failure.kind is FailureKind.BEARER_REFUSED and not slot.halted():
            self._suspect_bearer(slot, now)
        return [notes.failed(slot, failure, now)]

    def _suspect_bearer(self, slot: Slot, now: Now) -> None:
        """A 401 of payment-authorization: another bearer, once for this attempt."""
        bearer = self._planner.bearer_of(slot)
        if bearer.token is None or bearer.token.serial != slot.bearer_serial:
            slot.bearer_renewed = True
            slot.plan_anew()
            return
        age = now.boot - bearer.token.sent_at.boot
        if bearer.reported or bearer.phase is not Phase.IDLE:
            slot.bearer_renewed = True
        elif bearer.guard.admit(now.boot, age, bearer.life_seconds):
            bearer.reported = True
            slot.bearer_renewed = True

    def _note_skew(self, slot: Slot, skew_seconds: float | None) -> None:
        if skew_seconds is not None:
            self._skew_seconds[slot.id.app] = skew_seconds

    # -- what follows ---------------------------------------------------------------------------

    def _settle(self, now: Now) -> list[Command]:
        out: list[Command] = []
        for slot in self._slots.values():
            if slot.give_up(now):
                self._dirty = True
                out.append(notes.gave_up(slot))
            if not slot.id.is_bearer:
                out += self._check_scope(slot, now)
        out += self._start_all(now)
        out += self._callers.resolve(now)
        out += self._publish(now)
        return out

    def _check_scope(self, slot: Slot, now: Now) -> list[Command]:
        bearer = self._planner.bearer_of(slot).token
        if bearer is None or bearer.scopes is None:
            return []
        if slot.halted_for_scope() and bearer.serial != slot.bearer_serial:
            slot.plan_anew()
        want = slot.wanted(now)
        if PAYMENTS_SCOPE in bearer.scopes or want is None or want.at > now.boot:
            return []
        if slot.phase is Phase.HALTED or not self._planner.bearer_usable(slot, now):
            return []
        slot.miss_scope(notes.SCOPE_MISSING, bearer.serial, now)
        self._dirty = True
        return [notes.failed(slot, notes.SCOPE_MISSING, now)]

    def _start_all(self, now: Now) -> list[Command]:
        out: list[Command] = []
        hurried = self._callers.hurried()
        while (start := self._planner.startable(now, hurried)) is not None:
            out.append(self._start(start, now))
        return out

    def _start(self, start: Start, now: Now) -> Fetch:
        slot = start.slot
        bearer = None if slot.id.is_bearer else self._planner.bearer_of(slot).token
        self._planner.charge(start, now)
        slot.start(start.cause, bearer.serial if bearer else None, now)
        self._dirty = True
        return Fetch(slot.id, slot.attempt, endpoint_of(slot.id), bearer.value if bearer else None)

    def _publish(self, now: Now) -> list[Command]:
        out: list[Command] = []
        for slot in self._slots.values():
            seen = Seen(
                slot.token.serial if slot.token else None,
                slot.freshness(now),
                slot.phase,
                slot.degraded(now),
                slot.trouble,
            )
            if self._seen.get(slot.id) != seen:
                before = self._seen.get(slot.id)
                self._seen[slot.id] = seen
                out.append(Publish(slot.id))
                out += notes.freshness_changed(slot, before.freshness if before else None, now)
        return out

    # -- what is asked of it --------------------------------------------------------------------

    def next_wakeup(self, now: Now) -> Wakeup | None:
        """The soonest instant at which time alone changes anything."""
        candidates: list[Wakeup] = []
        start = self._planner.next_start_at(now, self._callers.hurried())
        if start is not None:
            candidates.append(Wakeup(start.at, f"{start.slot.id} {start.cause}"))
        for slot in self._slots.values():
            edge = schedule.next_edge_at(slot.policy, slot.token, now)
            if edge is not None:
                candidates.append(Wakeup(edge, f"{slot.id} freshness"))
        give_up = self._callers.next_edge_at(now)
        if give_up is not None:
            candidates.append(Wakeup(give_up, "a caller gives up"))
        return min(candidates, default=None)

    def serving(self, slot: SlotId, now: Now) -> snapshot.Serving | None:
        """What may be handed out for this slot now, or None."""
        return snapshot.serving(self._slots[slot], now)

    def denial(self, slot: SlotId, now: Now) -> Denial:
        """What a caller is told of this slot while it cannot be served."""
        return self._callers.denial(self._slots[slot], now)

    def snapshot(self, now: Now) -> snapshot.Snapshot:
        """Everything a person may see. It holds no secret."""
        return snapshot.take(self._planner, self._required, self._skew_seconds, now)

    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._callers.room)

    def state(self, now: Now) -> SavedState:
        """What the next process should know. It holds the tokens."""
        return saving.save(self._planner, self._boot_id, self._last_serial, now)
