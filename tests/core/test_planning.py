"""Whose attempt may start, and when: bearer, budget, pace and order."""

from itertools import pairwise

import pytest
from core_words import BEARER, HOST, HOUR, LIFE, MINUTE, PAYMENT, START, app_plan

from usps_token_broker.core.budget import BudgetKey
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.phases import Cause, Held
from usps_token_broker.core.planning import MAX_FLIGHTS, Planner, Start, endpoint_of
from usps_token_broker.core.schedule import LifePolicy, renew_at
from usps_token_broker.core.values import Endpoint, Now, Phase, Secret, SlotId, Token

NOBODY = frozenset()


def later(seconds, *, step=0.0):
    return Now(START.boot + seconds, START.wall + seconds + step)


def give_token(slot, *, at=START, serial=1, life=LIFE, draw=0.0):
    due = renew_at(slot.policy, at.boot + life, life, draw)
    slot.token = Token(Secret(f"secret-{slot.id}"), serial, "Bearer", at, life, due)
    slot.proven = slot.basis


def planner(payments=1, *, apps=(), with_tokens=(), calls_per_hour=30):
    apps = apps or (app_plan(calls_per_hour=calls_per_hour),)
    names = ["bearer", *(f"payment-{n}" for n in range(payments))]
    if payments == 1:
        names[1] = "payment"
    ids = [SlotId(app.name, name) for app in apps for name in names]
    slots = {slot: Slot(slot, LifePolicy()) for slot in ids}
    for slot in slots.values():
        if slot.id.name in with_tokens:
            give_token(slot)
    return Planner({app.name: app for app in apps}, slots)


def start_all(a_planner, now, hurried=NOBODY):
    started = []
    for start in a_planner.startable(now, hurried):
        a_planner.charge(start, now)
        start.slot.start(start.cause, None, now)
        started.append(start.slot.id.name)
    return started


# -- budgets --------------------------------------------------------------------------------------


def test_a_bearer_is_got_from_the_token_endpoint():
    """And every payment token from the other one."""
    assert endpoint_of(BEARER) is Endpoint.TOKEN
    assert endpoint_of(PAYMENT) is Endpoint.PAYMENT_AUTHORIZATION


def test_each_endpoint_has_its_own_hour():
    """Keyed by host and client id."""
    a_planner = planner()
    key = BudgetKey(HOST, "client", Endpoint.PAYMENT_AUTHORIZATION)
    assert a_planner.window(PAYMENT) is a_planner.windows[key]
    assert a_planner.window(BEARER) is not a_planner.window(PAYMENT)


def test_apps_of_one_client_id_share_their_hours():
    """The quota is the client's, not the app's."""
    a_planner = planner(apps=(app_plan("a"), app_plan("b")))
    assert a_planner.window(SlotId("a", "bearer")) is a_planner.window(SlotId("b", "bearer"))


@pytest.mark.parametrize("limits", [(30, 10), (10, 30)])
def test_of_two_limits_for_one_client_the_lower_holds(limits):
    """In whichever order they are configured."""
    apps = (app_plan("a", limits[0]), app_plan("b", limits[1]))
    assert planner(apps=apps).window(SlotId("a", "bearer")).limit == 10


def test_an_attempt_waits_for_its_bucket():
    """Held by the budget, and it says so."""
    a_planner = planner()
    slot = a_planner.slots[BEARER]
    slot.bucket.level, slot.bucket.filled_at = 0.0, START.boot
    start = a_planner.next_start(slot, START, hurried=True)
    assert (start.at, start.held) == (START.boot + 600, Held.BUDGET)


def test_an_attempt_waits_for_its_hour():
    """Whoever used it up."""
    a_planner = planner(calls_per_hour=2)
    for _ in range(2):
        a_planner.window(BEARER).charge(START.boot)
    start = a_planner.next_start(a_planner.slots[BEARER], later(60), hurried=True)
    assert (start.at, start.held) == (START.boot + HOUR, Held.BUDGET)


def test_an_attempt_waits_for_retry_after():
    """Not even a caller in need undercuts it."""
    a_planner = planner()
    a_planner.window(BEARER).hold(START.boot + 1800)
    start = a_planner.next_start(a_planner.slots[BEARER], START, hurried=True)
    assert (start.at, start.held) == (START.boot + 1800, Held.RETRY_AFTER)
    assert start_all(a_planner, later(1799.9), frozenset({BEARER})) == []
    assert start_all(a_planner, later(1800)) == ["bearer"]


def test_retry_after_holds_all_slots_of_the_endpoint():
    """USPS counts calls of the client id, not of a role set."""
    a_planner = planner(2, with_tokens=("bearer",))
    a_planner.window(SlotId("default", "payment-0")).hold(START.boot + 1800)
    assert start_all(a_planner, START) == []


def test_an_attempt_held_by_nothing_says_so():
    """It starts when it is wanted."""
    a_planner = planner()
    start = a_planner.next_start(a_planner.slots[BEARER], START, hurried=True)
    assert start == (START.boot, Cause.MISSING, a_planner.slots[BEARER], Held.NOTHING)


def test_a_slot_that_waits_for_no_time_has_no_start():
    """A flight is out, or only another bearer helps."""
    a_planner = planner()
    a_planner.slots[BEARER].phase = Phase.FETCHING
    assert a_planner.next_start(a_planner.slots[BEARER], START, hurried=True) is None
    a_planner.slots[BEARER].phase = Phase.HALTED
    assert a_planner.next_start(a_planner.slots[BEARER], START, hurried=True) is None


# -- the bearer of a payment slot -----------------------------------------------------------------


def usable(a_planner, now=START):
    return a_planner.bearer_usable(a_planner.slots[PAYMENT], now)


def test_a_payment_slot_needs_a_bearer():
    """Without one it has no start."""
    a_planner = planner()
    assert not usable(a_planner)
    assert a_planner.next_start(a_planner.slots[PAYMENT], START, hurried=True) is None


def test_a_bearer_that_is_served_will_do():
    """Late or not."""
    a_planner = planner(with_tokens=("bearer",))
    assert usable(a_planner)
    assert usable(a_planner, later(LIFE - 61))


def test_a_spent_bearer_will_not_do():
    """USPS would refuse it."""
    assert not usable(planner(with_tokens=("bearer",)), later(LIFE - 60))


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.FETCHING])
def test_a_reported_bearer_whose_renewal_runs_is_waited_for(phase):
    """A better one is on its way."""
    a_planner = planner(with_tokens=("bearer",))
    bearer = a_planner.slots[BEARER]
    bearer.reported, bearer.phase = True, phase
    assert not usable(a_planner)


def test_a_reported_bearer_whose_renewal_is_far_off_is_used():
    """A worker that reports too much must not keep payment tokens from being fetched."""
    a_planner = planner(with_tokens=("bearer",))
    bearer = a_planner.slots[BEARER]
    bearer.reported = True
    bearer.bucket.level, bearer.bucket.filled_at = 0.0, START.boot
    assert usable(a_planner)


def test_a_suspect_bearer_is_used():
    """Its renewal has failed: it is all there is."""
    a_planner = planner(with_tokens=("bearer",))
    bearer = a_planner.slots[BEARER]
    bearer.reported = bearer.suspect = True
    assert usable(a_planner)


def test_a_bearer_this_slot_was_refused_with_is_not_used_again_while_it_is_renewed():
    """However long that takes."""
    a_planner = planner(with_tokens=("bearer",))
    bearer = a_planner.slots[BEARER]
    bearer.reported = bearer.suspect = True
    a_planner.slots[PAYMENT].refused_bearer = bearer.token.serial
    assert not usable(a_planner)


def test_payments_are_known_by_their_app():
    """Not by their client id."""
    a_planner = planner(apps=(app_plan("a"), app_plan("b")))
    bearer = a_planner.slots[SlotId("a", "bearer")]
    assert [slot.id for slot in a_planner.payments_of(bearer)] == [SlotId("a", "payment")]
    assert a_planner.bearer_of(a_planner.slots[SlotId("a", "payment")]) is bearer


# -- order ----------------------------------------------------------------------------------------


def test_what_is_missing_starts_at_once():
    """The bearer first; payments follow when it is there."""
    assert start_all(planner(), START) == ["bearer"]


def test_callers_who_wait_go_first():
    """Before slots that are just as empty."""
    a_planner = planner(9, with_tokens=("bearer",))
    wanted = SlotId("default", "payment-8")
    assert start_all(a_planner, START, frozenset({wanted}))[0] == "payment-8"


def test_first_attempts_go_before_retries():
    """When one call of the hour is left, the slot that has not failed gets it."""
    a_planner = planner(2, with_tokens=("bearer",), calls_per_hour=1)
    failed = a_planner.slots[SlotId("default", "payment-0")]
    failed.phase, failed.retry_at = Phase.WAITING, START.boot - 100
    assert start_all(a_planner, START) == ["payment-1"]


def test_the_longest_due_goes_first():
    """Among planned renewals."""
    a_planner = planner(2, with_tokens=("bearer",), calls_per_hour=1)
    first, second = (a_planner.slots[SlotId("default", f"payment-{n}")] for n in range(2))
    give_token(first, at=later(0))
    give_token(second, at=later(-60))
    give_token(a_planner.slots[BEARER], at=later(6 * HOUR))
    assert start_all(a_planner, later(7 * HOUR)) == ["payment-1"]


def test_a_retry_whose_buffer_begins_first_goes_before_a_renewal():
    """Having failed once puts a planned renewal behind nobody who has more time."""
    a_planner = planner(2, with_tokens=("bearer",), calls_per_hour=1)
    first, second = a_planner.siblings["default"]
    give_token(first, at=later(0))
    give_token(second, at=later(-60))
    second.phase, second.retry_at = Phase.WAITING, later(7 * HOUR - 1).boot
    give_token(a_planner.slots[BEARER], at=later(6 * HOUR))
    assert start_all(a_planner, later(7 * HOUR)) == ["payment-1"]


@pytest.mark.parametrize(("cause", "retries"), [(Cause.RETRY, 1), (Cause.DUE, 0)])
def test_retries_and_no_others_count_against_the_share_of_retries(cause, retries):
    """All of them count against the hour."""
    a_planner = planner(with_tokens=("bearer",))
    a_planner.charge(Start(START.boot, cause, a_planner.slots[BEARER], Held.NOTHING), START)
    window = a_planner.window(BEARER)
    assert (len(window.sent_at), len(window.retried_at)) == (1, retries)


def test_no_more_than_eight_flights_leave_for_one_endpoint():
    """The others wait for one to land."""
    a_planner = planner(20, with_tokens=("bearer",), calls_per_hour=400)
    hurried = frozenset(a_planner.slots)
    assert len(start_all(a_planner, START, hurried)) == MAX_FLIGHTS
    assert start_all(a_planner, later(1), hurried) == []


def test_flights_of_two_apps_of_one_client_count_together():
    """It is one endpoint, and one quota."""
    a_planner = planner(6, apps=(app_plan("a", 400), app_plan("b", 400)), with_tokens=("bearer",))
    assert len(start_all(a_planner, START, frozenset(a_planner.slots))) == MAX_FLIGHTS


# -- pace -----------------------------------------------------------------------------------------


def payment_starts(a_planner, until, *, step=0.0, every=1.0):
    """When payment slots start, if they are looked at each second and land at once."""
    times, seconds = [], 0.0
    while seconds <= until:
        now = later(seconds, step=step)
        for name in start_all(a_planner, now):
            slot = a_planner.slots[SlotId("default", name)]
            slot.phase = Phase.IDLE
            give_token(slot, at=now)
            if name != "bearer":
                times.append(seconds)
        seconds += every
    return times


def test_nobody_waits_for_them_so_cold_payments_start_a_second_apart():
    """A cold start of many slots is no spike."""
    a_planner = planner(4, with_tokens=("bearer",))
    assert payment_starts(a_planner, 20) == [0, 1, 2, 3]


def test_one_payment_slot_has_no_pace_to_keep():
    """There is nobody to spread it from."""
    a_planner = planner(with_tokens=("bearer", "payment"))
    a_planner.paced_at["default"] = later(7 * HOUR).boot
    start = a_planner.next_start(a_planner.slots[PAYMENT], later(7 * HOUR), hurried=False)
    assert start.at == later(7 * HOUR).boot


def due_together(payments):
    a_planner = planner(payments, with_tokens=("bearer",), calls_per_hour=400)
    for slot in a_planner.siblings["default"]:
        give_token(slot)
    # Due all at once, at 0 on the clock of the test.
    for slot in a_planner.siblings["default"]:
        give_token(slot, at=later(-6.5 * HOUR - 1))
    return a_planner


def test_renewals_of_many_payment_slots_are_spread_over_half_the_lead():
    """Ten slots: three minutes apart, the last one with most of an hour to its buffer left."""
    times = payment_starts(due_together(10), 3600)
    assert len(times) == 10
    assert {b - a for a, b in pairwise(times)} == {180}
    assert max(times) < 1800


def test_callers_who_wait_are_not_paced():
    """Pace is for what nobody waits for."""
    a_planner = due_together(4)
    assert len(start_all(a_planner, START, frozenset(a_planner.slots))) == 4


def test_a_late_renewal_is_not_paced():
    """It has waited long enough."""
    a_planner = due_together(4)
    assert len(start_all(a_planner, later(1.1 * HOUR))) == 4


def test_renewals_after_a_clock_step_are_spread_too():
    """A step makes all slots due at once; that is no reason to call for all at once."""
    a_planner = planner(4, with_tokens=("bearer",))
    for slot in a_planner.slots.values():
        give_token(slot)
    times = payment_starts(a_planner, 3600, step=HOUR)
    assert len(times) == 4
    assert {b - a for a, b in pairwise(times)} == {450}


def test_a_retry_is_not_paced():
    """Its back-off has spread it."""
    a_planner = planner(2, with_tokens=("bearer",))
    a_planner.paced_at["default"] = START.boot
    failed = a_planner.slots[SlotId("default", "payment-0")]
    failed.phase, failed.retry_at = Phase.WAITING, START.boot
    assert a_planner.next_start(failed, START, hurried=False).at == START.boot


# -- the next start of all ------------------------------------------------------------------------


def test_the_next_start_is_the_soonest_of_all_slots():
    """Whichever slot it is."""
    a_planner = planner(2, with_tokens=("bearer",))
    for seconds, slot in zip([0, 120, 60], a_planner.slots.values(), strict=True):
        give_token(slot, at=later(seconds))
    assert a_planner.next_start_at(later(200), NOBODY).slot.id == BEARER


def test_a_later_wish_does_not_hide_a_sooner_start():
    """A slot that wants first may be allowed last."""
    a_planner = planner(2, with_tokens=("bearer",))
    first, second = a_planner.siblings["default"]
    first.bucket.level, first.bucket.filled_at = 0.0, START.boot
    give_token(second, at=later(-6.5 * HOUR + 5 * MINUTE))
    assert a_planner.next_start_at(START, NOBODY).slot is second


def test_what_waits_for_a_flight_to_land_waits_for_no_time():
    """Eight flights are out: time alone starts no ninth."""
    a_planner = planner(9, with_tokens=("bearer",), calls_per_hour=400)
    hurried = frozenset(a_planner.slots)
    start_all(a_planner, START, hurried)
    later_start = a_planner.next_start_at(START, hurried)
    assert later_start.slot.id == BEARER
