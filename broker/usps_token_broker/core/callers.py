"""Callers and their reports: who is answered now, who waits, who is told no.

A caller waits only while a flight is out or the next one starts before the caller gives up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from usps_token_broker.core import schedule
from usps_token_broker.core.commands import (
    Answer,
    Command,
    Denial,
    Deny,
    Outcome,
    Settle,
)
from usps_token_broker.core.denials import deny, restarting
from usps_token_broker.core.events import Asked, Reported
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.planning import Planner
from usps_token_broker.core.reports import Blame
from usps_token_broker.core.values import BEARER, Now, Phase, SlotId
from usps_token_broker.core.waiting import Waiter, WaitingRoom


@dataclass(slots=True)
class Callers:
    """Everyone who asked and was not answered yet."""

    planner: Planner
    room: WaitingRoom = field(default_factory=WaitingRoom)
    blames: dict[SlotId, Blame] = field(default_factory=dict)

    def hurried(self) -> frozenset[SlotId]:
        """The slots somebody waits for, and the bearers those need."""
        wanted = self.room.wanted_slots()
        return wanted | {SlotId(slot.app, BEARER) for slot in wanted}

    def asked(self, event: Asked) -> None:
        """Take a question in; `resolve` answers it."""
        self.room.add(Waiter(event.ask, event.slots, event.give_up_at, event.min_valid_seconds))

    def reported(self, event: Reported, now: Now) -> Iterator[Command]:
        """Take a report in: blame one token, and renew it unless that is old news or too often."""
        slot, serial = self._blamed(event)
        if slot.token is None or slot.token.serial != serial:
            if slot.servable(now):
                yield Settle(event.ask, Outcome.SUPERSEDED)
                return
        elif slot.phase is Phase.IDLE and not slot.reported:
            age = now.boot - slot.token.sent_at.boot
            if not slot.guard.admit(now.boot, age, slot.life_seconds):
                yield Settle(event.ask, Outcome.THROTTLED, self._guarded(slot, now))
                return
            slot.reported = True
        else:
            slot.reported = True
            slot.suspect = slot.suspect or slot.phase is Phase.HALTED
        self.room.add(Waiter(event.ask, (slot.id,), event.give_up_at, None, serial))

    def _blamed(self, event: Reported) -> tuple[Slot, int | None]:
        bearer = self.planner.slots[SlotId(event.app, BEARER)]
        payment = self.planner.slots.get(event.payment) if event.payment else None
        if payment is None or event.payment_serial is None:
            return bearer, event.bearer_serial
        current = payment.token is not None and payment.token.serial == event.payment_serial
        if not current:
            return payment, event.payment_serial
        blame = self.blames.setdefault(payment.id, Blame())
        if blame.falls_on_payment(event.payment_serial, event.bearer_serial):
            return payment, event.payment_serial
        return bearer, event.bearer_serial

    def _guarded(self, slot: Slot, now: Now) -> Denial:
        return deny(slot, slot.guard.until_at, now, budget_blocks=True)

    def resolve(self, now: Now) -> Iterator[Command]:
        """Answer all whose slots are good, refuse all who would wait in vain."""
        for waiter in self.room.all():
            command = self._resolved(waiter, now)
            if command is not None:
                self.room.remove(waiter.ask)
                yield command

    def _resolved(self, waiter: Waiter, now: Now) -> Command | None:
        bad = [slot for slot in self._slots_of(waiter) if not self._good(slot, waiter, now)]
        if not bad:
            if waiter.reported is None:
                return Answer(waiter.ask)
            return Settle(waiter.ask, Outcome.RENEWED)
        expected = [(self.expected_at(slot, now), slot) for slot in bad]
        hopeless = [
            slot
            for at, slot in expected
            if at is None or at > waiter.give_up_at or waiter.give_up_at <= now.boot
        ]
        return self._refusal(waiter, hopeless[0], now) if hopeless else None

    def _slots_of(self, waiter: Waiter) -> list[Slot]:
        return [self.planner.slots[slot] for slot in waiter.slots]

    def _good(self, slot: Slot, waiter: Waiter, now: Now) -> bool:
        if waiter.reported is not None and slot.token and slot.token.serial == waiter.reported:
            return False
        return slot.good_for(waiter.min_valid_seconds, now)

    def _refusal(self, waiter: Waiter, slot: Slot, now: Now) -> Command:
        denial = self.denial(slot, now)
        if waiter.reported is None:
            return Deny(waiter.ask, denial)
        in_vain = slot.trouble is not None or slot.suspect
        return Settle(waiter.ask, Outcome.FAILED if in_vain else Outcome.THROTTLED, denial)

    def expected_at(self, slot: Slot, now: Now) -> float | None:
        """When this slot's next attempt starts, its bearer's where it needs one first."""
        if slot.phase is Phase.FETCHING:
            return now.boot
        if slot.phase is Phase.HALTED:
            return None
        start = self.planner.next_start(slot, now, hurried=True)
        if start is not None:
            return start.at
        bearer = self.planner.bearer_of(slot)
        return None if bearer is slot else self.expected_at(bearer, now)

    def denial(self, slot: Slot, now: Now) -> Denial:
        """Why this slot has no token now; the bearer's reason where that is what is missing."""
        bearer = self.planner.bearer_of(slot)
        if bearer is not slot and not bearer.servable(now) and slot.trouble is None:
            slot = bearer
        start = self.planner.next_start(slot, now, hurried=True)
        blocks = start is not None and start.budget_blocks
        return deny(slot, start.at if start else None, now, budget_blocks=blocks)

    def dismiss(self) -> Iterator[Command]:
        """Send everyone away, because the daemon ends."""
        for waiter in self.room.all():
            self.room.remove(waiter.ask)
            if waiter.reported is None:
                yield Deny(waiter.ask, restarting())
            else:
                yield Settle(waiter.ask, Outcome.THROTTLED, restarting())

    def next_edge_at(self, now: Now) -> float | None:
        """When time alone changes an answer: someone gives up, or a token lacks `min_valid`."""
        edges = [at for at in [self.room.next_give_up_at()] if at is not None]
        edges += [
            schedule.end_at(slot.token, now) - waiter.min_valid_seconds
            for waiter in self.room.all()
            for slot in self._slots_of(waiter)
            if slot.token is not None and waiter.min_valid_seconds is not None
        ]
        return min((edge for edge in edges if edge > now.boot), default=None)
