"""What the slots of an endpoint need of its calls per hour, on numbers alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.core.budget import RETRY, HourWindow
from usps_token_broker.core.demand import Fit, carried, demand
from usps_token_broker.core.schedule import LifePolicy

POLICY = LifePolicy()
slots = st.integers(0, 5000)
limits = st.integers(4, 3600)
policies = st.builds(LifePolicy, st.floats(0, 7200), st.floats(0, 7200))


def of(always, calls_per_hour=30, active=0, policy=POLICY):
    return demand(always, active, calls_per_hour, policy)


def test_a_slot_is_renewed_every_28800_less_1800_less_3960_seconds_at_the_soonest():
    """The life, less the buffer, less the lead with all its jitter."""
    assert of(1).period_seconds == 28_800 - 1800 - 3600 * 1.1


def test_short_leads_make_long_periods():
    """What an administrator may choose counts."""
    assert of(1, policy=LifePolicy(0, 0)).period_seconds == 28_800 - 60
    assert of(1, policy=LifePolicy(7200, 7200)).period_seconds == pytest.approx(13_680)


def test_one_slot_needs_four_calls_a_day_at_most():
    """3.75 of them."""
    one = of(1)
    assert (one.calls_per_day, one.busiest_per_hour, one.fit) == (4, 1, Fit.ENOUGH)
    assert one.average_per_hour == pytest.approx(0.156, abs=0.001)


@pytest.mark.parametrize(
    ("always", "calls_per_hour", "fit"),
    [
        (0, 4, Fit.ENOUGH),
        (100, 30, Fit.ENOUGH),
        (144, 30, Fit.ENOUGH),
        (145, 30, Fit.TIGHT),
        (192, 30, Fit.TIGHT),
        (193, 30, Fit.SCARCE),
        (288, 60, Fit.ENOUGH),
        (300, 400, Fit.ENOUGH),
    ],
)
def test_renewals_may_take_three_quarters_of_the_limit(always, calls_per_hour, fit):
    """Up to all of it there is no room for retries; beyond, renewals do not fit."""
    assert of(always, calls_per_hour).fit is fit


def test_the_quarter_is_that_of_the_budget():
    """Where a retry finds no room, planned renewals have too much on average."""
    for limit in (4, 8, 60, 400):
        per_hour = carried(limit, 3600)
        assert per_hour == limit * (1 - RETRY.hour_kept_share) == HourWindow(limit).allowed(RETRY)


def test_slots_that_were_granted_together_are_renewed_together():
    """Within an hour, as far as the limit lets them."""
    assert of(20).busiest_per_hour == 20
    assert of(100).busiest_per_hour == 30


@pytest.mark.parametrize(
    ("always", "seconds"), [(0, 0), (1, 0), (30, 29), (31, 3600), (100, 3 * 3600 + 9)]
)
def test_a_cold_start_takes_an_hour_for_each_full_limit(always, seconds):
    """And a second for each call within it."""
    assert of(always).cold_start_seconds == seconds


@pytest.mark.parametrize(
    ("always", "hours"), [(0, 0), (22, 0), (29, 0), (30, 1), (100, 1), (300, 1)]
)
def test_a_retry_may_have_to_wait_for_an_hour_that_the_others_fill(always, hours):
    """Of the next hour a quarter is the retries' own."""
    assert of(always).retry_wait_seconds == hours * 3600


def test_a_retry_is_late_when_it_waits_for_longer_than_the_lead():
    """Renewals begin that long before the buffer."""
    assert not of(300).retry_may_be_late
    assert of(52, policy=LifePolicy(1800, 3000)).retry_may_be_late
    assert not of(20, policy=LifePolicy(1800, 3000)).retry_may_be_late


def test_slots_kept_while_in_use_are_not_counted_but_there_is_room_for_some():
    """What they need depends on the day."""
    assert of(100, active=50) == demand(100, 50, 30, POLICY)
    assert (of(100, active=50).calls_per_day, of(100, active=50).room) == (375, 44)
    assert of(200, active=50).room == 0


@given(slots, limits, policies)
def test_the_limit_that_is_needed_is_enough_and_one_less_is_not(always, limit, policy):
    """So what is advised ends the warning."""
    needed = of(always, limit, policy=policy).needed_per_hour
    assert of(always, max(1, needed), policy=policy).fit is Fit.ENOUGH
    if needed > 1:
        assert of(always, needed - 1, policy=policy).fit is not Fit.ENOUGH


@given(slots, limits, policies)
def test_what_a_limit_carries_is_what_it_is_enough_for(always, limit, policy):
    """The other way round."""
    wanted = of(always, limit, policy=policy)
    enough = always <= carried(limit, wanted.period_seconds)
    assert (wanted.fit is Fit.ENOUGH) == enough
