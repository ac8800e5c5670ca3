"""What the end of a flight does to its slot, its budget and its neighbours."""

from dataclasses import dataclass, field

from usps_token_broker.core import notes, payments, schedule
from usps_token_broker.core.budget import HourWindow
from usps_token_broker.core.commands import Note
from usps_token_broker.core.events import Failed, Granted
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import Failure, FailureKind
from usps_token_broker.core.phases import Cause, Held
from usps_token_broker.core.planning import Planner
from usps_token_broker.core.values import Now, Phase, SlotId, Token


@dataclass(slots=True)
class Results:
    """Takes grants and failures in; a result of any but the running flight is void."""

    planner: Planner
    last_serial: int = 0
    skew_seconds: dict[str, float] = field(default_factory=dict)
    """Per app, USPS's clock less ours."""
    told_of_budget: set[SlotId] = field(default_factory=set)
    """Slots of which the log has said, since their last grant, that the budget holds them back."""

    def flight(self, event: Granted | Failed) -> Slot | None:
        """The slot whose running flight this is the end of."""
        slot = self.planner.slots.get(event.slot)
        if slot is None or slot.phase is not Phase.FETCHING or slot.attempt != event.attempt:
            return None
        return slot

    def granted(self, slot: Slot, event: Granted, now: Now) -> list[Note]:
        """A token came: take it if it gains anything."""
        self._note_skew(slot, event.grant.skew_seconds)
        accepted = slot.prove(event.grant.asked_with or slot.asked_with)
        out = [notes.secret_accepted(slot)] if accepted else []
        if slot.gains(event.grant, event.sent_at, now):
            return self._taken(slot, event, now) + out
        if slot.cause in {Cause.PROOF, Cause.PROBE} and slot.servable(now) and not slot.reported:
            # What was asked is answered: we may have a token. That it is the one we have is fine.
            slot.fulfilled()
            return out
        same = slot.token is None or slot.token.value == event.grant.value
        failure = notes.UNCHANGED if same else notes.ENDS_NO_LATER
        return out + self._ended(slot, failure, event.draw, now)

    def _taken(self, slot: Slot, event: Granted, now: Now) -> list[Note]:
        before, trouble = slot.token, slot.trouble
        self.told_of_budget.discard(slot.id)
        self.last_serial = max(self.last_serial + 1, int(now.wall * 1000))
        slot.granted(self._token(slot, event))
        if slot.id.is_bearer:
            payments.bearer_changed(self.planner.payments_of(slot), slot)
        return [notes.granted(slot, before, trouble, now)]

    def _token(self, slot: Slot, event: Granted) -> Token:
        grant = event.grant
        end_at = event.sent_at.boot + grant.life_seconds
        return Token(
            value=grant.value,
            serial=self.last_serial,
            token_type=grant.token_type,
            sent_at=event.sent_at,
            life_seconds=grant.life_seconds,
            renew_at=schedule.renew_at(slot.policy, end_at, grant.life_seconds, event.draw),
            scopes=grant.scopes,
            life_is_assumed=grant.life_is_assumed,
        )

    def failed(self, slot: Slot, event: Failed, now: Now) -> list[Note]:
        """No token came."""
        self._note_skew(slot, event.failure.skew_seconds)
        return self._ended(slot, event.failure, event.draw, now)

    def _ended(self, slot: Slot, failure: Failure, draw: float, now: Now) -> list[Note]:
        window = self.planner.window(slot.id)
        if failure.kind is FailureKind.UNREACHED:
            window.refund(slot.charged_at, is_retry=slot.cause is Cause.RETRY)
        window.hold(now.boot + schedule.obeyed_retry_after(failure.retry_after_seconds))
        asked_with = failure.asked_with or slot.asked_with
        was_proof = slot.cause is Cause.PROOF
        before = slot.trouble
        slot.failed(failure, asked_with, draw, now)
        if asked_with != slot.basis and (slot.halted() or failure.kind is FailureKind.REFUSED):
            # The secret changed while the flight was out: what was refused is no longer in use.
            slot.plan_anew()
        if failure.kind is FailureKind.BEARER_REFUSED and slot.phase is Phase.WAITING:
            payments.doubt_bearer(slot, self.planner.bearer_of(slot), now)
        out = [notes.failed(slot, failure, before, self._ahead(slot, window, now), now)]
        if was_proof and slot.halted() and slot.servable(now):
            out.append(notes.secret_refused(slot, now))
        return out

    def _ahead(self, slot: Slot, window: HourWindow, now: Now) -> notes.Ahead:
        start = self.planner.next_start(slot, now, hurried=True)
        if start is None:
            return notes.Ahead(max(slot.retry_at, window.floor_at))
        is_news = start.held is Held.BUDGET and slot.id not in self.told_of_budget
        if is_news:
            self.told_of_budget.add(slot.id)
        return notes.Ahead(start.at, start.held, is_news)

    def _note_skew(self, slot: Slot, skew_seconds: float | None) -> None:
        if skew_seconds is not None:
            self.skew_seconds[slot.id.app] = skew_seconds
