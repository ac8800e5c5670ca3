"""The arithmetic of token life, on numbers alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.core import schedule
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import Freshness, Now, Secret, Token

POLICY = LifePolicy()
LIFE = 28_800.0
SENT = Now(1000.0, 1_790_000_000.0)
LIVES = st.floats(0.5, LIFE)
POLICIES = st.builds(LifePolicy, st.floats(0.0, 1e5), st.floats(0.0, 1e5))


def token(life=LIFE, *, draw=0.0, by_wall=False, policy=POLICY):
    renew_at = schedule.renew_at(policy, SENT.boot + life, life, draw)
    return Token(Secret("t"), 1, "Bearer", SENT, life, renew_at, by_wall=by_wall)


def after(seconds, *, wall_step=0.0):
    return Now(SENT.boot + seconds, SENT.wall + seconds + wall_step)


def fresh(seconds, life=LIFE, **wall):
    return schedule.freshness(POLICY, token(life), after(seconds, **wall))


# -- buffer, lead, check_after --------------------------------------------------------------------


def test_the_buffer_is_the_last_half_hour():
    """28800 - 1800 = 27000 s: 7 h 30 min."""
    assert schedule.late_at(POLICY, token(), SENT) - SENT.boot == 27_000


def test_the_renewal_starts_an_hour_before_the_buffer():
    """6 h 30 min into the life."""
    assert token().renew_at - SENT.boot == 23_400


def test_jitter_brings_the_renewal_forward_by_up_to_a_tenth_of_the_lead():
    """A draw of nearly one is nearly six minutes earlier."""
    assert token(draw=0.5).renew_at - SENT.boot == 23_400 - 180
    assert token(draw=1.0).renew_at - SENT.boot == 23_400 - 360


@pytest.mark.parametrize("life", [20.0, 60.0, 3600.0])
def test_buffer_and_lead_are_each_at_most_a_quarter_of_the_life(life):
    """So that short lives work."""
    assert schedule.buffer_seconds(POLICY, life) == life / 4
    assert schedule.lead_seconds(POLICY, life) == life / 4


def test_a_buffer_is_never_shorter_than_the_end_that_is_never_served():
    """Else a renewal could be planned for a time at which the token is spent."""
    assert schedule.buffer_seconds(LifePolicy(0.0, 0.0), LIFE) == 60


def test_a_client_may_use_a_token_for_a_minute_without_asking():
    """`check_after` of an eight-hour life."""
    assert schedule.check_after_seconds(LIFE) == 60


def test_a_short_life_is_asked_about_more_often():
    """An eighth of the life: 2.5 s of 20."""
    assert schedule.check_after_seconds(20.0) == 2.5


@given(policy=POLICIES, life=LIVES, draw=st.floats(0.0, 1.0, exclude_max=True))
def test_a_token_is_due_before_it_is_late_before_it_is_spent(policy, life, draw):
    """Whatever is configured and however short the life."""
    a_token = token(life, draw=draw, policy=policy)
    late_at = schedule.late_at(policy, a_token, SENT)
    assert SENT.boot < a_token.renew_at <= late_at <= schedule.spent_at(a_token, SENT)


# -- freshness ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, Freshness.FRESH),
        (23_399, Freshness.FRESH),
        (23_400, Freshness.DUE),
        (26_999, Freshness.DUE),
        (27_000, Freshness.LATE),
        (28_739, Freshness.LATE),
        (28_740, Freshness.SPENT),
        (28_800, Freshness.SPENT),
        (1e9, Freshness.SPENT),
    ],
)
def test_freshness_goes_fresh_due_late_spent(seconds, expected):
    """Fresh until the renewal time, late inside the buffer, spent from a minute before the end."""
    assert fresh(seconds) is expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (9.9, Freshness.FRESH),
        (10.0, Freshness.DUE),
        (15.0, Freshness.LATE),
        (17.5, Freshness.SPENT),
    ],
)
def test_a_life_of_twenty_seconds_goes_through_the_same_story(seconds, expected):
    """In proportion."""
    assert fresh(seconds, life=20.0) is expected


def test_without_a_token_there_is_no_freshness():
    """NONE is its name."""
    assert schedule.freshness(POLICY, None, SENT) is Freshness.NONE


@pytest.mark.parametrize("step", [61.0, -61.0, 1e9, -1e9])
def test_clocks_that_disagree_by_more_than_a_minute_make_a_token_due(step):
    """Either may be right, so the token is looked at again."""
    assert fresh(100, wall_step=step) is Freshness.DUE


@pytest.mark.parametrize("step", [59.9, -59.9, 60.0, -60.0])
def test_clocks_that_disagree_by_a_minute_at_most_do_not(step):
    """Clocks are corrected by a little all the time."""
    assert fresh(100, wall_step=step) is Freshness.FRESH


@pytest.mark.parametrize("step", [1e9, -1e9])
def test_in_the_same_boot_the_boot_clock_alone_decides_the_end(step):
    """A stepped wall clock neither ends nor prolongs a life."""
    assert schedule.end_at(token(), after(100, wall_step=step)) == SENT.boot + LIFE


def test_a_token_of_another_boot_ends_by_the_wall_too():
    """Its age came from the wall clock: a step forward ages it."""
    now = after(100, wall_step=3600)
    assert schedule.end_at(token(by_wall=True), now) == SENT.boot + LIFE - 3600


def test_a_token_of_another_boot_does_not_grow_younger_by_the_wall():
    """A step back leaves the boot clock to decide."""
    now = after(100, wall_step=-3600)
    assert schedule.end_at(token(by_wall=True), now) == SENT.boot + LIFE


def test_remaining_seconds_are_negative_past_the_end():
    """So that a comparison with `min_valid` needs no special case."""
    assert schedule.remaining_seconds(token(), after(LIFE + 5)) == -5


# -- edges ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "edge"), [(0, 23_400), (23_400, 27_000), (27_000, 28_740), (28_740, None)]
)
def test_the_next_edge_is_the_next_change_of_freshness(seconds, edge):
    """Due, late, spent; then nothing changes by time alone."""
    at = schedule.next_edge_at(POLICY, token(), after(seconds))
    assert at == (None if edge is None else SENT.boot + edge)


def test_without_a_token_there_is_no_edge():
    """Nothing can change."""
    assert schedule.next_edge_at(POLICY, None, SENT) is None


@given(life=LIVES, seconds=st.floats(0, LIFE))
def test_at_an_edge_the_freshness_has_changed(life, seconds):
    """To the last bit of the float: else a wake-up would find nothing to do."""
    a_token, now = token(life), after(seconds)
    edge = schedule.next_edge_at(POLICY, a_token, now)
    if edge is not None:
        before = schedule.freshness(POLICY, a_token, now)
        there = Now(edge, now.wall + edge - now.boot)
        assert schedule.freshness(POLICY, a_token, there) is not before


# -- spans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "most"), [(0, 5), (1, 10), (2, 20), (6, 320), (7, 600), (99, 600), (10**9, 600)]
)
def test_back_off_doubles_from_five_seconds_to_ten_minutes(failures, most):
    """The most that a draw can give."""
    assert schedule.backoff_seconds(failures, 1.0, LIFE, 600.0) == most


def test_back_off_has_full_jitter():
    """Half a draw is half the span."""
    assert schedule.backoff_seconds(3, 0.5, LIFE, 600.0) == 20


def test_back_off_is_never_under_a_second():
    """Not even by an unlucky draw."""
    assert schedule.backoff_seconds(3, 0.0, LIFE, 600.0) == 1


def test_back_off_of_what_never_reached_usps_is_capped_at_a_minute():
    """It costs no quota."""
    ceiling = schedule.UNREACHED_CEILING_SECONDS
    assert schedule.backoff_seconds(50, 1.0, LIFE, ceiling) == 60


def test_spans_shrink_with_the_life():
    """An hour of life: an eighth of each span."""
    assert schedule.scaled(600.0, 3600.0) == 75


def test_spans_do_not_shrink_under_a_second():
    """However short the life."""
    assert schedule.scaled(600.0, 1.0) == 1


def test_spans_do_not_grow_with_a_longer_life():
    """Eight hours is the measure."""
    assert schedule.scaled(600.0, 10 * LIFE) == 600


@pytest.mark.parametrize(
    ("probes", "minutes"), [(0, 15), (1, 30), (2, 60), (3, 120), (4, 240), (5, 360), (99, 360)]
)
def test_probes_come_after_fifteen_minutes_doubling_to_six_hours(probes, minutes):
    """A refusal is a person's to mend."""
    assert schedule.probe_seconds(probes, LIFE) == minutes * 60


@pytest.mark.parametrize(
    ("asked", "obeyed"),
    [(None, 0), (0.0, 0), (30.0, 30), (3600.0, 3600), (86_400.0, 3600), (-5.0, 0)],
)
def test_retry_after_is_obeyed_up_to_an_hour(asked, obeyed):
    """Quotas are per hour: a longer one is taken for a mistake."""
    assert schedule.obeyed_retry_after(asked) == obeyed


@pytest.mark.parametrize("asked", [math.nan, math.inf])
def test_a_retry_after_that_is_no_number_costs_at_most_an_hour(asked):
    """Nothing that USPS sends stops the broker for good."""
    assert 0 <= schedule.obeyed_retry_after(asked) <= 3600
