"""Hours and days of trouble: budgets hold, planned renewals succeed, nothing spins."""

import os
import sys

import pytest
from core_play import Playbook
from core_words import (
    BEARER,
    DAY,
    HOUR,
    LIFE,
    MINUTE,
    PAYMENT,
    app_plan,
    failure,
)

from usps_token_broker.core.commands import Outcome, Settle
from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.values import Freshness, Now, Phase

CROWD = 300 if os.environ.get("UTB_HYPOTHESIS") == "long" else 60
"""Payment slots of one app: as many as a platform has, where there is time for it."""
EXTRA_PER_HOUR = 2 + 6
"""What reports, probes and doubts may cost in any hour: two of the bucket, one back per 600 s."""


def ready(payments=1, **kwargs):
    play = Playbook(payments, **kwargs)
    play.ready()
    return play


# -- a broken worker ------------------------------------------------------------------------------


def test_a_worker_that_reports_each_fresh_token_cannot_burn_the_quota():
    """Eight hours of it: a handful of calls an hour, everybody served, and it is told so."""
    play = ready()
    for _ in range(8 * 360):
        play.run(10, play.works)
        play.report_dead(BEARER, wait=1)
        assert play.serving() is not None
    play.run(10, play.works)
    assert play.most_in_an_hour(BEARER) <= EXTRA_PER_HOUR
    outcomes = [c.outcome for c in play.everything if isinstance(c, Settle)]
    assert outcomes.count(Outcome.THROTTLED) > 0.9 * len(outcomes)
    assert play.left(BEARER) > 1800


@pytest.mark.parametrize("latency", [0.2, 7.9])
@pytest.mark.parametrize("patience", [59, 61, 119, 121, 599, 601])
def test_a_worker_that_reports_with_patience_cannot_either(patience, latency):
    """However it times its reports, the bucket holds."""
    play = ready()
    for _ in range(int(4 * HOUR / patience)):
        play.run(patience, play.works, latency=latency)
        play.report_dead(BEARER, wait=1)
    assert play.most_in_an_hour(BEARER) <= EXTRA_PER_HOUR


def test_a_worker_that_reports_both_tokens_keeps_both_budgets():
    """Label calls refused for a reason that is nobody's token."""
    play = ready()
    for _ in range(8 * 360):
        play.run(10, play.works)
        play.report(play.serial(BEARER), play.serial(PAYMENT), wait=1)
    assert play.most_in_an_hour(BEARER) <= EXTRA_PER_HOUR
    assert play.most_in_an_hour(PAYMENT) <= EXTRA_PER_HOUR
    assert play.left(PAYMENT) > 1800


def test_reports_in_an_outage_leave_what_the_planned_renewal_needs():
    """Every renewal after a report fails; the planned one has its attempts when it is due."""
    play = ready(0)
    down = play.failing(BEARER, FailureKind.TRANSIENT)
    while play.view().freshness is Freshness.FRESH:
        play.run(MINUTE, down)
        play.report_dead(BEARER, wait=1)
        assert play.view().attempts_left >= 2 - 1e-6 or play.view().freshness is Freshness.DUE
    play.run(10 * MINUTE, play.works)
    assert play.left() > LIFE - 10 * MINUTE


def test_reports_do_not_keep_a_cold_payment_from_its_token():
    """The bearer is reported by the second while another role set is fetched for the first time."""
    play = ready(0)
    for _ in range(60):
        play.run(10, play.works)
        play.report_dead(BEARER, wait=1)
    cold = Playbook(1, now=play.now)
    cold.persisted = play.persisted
    cold.restart()
    for _ in range(12):
        cold.run(10, cold.works)
        cold.report_dead(BEARER, wait=1)
    assert cold.serving(PAYMENT) is not None


# -- clocks ---------------------------------------------------------------------------------------


def test_a_flapping_wall_clock_does_not_drain_the_budget():
    """An hour to and fro each minute, for a day: planned renewals still succeed in time."""
    play = ready()
    for minute in range(24 * 60):
        play.step(HOUR if minute % 2 else -HOUR)
        play.run(MINUTE, play.works)
        for slot in (BEARER, PAYMENT):
            assert play.left(slot) > 1800
            assert play.view(slot).attempts_left >= 1
    assert play.most_in_an_hour(BEARER) <= EXTRA_PER_HOUR + 1


def test_a_flapping_wall_clock_in_an_outage_leaves_what_the_planned_renewal_needs():
    """The doubts may not be cleared; what the plan needs is kept."""
    play = ready(0)
    down = play.failing(BEARER, FailureKind.TRANSIENT)
    flips = 0
    while play.now.boot < play.broker._slots[BEARER].token.renew_at - MINUTE:
        flips += 1
        play.step(HOUR if flips % 2 else -HOUR)
        play.run(MINUTE, down)
        assert play.view().attempts_left >= 2 - 1e-6
    assert play.most_in_an_hour(BEARER) <= EXTRA_PER_HOUR


# -- outages --------------------------------------------------------------------------------------


def outage(minutes, kind=FailureKind.TRANSIENT, **kwargs):
    """USPS away from when the renewal is due. Returns the play, and when it was back."""
    play = ready(**kwargs)
    play.run(LIFE - 5400 - 1, play.works)
    usps = play.failing(BEARER, kind)
    play.run(minutes * MINUTE, usps, latency=1)
    return play, play.now.boot


@pytest.mark.parametrize("minutes", [10, 30, 60, 80])
def test_an_outage_of_up_to_lead_and_buffer_less_ten_minutes_costs_no_failed_call(minutes):
    """Whenever a caller asks, there is a token."""
    play, _ = outage(minutes)
    never_spent = play.serving() is not None
    play.run(10 * MINUTE + 10, play.works)
    assert never_spent
    assert play.left() > 28_000


@pytest.mark.parametrize("minutes", [30, 90, 300])
def test_ten_minutes_after_usps_is_back_so_are_we(minutes):
    """The longest back-off, and the time for an attempt to come back."""
    play, back_at = outage(minutes)
    play.run(10 * MINUTE + 10, play.works)
    assert play.left() > 28_000
    assert play.calls_of(BEARER)[-1] - back_at <= 10 * MINUTE + 1


def test_an_outage_costs_no_more_than_its_budget():
    """Four attempts, then one each ten minutes."""
    play, _ = outage(300)
    assert play.most_in_an_hour(BEARER) <= 4 + 6


def test_a_network_that_is_gone_costs_no_budget_and_is_tried_each_minute():
    """However long: a minute after it is back, so are we."""
    play, back_at = outage(300, FailureKind.UNREACHED)
    play.run(MINUTE + 2, play.works)
    assert play.left() > 28_000
    assert play.calls_of(BEARER)[-1] - back_at <= 61
    assert play.view().attempts_left >= 3


# -- refusals -------------------------------------------------------------------------------------


def test_a_refused_secret_costs_eight_calls_a_day():
    """15, 30, 60, 120, 240 minutes, then each six hours."""
    play = Playbook(0)
    play.start()
    play.run(DAY, play.failing(BEARER, FailureKind.REFUSED))
    assert len(play.calls_of(BEARER)) <= 8


def test_a_payment_that_is_refused_with_every_bearer_costs_little():
    """401 for a reason nobody knows: two calls, then probes; the bearer is renewed once for it."""
    play = Playbook()
    play.start()
    play.run(DAY, play.failing(PAYMENT, FailureKind.BEARER_REFUSED))
    assert len(play.calls_of(PAYMENT)) <= 2 + 8
    assert len(play.calls_of(BEARER)) <= 4 + 1


def test_a_bearer_without_the_scope_costs_no_payment_call_in_a_day():
    """It is looked at with every new bearer."""
    play = Playbook()
    play.start()

    def usps(fetch, now):
        assert fetch.slot == BEARER
        return play.grants(BEARER, scopes=("labels",))

    play.run(DAY, usps)
    assert play.view(PAYMENT).trouble.times == len(play.calls_of(BEARER)) == 4


# -- short lives ----------------------------------------------------------------------------------


def short_lived(life, payments=2, calls_per_hour=3600):
    play = Playbook(payments, apps=(app_plan(calls_per_hour=calls_per_hour),))
    play.start()

    def usps(fetch, now):
        return play.grants(fetch.slot, life=life)

    return play, usps


def test_lives_of_twenty_seconds_are_renewed_in_time():
    """Half an hour of the demo: never late, about one renewal each ten seconds."""
    play, usps = short_lived(20.0)
    play.run(30, usps)
    for _ in range(60 * 30):
        play.run(1, usps)
        for plan in play.slots:
            assert play.view(plan.id).freshness in {Freshness.FRESH, Freshness.DUE}
    calls = len(play.calls_of(BEARER))
    assert 1800 / 10.1 <= calls <= 1800 / 9.3


def test_lives_of_twenty_seconds_survive_an_outage():
    """Spans shrink with the life: seconds after USPS is back, so are we."""
    play, usps = short_lived(20.0)
    play.run(60, usps)
    play.run(60, lambda fetch, now: failure(FailureKind.TRANSIENT))
    play.run(4, usps)
    for plan in play.slots:
        assert play.view(plan.id).freshness is Freshness.FRESH


@pytest.mark.parametrize("calls_per_hour", [30, 3600])
@pytest.mark.parametrize("life", [1.0, 0.001, 0.0])
def test_a_life_of_a_second_does_not_spin(life, calls_per_hour):
    """USPS gone mad: the budget holds, and the broker is woken a few times a second at most."""
    play, usps = short_lived(life, payments=1, calls_per_hour=calls_per_hour)
    play.run(10 * MINUTE, usps, most=10 * 60 * 12)
    assert play.most_in_an_hour(BEARER) <= min(calls_per_hour, 4 + 600 + 1)


# -- many payment slots ---------------------------------------------------------------------------


def crowd(payments=CROWD):
    return Playbook(payments, apps=(app_plan(calls_per_hour=payments * 4 // 3),))


def served_to_callers(play):
    """A cold start in which somebody asks for every payment token."""
    play.start()
    for plan in play.slots:
        play.ask(BEARER, plan.id, wait=60)
    play.run(MINUTE, play.works, latency=0.5)


def most_at_once(play, seconds):
    times = sorted(at for at, slot in play.calls if not slot.is_bearer)
    return max(sum(at <= t < at + seconds for t in times) for at in times)


def test_a_cold_start_of_many_payments_serves_all_callers_within_a_minute():
    """Eight at a time, as they come."""
    play = crowd()
    served_to_callers(play)
    assert play.broker.waiting() == 0
    assert all(play.serving(plan.id) for plan in play.slots)
    assert len(play.calls) == CROWD + 1


def test_renewals_of_many_payments_are_spread_and_nobody_is_late():
    """Granted within a minute, renewed over half an hour, before any of them is late."""
    play = crowd()
    served_to_callers(play)
    play.run(LIFE - 5400 - 10 * MINUTE, play.works)
    play.calls.clear()
    for _ in range(9):
        play.run(5 * MINUTE, play.works)
        (app,) = play.broker.snapshot(play.now).apps
        assert Freshness.LATE not in {view.freshness for view in app.slots}
    assert len(play.calls) == CROWD + 1
    assert most_at_once(play, 5 * MINUTE) <= CROWD / 6 + 1


def test_many_payments_without_callers_start_a_second_apart():
    """No spike at USPS."""
    play = crowd()
    play.start()
    play.run(CROWD + 10, play.works)
    assert all(play.serving(plan.id) for plan in play.slots)
    assert most_at_once(play, 10) <= 11


def test_a_rate_limit_of_one_payment_holds_all_of_them():
    """One 429 is enough."""
    play = crowd()
    play.start()
    play.grant(BEARER)
    for plan in play.slots[1:]:
        play.ask(plan.id, wait=1)
    for slot in list(play.flights):
        play.fail(slot, FailureKind.RATE_LIMITED, retry_after=60)
    play.calls.clear()
    play.run(59, play.works)
    assert play.calls == []


def test_a_decision_among_300_payments_is_cheap():
    """Some tens of function calls a slot, two milliseconds in all: nothing grows by its square."""
    play = crowd(300)
    play.start()
    play.run(MINUTE, play.works)
    for step in (play.wake, play.next_wakeup, lambda: play.ask(BEARER, PAYMENT)):
        assert calls_made(step) < 60 * 300


def calls_made(step):
    """How many functions a step calls."""
    count = 0

    def profile(_frame, event, _argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        step()
    finally:
        sys.setprofile(None)
    return count


# -- floats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("up", [0.0, 1.1, 12_345.678_9, 86_400 * 365.25, 3e9])
def test_a_machine_that_is_up_for_long_loses_no_wake_up(up):
    """Floats grow coarser with the uptime; no deadline falls between two of them."""
    play = Playbook(2, now=Now(up, 1_790_000_000.123))
    play.start()
    answers = [
        failure(FailureKind.TRANSIENT),
        failure(FailureKind.RATE_LIMITED, 17.3),
        None,
        failure(FailureKind.UNREACHED),
        failure(FailureKind.REFUSED),
    ]

    def usps(fetch, now):
        outcome = answers[len(play.calls) % len(answers)]
        return play.grants(fetch.slot, life=LIFE / 7) if outcome is None else outcome

    play.run(DAY, usps, latency=0.123, most=2000)
    assert len(play.calls) > 20
    play.run(7 * HOUR, play.works, most=300)
    for plan in play.slots:
        assert play.view(plan.id).phase is Phase.IDLE
        assert play.serving(plan.id) is not None
