"""Callers and their reports: who is answered now, who waits, who is told no.

A caller waits only while a flight is out or the next one starts before the caller gives up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from usps_token_broker.core import denials, payments
from usps_token_broker.core.commands import Answer, Command, Denial, Deny, Outcome, Settle
from usps_token_broker.core.denials import Order
from usps_token_broker.core.events import Asked, RenewalOrdered, Reported
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.phases import Held
from usps_token_broker.core.planning import Planner
from usps_token_broker.core.reports import Blame
from usps_token_broker.core.values import BEARER, Now, Phase, SlotId
from usps_token_broker.core.waiting import Waiter, WaitingRoom

Lacking = list[tuple[Slot, float | None]]
"""Slots that are not good enough yet, with when their next attempt starts."""


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

    def asked(self, event: Asked, now: Now) -> None:
        """Take a question in; `resolve` answers it."""
        for slot in filter(None, map(self.planner.slots.get, event.slots)):
            slot.asked(now)
        self.room.add(Waiter(event.ask, event.slots, event.give_up_at, event.min_valid_seconds))

    def ordered(self, event: RenewalOrdered, now: Now) -> None:
        """Take a person's order in: settled when another token than the present one is there."""
        slot = self.planner.slots.get(event.slot)
        serial, attempt = None, None
        if slot is not None:
            attempt = slot.order(now)
            serial = slot.token.serial if slot.token else None
        self.room.add(
            Waiter(
                event.ask,
                (event.slot,),
                event.give_up_at,
                is_report=True,
                serial=serial,
                attempt=attempt,
            )
        )

    def reported(self, event: Reported, now: Now) -> list[Command]:
        """Take a report in: blame one token, and renew it unless that is old news or too often."""
        if SlotId(event.app, BEARER) not in self.planner.slots:
            gone = denials.gone(SlotId(event.app, BEARER))
            return [Settle(event.ask, Outcome.FAILED, gone)]
        slot, serial = self._blamed(event, now)
        slot.asked(now)
        current = slot.token is not None and slot.token.serial == serial
        if not current and slot.servable(now):
            return [Settle(event.ask, Outcome.SUPERSEDED)]
        if current and not slot.report(now):
            return [Settle(event.ask, Outcome.THROTTLED, denials.guarded(slot, now))]
        self.room.add(
            Waiter(event.ask, (slot.id,), event.give_up_at, is_report=True, serial=serial)
        )
        return []

    def is_superseded(self, event: Reported, now: Now) -> bool:
        """Whether this report is old news: a good token has taken the place of the dead one."""
        if SlotId(event.app, BEARER) not in self.planner.slots:
            return False
        for slot, serial in self._suspects(event):
            if not _is_current(slot, serial):
                return slot.servable(now)
        return False

    def _suspects(self, event: Reported) -> list[tuple[Slot, int | None]]:
        """Payment token and bearer, or the only one: of these the first that was replaced is it."""
        bearer = self.planner.slots[SlotId(event.app, BEARER)]
        payment = self.planner.slots.get(event.payment) if event.payment else None
        if payment is None or event.payment_serial is None:
            return [(bearer, event.bearer_serial)]
        if event.bearer_serial is None:
            return [(payment, event.payment_serial)]
        return [(payment, event.payment_serial), (bearer, event.bearer_serial)]

    def _blamed(self, event: Reported, now: Now) -> tuple[Slot, int | None]:
        first, *others = self._suspects(event)
        if not others or not _is_current(*first):
            return first
        (second,) = others
        if not _is_current(*second):
            return second
        blame = self.blames.setdefault(first[0].id, Blame())
        return first if blame.falls_on_payment(first[1], second[1], now.boot) else second

    def resolve(self, now: Now) -> Iterator[Command]:
        """Answer all whose slots are good, refuse all who would wait in vain."""
        # Workers ask in crowds for the same: what holds for one is worked out once.
        known: dict[object, Lacking] = {}
        for waiter in self.room.all():
            command = self._missing(waiter)
            if command is None:
                wish = (waiter.slots, waiter.min_valid_seconds, waiter.serial)
                if wish not in known:
                    known[wish] = self._lacking(waiter, now)
                command = self._resolved(waiter, known[wish], now)
            if command is not None:
                self.room.remove(waiter.ask)
                yield command

    def _missing(self, waiter: Waiter) -> Command | None:
        """The end of a question about a slot that the configuration no longer has."""
        for slot in waiter.slots:
            if slot not in self.planner.slots:
                denial = denials.gone(slot)
                if waiter.is_report:
                    return Settle(waiter.ask, Outcome.FAILED, denial)
                return Deny(waiter.ask, denial)
        return None

    def _lacking(self, waiter: Waiter, now: Now) -> Lacking:
        slots = (self.planner.slots[slot] for slot in waiter.slots)
        return [(s, self.expected_at(s, now)) for s in slots if not _good(s, waiter, now)]

    def _resolved(self, waiter: Waiter, lacking: Lacking, now: Now) -> Command | None:
        if not lacking:
            if waiter.is_report:
                return Settle(waiter.ask, Outcome.RENEWED)
            return Answer(waiter.ask)
        for slot, at in lacking:
            if at is None or at >= waiter.give_up_at:
                return self._refusal(waiter, slot, now)
        return None

    def _refusal(self, waiter: Waiter, slot: Slot, now: Now) -> Command:
        denial = self.denial(slot, now, order=_order(waiter, slot))
        if not waiter.is_report:
            return Deny(waiter.ask, denial)
        in_vain = slot.trouble is not None or slot.suspect
        return Settle(waiter.ask, Outcome.FAILED if in_vain else Outcome.THROTTLED, denial)

    def expected_at(self, slot: Slot, now: Now) -> float | None:
        """When this slot's next attempt starts, its bearer's where it needs one first."""
        if slot.phase is Phase.FETCHING:
            return now.boot
        if slot.halted() and not slot.ordered and not self._awaits_bearer(slot):
            return None
        start = self.planner.next_start(slot, now, hurried=True)
        if start is not None:
            return start.at
        bearer = self.planner.bearer_of(slot)
        return None if bearer is slot else self.expected_at(bearer, now)

    def _awaits_bearer(self, slot: Slot) -> bool:
        bearer = self.planner.bearer_of(slot)
        return bearer is not slot and payments.awaits_bearer(slot, bearer)

    def denial(self, slot: Slot, now: Now, *, order: Order | None = None) -> Denial:
        """Why this slot has no token now; the bearer's reason where that is what is missing.

        `order` for whoever ordered an attempt.
        """
        start = self.planner.next_start(slot, now, hurried=True)
        if start is not None:
            return denials.deny(slot, start.at, start.held, now, order=order)
        if slot.halted() and self._awaits_bearer(slot):
            return denials.scope_in_doubt(slot, now)
        bearer = self.planner.bearer_of(slot)
        waits = slot.phase in {Phase.IDLE, Phase.WAITING} or order is Order.OPEN
        if waits and bearer is not slot:
            return self.denial(bearer, now)
        return denials.deny(slot, None, Held.NOTHING, now, order=order)

    def dismiss(self) -> Iterator[Command]:
        """Send everyone away, because the daemon ends."""
        for waiter in self.room.all():
            self.room.remove(waiter.ask)
            if waiter.is_report:
                yield Settle(waiter.ask, Outcome.THROTTLED, denials.restarting())
            else:
                yield Deny(waiter.ask, denials.restarting())

    def next_give_up_at(self, now: Now) -> float | None:
        """When the first of them gives up."""
        at = self.room.next_give_up_at()
        return at if at is not None and at > now.boot else None


def _order(waiter: Waiter, slot: Slot) -> Order | None:
    if waiter.attempt is None:
        return None
    under_way = slot.phase is Phase.FETCHING and slot.attempt == waiter.attempt
    return Order.OPEN if slot.ordered or under_way else Order.DONE


def _is_current(slot: Slot, serial: int | None) -> bool:
    return slot.token is not None and slot.token.serial == serial


def _good(slot: Slot, waiter: Waiter, now: Now) -> bool:
    still_there = slot.token is not None and slot.token.serial == waiter.serial
    return not still_there and slot.good_for(waiter.min_valid_seconds, now)
