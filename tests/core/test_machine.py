"""Anything may happen to the core, in any order; what it promises holds after every step.

The promises are checked by `core_watch`. `UTB_HYPOTHESIS=long` looks much further than usual.
"""

import math
import os
from dataclasses import fields, replace

import pytest
from core_watch import Watched
from core_words import HOUR, LIFE, MINUTE, SCOPES, app_plan, failure, slot_plans
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from usps_token_broker.core.events import CredentialsSeen, Failed, Granted, Stopped
from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.state import SavedSlot, SavedState, SavedToken, SavedWindow
from usps_token_broker.core.values import Freshness, Now, Phase, SlotId
from usps_token_broker.wire.state import decode, encode

LONG = os.environ.get("UTB_HYPOTHESIS") == "long"
PROFILE = settings(
    max_examples=1500 if LONG else 80,
    stateful_step_count=80 if LONG else 35,
    deadline=None,
    # In CI the same runs each time: what it finds is new because the code is.
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
CALLS_PER_HOUR = 5
"""Few enough to matter: the bucket of one slot allows more."""
SECRETS = ("fingerprint-1", "fingerprint-2", "fingerprint-3")
YEAR = 365 * 24 * HOUR
SPANS = st.sampled_from(
    [0.0, 1e-6, 0.1, 1.0, 5.0, 29.0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 7 * HOUR]
) | st.floats(0.0, 9 * HOUR)
STEPS = st.sampled_from([-YEAR, -HOUR, -61.0, -1.0, 1.0, 59.0, 61.0, HOUR, YEAR])
LIVES = st.sampled_from([LIFE, LIFE, LIFE, HOUR, 20.0, 1.0, 0.0, -5.0])
BAD_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300, -1e300, 5.0])
KINDS = st.sampled_from(list(FailureKind))
DRAWS = st.floats(0.0, 1.0, exclude_max=True)


class CoreMachine(RuleBasedStateMachine):
    """One app with two payment slots."""

    apps = (app_plan(calls_per_hour=CALLS_PER_HOUR),)
    payments = 2

    @initialize()
    def begin(self):
        self.play = Watched(self.payments, self.apps)
        self.secret = SECRETS[0]
        self.play.start(secret=self.secret)

    def slot(self, data):
        return data.draw(st.sampled_from([plan.id for plan in self.play.slots]), "slot")

    # -- time -------------------------------------------------------------------------------------

    @rule(seconds=SPANS)
    def time_passes(self, seconds):
        self.play.wait(seconds)
        self.play.wake()

    @rule(times=st.integers(1, 5), late=st.sampled_from([0.0, 0.0, 1e-9, 0.001, 31.0]))
    def it_is_woken(self, times, late):
        for _ in range(times):
            if self.play.next_wakeup() is not None:
                self.play.wait(late)
                if self.play.next_wakeup() is not None:
                    self.play.sleep()
                else:  # what was to be done then is overdue: the heartbeat comes
                    self.play.wake()

    @rule(seconds=STEPS)
    def the_wall_clock_steps(self, seconds):
        self.play.step(seconds)

    @rule()
    def wake_ups_cover_time(self):
        """A run of wake-ups with nothing else going on does not spin."""
        begin = self.play.now.boot
        # Each slot has a few edges of its token and one attempt; each caller gives up once.
        for _ in range(12 * len(self.play.slots) + len(self.play.open)):
            if self.play.next_wakeup() is None:
                return
            self.play.sleep()
        assert self.play.now.boot - begin >= 1.0

    # -- USPS -------------------------------------------------------------------------------------

    @precondition(lambda self: self.play.flights)
    @rule(
        data=st.data(),
        life=LIVES,
        draw=DRAWS,
        scopes=st.sampled_from([SCOPES, SCOPES, ("addresses",), None]),
        same=st.sampled_from([False, False, False, True]),
    )
    def usps_grants(self, data, life, draw, scopes, same):
        slot = data.draw(st.sampled_from(sorted(self.play.flights)), "slot")
        token = self.play.broker._slots[slot].token
        value = token.value.reveal() if same and token else None
        self.play.grant(slot, life=life, value=value, draw=draw, scopes=scopes)

    @precondition(lambda self: self.play.flights)
    @rule(
        data=st.data(),
        kind=KINDS,
        draw=DRAWS,
        retry_after=st.sampled_from([None, None, 0.0, 30.0, 1800.0, 3600.0, 86_400.0, -5.0]),
    )
    def usps_fails(self, data, kind, draw, retry_after):
        slot = data.draw(st.sampled_from(sorted(self.play.flights)), "slot")
        self.play.fail(slot, kind, draw=draw, retry_after=retry_after)

    @precondition(lambda self: self.play.sent_at)
    @rule(data=st.data())
    def a_void_result_changes_nothing(self, data):
        slot = self.slot(data)
        attempt = self.play.broker._slots[slot].attempt
        flight = self.play.flights.get(slot)
        if flight is None or flight.attempt != attempt:
            return
        self.play.flights[slot] = replace(flight, attempt=attempt + 7)
        sent_at = self.play.sent_at[slot]
        charges = {key: list(times) for key, times in self.play.charges.items()}
        self.play.land(slot, failure(FailureKind.UNREACHED))
        self.play.charges = charges
        self.play.flights[slot], self.play.sent_at[slot] = flight, sent_at
        assert self.play.broker._slots[slot].phase is Phase.FETCHING

    @precondition(lambda self: self.play.flights)
    @rule(data=st.data(), hours=st.sampled_from([7, 8, 9]))
    def usps_grants_after_the_machine_slept(self, data, hours):
        slot = data.draw(st.sampled_from(sorted(self.play.flights)), "slot")
        self.play.wait(hours * HOUR)
        self.play.grant(slot)

    @rule(hours=st.sampled_from([0.1, 1, 3, 9]))
    def usps_works(self, hours):
        self.play.run(hours * HOUR, self.play.works)

    @precondition(lambda self: not self.play.stopped)
    @rule()
    def everything_heals(self):
        """Seven hours of a USPS that grants what is asked leave nothing wrong."""
        self.play.run(7 * HOUR, self.play.works)
        for plan in self.play.slots:
            view = self.play.view(plan.id)
            if view.dormant:
                continue
            assert view.freshness in {Freshness.FRESH, Freshness.DUE}, view
            assert view.phase is not Phase.HALTED, view
            assert not view.suspect

    # -- callers ----------------------------------------------------------------------------------

    @rule(
        data=st.data(),
        wait=st.sampled_from([-1.0, 0.0, 1.0, 10.0, 60.0]),
        min_valid=st.sampled_from([None, 0.0, 60.0, 1800.0, 28_000.0]),
        both=st.booleans(),
    )
    def a_caller_asks(self, data, wait, min_valid, both):
        slot = self.slot(data)
        slots = (SlotId(slot.app, "bearer"), slot) if both else (slot,)
        self.play.ask(*slots, wait=wait, min_valid=min_valid)

    @precondition(lambda self: self.play.open)
    @rule()
    def a_caller_leaves(self):
        self.play.asks = max(self.play.open)
        self.play.open.pop(self.play.asks)
        self.play.leave()

    @rule(
        data=st.data(),
        bearer=st.sampled_from(["true", "true", "stale", "none"]),
        payment=st.sampled_from(["true", "stale", "none"]),
        wait=st.sampled_from([0.0, 10.0]),
    )
    def a_worker_reports(self, data, bearer, payment, wait):
        slot = self.slot(data)
        serials = {
            "true": self.play.serial(SlotId(slot.app, "bearer")),
            "stale": 17,
            "none": None,
        }
        of_payment = None
        if not slot.is_bearer:
            of_payment = {"true": self.play.serial(slot), "stale": 18, "none": None}[payment]
        self.play.report(serials[bearer], of_payment, slot=slot, wait=wait)

    # -- the administrator, and worse -------------------------------------------------------------

    @rule(secret=st.sampled_from(SECRETS))
    def the_secret_changes(self, secret):
        self.secret = secret
        for app in self.apps:
            self.play.hears(CredentialsSeen(app.name, secret))

    @rule(data=st.data(), wait=st.sampled_from([0.0, 10.0, 60.0]))
    def a_renewal_is_ordered(self, data, wait):
        self.play.order(self.slot(data), wait=wait)

    @rule(data=st.data())
    def a_token_is_forgotten(self, data):
        self.play.forget(self.slot(data))

    @rule(data=st.data())
    def a_token_is_used(self, data):
        self.play.use(self.slot(data))

    @rule(data=st.data(), calls_per_hour=st.sampled_from([CALLS_PER_HOUR, CALLS_PER_HOUR + 3]))
    def the_configuration_changes(self, data, calls_per_hour):
        """Payment slots come and go, get other roles, or are kept in another way."""
        slots = []
        for app in self.apps:
            slots += slot_plans(app.name, self.payments)[:1]
            for plan in slot_plans(app.name, self.payments)[1:]:
                how = data.draw(st.sampled_from(["same", "gone", "other roles", "active"]), "how")
                if how == "gone":
                    continue
                basis = "other roles" if how == "other roles" else plan.basis
                slots.append(replace(plan, basis=basis, keep_active=how == "active"))
        apps = [replace(app, calls_per_hour=calls_per_hour) for app in self.apps]
        self.play.reload(slots, apps)

    @precondition(lambda self: self.play.lost)
    @rule(data=st.data(), granted=st.booleans())
    def a_lost_flight_ends(self, data, granted):
        """Nothing comes of it, whatever has its name now."""
        fetch = data.draw(st.sampled_from(self.play.lost), "flight")
        self.play.lost.remove(fetch)
        had = self.play.tokens()
        end = (
            Granted(fetch.slot, fetch.attempt, self.play.grants(fetch.slot), self.play.now, 0.0)
            if granted
            else Failed(fetch.slot, fetch.attempt, failure(FailureKind.REFUSED), 0.0)
        )
        self.play.hears(end)
        assert self.play.tokens() == had

    @rule(secret=st.sampled_from([None, None, *SECRETS]), seconds=SPANS)
    def killed(self, secret, seconds):
        """What was persisted comes back as the bytes of a file do."""
        self.secret = secret or self.secret
        had = self.play.tokens()
        self.play.wait(seconds)
        self.play.reborn(had, self.play.boot, self.secret, lambda saved: decode(encode(saved)))

    @rule(seconds=SPANS, up=st.sampled_from([5.0, 100.0, 1e6]), step=STEPS | st.just(0.0))
    def the_machine_reboots(self, seconds, up, step):
        had = self.play.tokens()
        if step:
            self.play.step(step)
        true = self.play.true + seconds
        self.play.boot_zero = true - up
        self.play.now = Now(up, true + self.play.wall_offset)
        self.play.reborn(had, self.play.boot + 1, self.secret)

    @rule(data=st.data(), another_boot=st.booleans())
    def the_state_is_damaged(self, data, another_boot):
        self.play.trusted = False
        self.play.forget_the_hour()
        boot = self.play.boot + another_boot
        self.play.reborn({}, boot, self.secret, lambda saved: damaged(saved, data))

    @rule()
    def stopped(self):
        self.play.stopped = True
        self.play.hears(Stopped())
        assert not self.play.open


def damaged(saved: SavedState, data) -> SavedState:
    """The state with some number in it replaced by nonsense."""
    kind = data.draw(st.sampled_from(["slot", "token", "window", "whole"]), "what")
    if kind == "whole":
        return replace(saved, **nonsense(SavedState, data), saved_at=any_now(data))
    if kind == "window":
        sent = st.lists(BAD_NUMBERS, max_size=30).map(tuple)
        return replace(
            saved,
            windows=tuple(
                replace(w, sent_at=data.draw(sent), **nonsense(SavedWindow, data))
                for w in saved.windows
            ),
        )
    if kind == "slot":
        return replace(
            saved, slots=tuple(replace(s, **nonsense(SavedSlot, data)) for s in saved.slots)
        )
    return replace(
        saved,
        slots=tuple(
            replace(s, token=replace(s.token, **nonsense(SavedToken, data)) if s.token else None)
            for s in saved.slots
        ),
    )


def any_now(data) -> Now:
    return Now(data.draw(BAD_NUMBERS), data.draw(BAD_NUMBERS))


def nonsense(record: type, data) -> dict[str, object]:
    """A value for each of some fields of numbers."""
    numbers = [field.name for field in fields(record) if field.type in {float, int}]
    chosen = data.draw(st.sets(st.sampled_from(numbers)), "damaged") if numbers else set()
    whole = st.sampled_from([-(2**63), -1, 0, 2**53])
    types = {field.name: field.type for field in fields(record)}
    return {name: data.draw(BAD_NUMBERS if types[name] is float else whole) for name in chosen}


class TwoAppsMachine(CoreMachine):
    """Two apps of one client id, with a payment slot each: they share every budget."""

    apps = (
        app_plan(calls_per_hour=CALLS_PER_HOUR),
        app_plan("other", calls_per_hour=CALLS_PER_HOUR),
    )
    payments = 1


# Making a failure small may take its minutes.
pytestmark = pytest.mark.timeout(3600 if LONG else 600)
TestOneApp = CoreMachine.TestCase
TestOneApp.settings = PROFILE
TestTwoApps = TwoAppsMachine.TestCase
TestTwoApps.settings = PROFILE
