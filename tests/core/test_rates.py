"""So many times a minute, for each user by itself."""

import pytest

from usps_token_broker.core.rates import Rate

MINUTE = 60_000_000
START = 7_000_000_000
"""Any time, in microseconds."""


def taken(rate, now, uid=1, most=10_000):
    """How many can be had at once."""
    count = 0
    while count < most and rate.take(uid, now):
        count += 1
    return count


def test_a_full_minutes_worth_may_come_at_once():
    """And not one more."""
    assert taken(Rate(100), START) == 100


def test_it_comes_back_evenly():
    """A half in half a minute, and one in a hundredth."""
    rate = Rate(100)
    taken(rate, START)
    assert taken(rate, START + MINUTE // 100 - 1) == 0
    assert taken(rate, START + MINUTE // 100) == 1
    assert taken(rate, START + MINUTE // 100 + MINUTE // 2) == 50


@pytest.mark.parametrize("per_minute", [1, 7, 59, 600_000, 999_999_937])
def test_every_rate_is_exact(per_minute):
    """A rate that does not divide a minute loses nothing: after an hour as after a minute."""
    rate = Rate(per_minute)
    full = MINUTE * per_minute
    rate._full_at[1] = START * per_minute + full
    assert taken(rate, START, most=1) == 0
    seconds = rate.seconds(1, START)
    assert seconds == max(1, -(-60 // per_minute))
    assert taken(rate, START + seconds * 1_000_000, most=1) == 1


def test_nobody_gathers_more_than_a_minutes_worth():
    """A day of silence is not a day's worth."""
    rate = Rate(10)
    taken(rate, START)
    assert taken(rate, START + 1440 * MINUTE) == 10


def test_each_user_has_a_bucket_of_its_own():
    """What one has used is nobody else's loss."""
    rate = Rate(3)
    assert taken(rate, START, uid=1) == 3
    assert taken(rate, START, uid=2) == 3


def test_a_refused_one_is_not_charged():
    """Whoever goes on trying is served as soon as whoever waits."""
    rate = Rate(1)
    assert rate.take(1, START)
    for moment in range(1, 60):
        assert not rate.take(1, START + moment * 1_000_000)
    assert rate.take(1, START + MINUTE)


def test_a_large_minutes_worth_is_taken_out_in_batches():
    """Without a look at the clock for each one; still not one more than there are."""
    rate = Rate(600_000)
    assert rate.take(1, START)
    assert [rate.take_ready(1) for _ in range(60)] == [True] * 59 + [False]
    assert taken(rate, START, most=700_000) == 600_000 - 60


def test_what_lies_ready_is_bounded_as_well():
    """Sixty-five thousand users that each used one token of a batch."""
    rate = Rate(600_000)
    for uid in range(65_536):
        assert rate.take(uid, START + uid * 10_000)
        assert len(rate._ready) <= 1024


def test_none_is_no_limit():
    """And nothing is counted."""
    rate = Rate(0)
    assert taken(rate, START) == 10_000
    assert not rate._full_at
    assert rate.seconds(1, START) == 1


def test_users_that_came_once_take_no_memory_for_good():
    """Sixty-five thousand of them, one after another, within a few minutes."""
    rate = Rate(60)
    for uid in range(65_536):
        assert rate.take(uid, START + uid * 10_000)
        assert len(rate._full_at) <= 1025


def test_users_at_once_are_all_remembered():
    """A bucket is let go of only when it is full: many users do not help one."""
    rate = Rate(1)
    for uid in range(5000):
        assert rate.take(uid, START)
    assert not any(rate.take(uid, START + 1) for uid in range(5000))
