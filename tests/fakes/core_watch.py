"""A playbook that knows the true time, and checks after every step what the core promises."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core_play import Playbook
from core_words import HOUR, START

from usps_token_broker.core import schedule
from usps_token_broker.core.budget import BudgetKey
from usps_token_broker.core.commands import (
    Answer,
    Command,
    Deny,
    Fetch,
    Outcome,
    Persist,
    Settle,
)
from usps_token_broker.core.events import (
    Asked,
    Event,
    Forgotten,
    Reloaded,
    RenewalOrdered,
    Reported,
)
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import Failure, FailureKind, Grant
from usps_token_broker.core.planning import endpoint_of
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.snapshot import Serving
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Now, Phase, SlotId, Token

Question = Asked | Reported | RenewalOrdered

A_HAIR = 0.001
"""What floats may differ by."""


@dataclass(slots=True)
class Birth:
    """What really is so of a token, whatever the clocks say."""

    true_at: float
    life_seconds: float
    wall_offset: float
    boot: int
    age_is_known: bool = True
    """Whether the clocks, set as they were, could tell its age at the last boot."""

    @property
    def spent_at(self) -> float:
        """From when on it must not be served, in true time."""
        margin = schedule.check_after_seconds(self.life_seconds)
        return self.true_at + self.life_seconds - margin


class Watched(Playbook):
    """True time never steps: a boot clock is true time since its boot, the wall runs off it."""

    def __init__(self, payments: int, apps: tuple[AppPlan, ...]) -> None:
        super().__init__(payments, apps=apps)
        self.boot = 1
        self.boot_zero = 0.0
        self.wall_offset = START.wall - START.boot
        self.saved_offset = self.wall_offset
        self.births: dict[str, Birth] = {}
        self.charges: dict[BudgetKey, list[float]] = {}
        self.floors: dict[BudgetKey, float] = {}
        self.open: dict[int, Question] = {}
        self.begun_anew: set[SlotId] = set()
        self.lost: list[Fetch] = []
        """Flights of slots that a reload took away or began anew."""
        self.stopped = False
        self.trusted = True
        """No number of a saved state was ever damaged."""

    @property
    def true(self) -> float:
        """The true time."""
        return self.now.boot + self.boot_zero

    def wait(self, seconds: float) -> None:
        """Time goes by on both clocks, without adding up their roundings."""
        boot = self.now.boot + seconds
        self.now = Now(boot, boot + self.boot_zero + self.wall_offset)

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall_offset += seconds
        super().step(seconds)

    def key(self, slot: SlotId) -> BudgetKey:
        """Whose quota this slot's calls count against."""
        return self.plan(slot.app).key(endpoint_of(slot))

    def plan(self, app: str) -> AppPlan:
        """How an app is configured."""
        return next(plan for plan in self.apps if plan.name == app)

    def slot(self, slot: SlotId) -> Slot:
        """A look inside."""
        return self.broker._slots[slot]

    # -- what happens -----------------------------------------------------------------------------

    def hears(self, event: Event) -> list[Command]:
        """Tell the broker, and check everything."""
        present = [plan.id for plan in self.slots if plan.id in self.broker._slots]
        before = {slot: self.serving(slot) for slot in present if slot not in self.begun_anew}
        reported = {slot for slot in present if self.slot(slot).reported}
        flying = set(self.flights)
        if isinstance(event, Question):
            self.open[event.ask] = event
        exempt = self._changed_by(event)
        old_news = isinstance(event, Reported) and self.broker.is_superseded(event, self.now)
        out = super().hears(event)
        if isinstance(event, Reported):
            said = Settle(event.ask, Outcome.SUPERSEDED) in out
            assert said == old_news, "old news was not told from news beforehand"
        if any(isinstance(command, Persist) for command in out):
            self.saved_offset = self.wall_offset
        self._check_fetches(out, flying)
        self._check_questions(out)
        kept = {slot: was for slot, was in before.items() if slot not in exempt}
        self._check_good_tokens_stay(kept, reported)
        for plan in self.slots:
            self._check_served(plan.id)
        self._check_wakeup()
        self._check_no_secret(out)
        return out

    def reload(
        self, slots: Iterable[SlotPlan], apps: Iterable[AppPlan] | None = None
    ) -> list[Command]:
        """Another configuration is in force; flights it has no use for are lost."""
        wanted = list(slots)
        anew = self.anew(wanted)
        for slot in [slot for slot in self.flights if slot in anew]:
            self.lost.append(self.flights.pop(slot))
            self.sent_at.pop(slot)
        self.slots = wanted
        self.apps = self.apps if apps is None else tuple(apps)
        self.begun_anew = anew
        out = self.hears(Reloaded(self.apps, tuple(wanted)))
        self.begun_anew = set()
        return out

    def anew(self, wanted: Iterable[SlotPlan]) -> set[SlotId]:
        """The slots that do not stay what they are."""
        bases = {plan.id: plan.basis for plan in wanted}
        return {plan.id for plan in self.slots if bases.get(plan.id) != plan.basis}

    def _changed_by(self, event: Event) -> set[SlotId]:
        """The slots whose good token this event may take away."""
        if isinstance(event, Forgotten):
            return set(event.slots)
        return set()

    def land(self, slot: SlotId, outcome: Grant | Failure, *, draw: float = 0.0) -> list[Command]:
        """This slot's flight ends."""
        sent_at = self.sent_at[slot].boot + self.boot_zero
        key = self.key(slot)
        if isinstance(outcome, Grant):
            offset = self.sent_at[slot].wall - sent_at
            birth = Birth(sent_at, outcome.life_seconds, offset, self.boot)
            self.births.setdefault(outcome.value.reveal(), birth)
        elif outcome.retry_after_seconds is not None:
            until = self.true + min(outcome.retry_after_seconds, HOUR)
            self.floors[key] = max(until, self.floors.get(key, 0.0))
        if isinstance(outcome, Failure) and outcome.kind is FailureKind.UNREACHED:
            ours = [at for at in self.charges.get(key, []) if abs(at - sent_at) < A_HAIR]
            if ours:
                self.charges[key].remove(ours[0])
        return super().land(slot, outcome, draw=draw)

    def reborn(
        self,
        had: dict[SlotId, Token],
        boot: int,
        secret: str,
        change: Callable[[SavedState], SavedState] = lambda saved: saved,
    ) -> None:
        """Another process, which had these tokens before; in another boot if the number is one."""
        self.open.clear()
        self.lost.clear()
        self.stopped = False
        same_boot, self.boot = boot == self.boot, boot
        if not same_boot and not _same(self.saved_offset, self.wall_offset):
            # Nobody can tell how long the machine was off.
            self.forget_the_hour()
        if not same_boot:
            self._what_the_clocks_could_tell()
        good = {s: t for s, t in had.items() if self._must_outlive(t, same_boot=same_boot)}
        self.restart(secret=secret, boot=f"boot-{boot}", change=change)
        for slot, token in good.items():
            assert self.serial(slot) == token.serial, "a good token did not outlive the process"

    def _must_outlive(self, token: Token, *, same_boot: bool) -> bool:
        birth = self.births[token.value.reveal()]
        wall_ran_on = all(
            _same(offset, self.wall_offset) for offset in (birth.wall_offset, self.saved_offset)
        )
        clocks_tell = wall_ran_on or (same_boot and not token.by_wall)
        return self.trusted and clocks_tell and self.true < birth.spent_at - A_HAIR

    def _what_the_clocks_could_tell(self) -> None:
        for birth in self.births.values():
            since_birth = _same(birth.wall_offset, self.wall_offset)
            since_save = _same(self.saved_offset, self.wall_offset)
            birth.age_is_known = since_birth or (birth.age_is_known and since_save)

    def forget_the_hour(self) -> None:
        """What was charged can no longer be known."""
        self.charges.clear()
        self.floors.clear()

    def tokens(self) -> dict[SlotId, Token]:
        """What is served now."""
        servings = {plan.id: self.serving(plan.id) for plan in self.slots}
        return {slot: serving.token for slot, serving in servings.items() if serving}

    # -- what must be so --------------------------------------------------------------------------

    def _check_fetches(self, out: list[Command], flying: set[SlotId]) -> None:
        fetches = [command for command in out if isinstance(command, Fetch)]
        persists = [i for i, command in enumerate(out) if isinstance(command, Persist)]
        assert len(persists) <= 1
        for fetch in fetches:
            assert fetch.slot not in flying, "two flights of one slot"
            assert persists, "a call that is not on record"
            assert persists[0] < out.index(fetch), "a call before it is on record"
            self._check_budget(fetch.slot)
            self._check_bearer(fetch)
        for key in {self.key(fetch.slot) for fetch in fetches}:
            calls = sum(self.key(fetch.slot) == key for fetch in fetches)
            assert self._recorded(key).count(self.now.boot) >= calls, "the record lacks the charge"

    def _check_budget(self, slot: SlotId) -> None:
        key = self.key(slot)
        assert self.true >= self.floors.get(key, -math.inf) - A_HAIR, "Retry-After undercut"
        last_hour = [at for at in self.charges.get(key, []) if at > self.true - HOUR + A_HAIR]
        self.charges[key] = [*last_hour, self.true]
        limit = self.plan(slot.app).calls_per_hour
        assert len(self.charges[key]) <= limit, "more calls an hour than allowed"

    def _check_bearer(self, fetch: Fetch) -> None:
        if fetch.slot.is_bearer:
            assert fetch.bearer is None
            return
        bearer = self.serving(SlotId(fetch.slot.app, "bearer"))
        assert bearer is not None, "a payment call without a bearer"
        assert fetch.bearer == bearer.token.value

    def _recorded(self, key: BudgetKey) -> list[float]:
        assert self.persisted is not None
        windows = self.persisted.windows
        return [at for w in windows if (w.host, w.client_id, w.endpoint) == key for at in w.sent_at]

    def _check_questions(self, out: list[Command]) -> None:
        for command in out:
            if isinstance(command, Answer | Deny | Settle):
                event = self.open.pop(command.ask)
                assert isinstance(event, Asked) != isinstance(command, Settle)
                if isinstance(command, Answer) and isinstance(event, Asked):
                    self._check_answer(event)
        late = [ask for ask, event in self.open.items() if event.give_up_at <= self.now.boot]
        assert not late, f"never answered: {late}"
        assert self.broker.waiting() == len(self.open)

    def _check_answer(self, event: Asked) -> None:
        for slot in event.slots:
            serving = self.serving(slot)
            assert serving is not None, "an answer without a token"
            left = serving.expires_boot_at - self.now.boot
            assert event.min_valid_seconds is None or left >= event.min_valid_seconds

    def _check_good_tokens_stay(
        self, before: dict[SlotId, Serving | None], reported: set[SlotId]
    ) -> None:
        for slot, was in before.items():
            if was is None:
                continue
            serving = self.serving(slot)
            assert serving is not None, "a good token was thrown away"
            if serving.token.serial != was.token.serial and slot not in reported:
                assert serving.expires_boot_at > was.expires_boot_at, "replaced by something worse"

    def _check_served(self, slot: SlotId) -> None:
        serving = self.serving(slot)
        if serving is None:
            return
        token = serving.token
        life = token.life_seconds - schedule.check_after_seconds(token.life_seconds)
        assert self.now.boot < token.sent_at.boot + life
        birth = self.births[token.value.reveal()]
        if birth.boot != self.boot:
            assert self.now.wall < token.sent_at.wall + life + A_HAIR, "the wall clock binds too"
        if self.trusted and birth.age_is_known:
            assert self.true < birth.spent_at + A_HAIR, "served past its life"

    def _check_wakeup(self) -> None:
        wakeup = self.next_wakeup()
        if wakeup is not None:
            assert wakeup.at > self.now.boot, f"a wake-up that is not ahead: {wakeup}"
            assert wakeup.at <= min(self._edges(), default=math.inf), "a wake-up that is too late"
        elif self.broker._running and not self.stopped:
            for plan in self.slots:
                assert self._needs_no_wakeup(self.slot(plan.id)), f"nobody wakes {plan.id}"

    def _edges(self) -> list[float]:
        slots = [self.slot(plan.id) for plan in self.slots]
        edges = [schedule.next_edge_at(slot.policy, slot.token, self.now) for slot in slots]
        given_up = [event.give_up_at for event in self.open.values()]
        return [*given_up, *(edge for edge in edges if edge is not None)]

    def _needs_no_wakeup(self, slot: Slot) -> bool:
        bearer = self.slot(SlotId(slot.id.app, "bearer"))
        in_flight = Phase.FETCHING in {slot.phase, bearer.phase}
        return in_flight or slot.halted_for_scope() or slot.dormant(self.now)

    def _check_no_secret(self, out: list[Command]) -> None:
        denials = [self.broker.denial(plan.id, self.now) for plan in self.slots]
        shown = f"{out} {denials} {self.broker.snapshot(self.now)}"
        assert "secret-" not in shown


def _same(offset: float, other: float) -> bool:
    return abs(offset - other) < A_HAIR
