"""How many calls there may be, on numbers alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.core.budget import EXTRA, FIRST, RETRY, Bucket, HourWindow

LIFE = 28_800.0
HOUR = 3600.0


def bucket(level=4.0, at=1000.0):
    return Bucket(level, at)


def window(*sent_at, limit=4):
    result = HourWindow(limit)
    for at in sent_at:
        result.charge(at)
    return result


# -- the bucket of a slot -------------------------------------------------------------------------


def test_a_bucket_holds_four_attempts():
    """They may be made at once; the fifth must wait."""
    full = bucket()
    for _ in range(4):
        assert full.ready_at(FIRST, 1000.0, LIFE) == 1000.0
        full.charge(1000.0, LIFE)
    assert full.ready_at(FIRST, 1000.0, LIFE) > 1000.0


def test_one_attempt_comes_back_every_ten_minutes():
    """An empty bucket is ready after 600 s."""
    assert bucket(0.0).ready_at(FIRST, 1000.0, LIFE) == 1600.0
    assert bucket(0.0).left(1600.0, LIFE) == 1.0


def test_a_bucket_never_holds_more_than_four():
    """A quiet night saves nothing up."""
    assert bucket(0.0).left(1e6, LIFE) == 4.0


@pytest.mark.parametrize("level", [2.0, 2.99])
def test_extras_never_take_the_last_two(level):
    """Reports, probes and proofs leave them for the planned renewal."""
    assert bucket(level).ready_at(EXTRA, 1000.0, LIFE) > 1000.0


def test_extras_take_what_is_above_the_last_two():
    """Three in the bucket: one of them may go."""
    assert bucket(3.0).ready_at(EXTRA, 1000.0, LIFE) == 1000.0


def test_retries_may_empty_a_bucket():
    """The bucket is for failing slots."""
    assert bucket(1.0).ready_at(RETRY, 1000.0, LIFE) == 1000.0


def test_a_bucket_fills_faster_for_short_lives():
    """A life of an hour: one attempt back each 75 s."""
    assert bucket(0.0).ready_at(FIRST, 1000.0, HOUR) == 1075.0


def test_a_refund_puts_back_what_never_reached_usps():
    """One in, one out."""
    charged = bucket(3.0)
    charged.charge(1000.0, LIFE)
    charged.refund()
    assert charged.left(1000.0, LIFE) == 3.0


def test_a_refund_does_not_overfill():
    """Four is all there is."""
    full = bucket()
    full.refund()
    assert full.left(1000.0, LIFE) == 4.0


def test_a_charge_below_nothing_leaves_nothing():
    """A level restored from a damaged record cannot go negative."""
    empty = bucket(0.2)
    empty.charge(1000.0, LIFE)
    assert empty.left(1000.0, LIFE) == 0.0


@given(
    level=st.floats(0.0, 4.0),
    now=st.floats(0.0, 1e9),
    life=st.floats(1.0, LIFE),
    need=st.sampled_from([FIRST, RETRY, EXTRA]),
)
def test_a_bucket_is_ready_when_it_said_it_would_be(level, now, life, need):
    """Rounding may cost a wake-up or two, never an endless row of them."""
    a_bucket = bucket(level, now)
    for _ in range(4):
        at = a_bucket.ready_at(need, now, life)
        assert at >= now
        if at == now:
            return
        now = at
    raise AssertionError("the attempt is put off again and again")


# -- the hour of an endpoint ----------------------------------------------------------------------


def test_an_hour_allows_its_calls_and_no_more():
    """Four allowed, four sent: the fifth waits until the first is an hour old."""
    assert window(10.0, 20.0, 30.0, limit=4).ready_at(FIRST, 40.0) == 40.0
    assert window(10.0, 20.0, 30.0, 35.0, limit=4).ready_at(FIRST, 40.0) == 10.0 + HOUR


def test_an_hour_slides():
    """What is an hour old no longer counts."""
    assert window(10.0, 20.0).used(10.0 + HOUR) == 1


def test_an_hour_over_its_limit_waits_for_as_many_as_are_too_many():
    """The limit was lowered: two must go before one may come."""
    assert window(10.0, 20.0, 30.0, limit=2).ready_at(FIRST, 40.0) == 20.0 + HOUR


@pytest.mark.parametrize("need", [RETRY, EXTRA])
def test_first_attempts_have_a_quarter_of_the_hour_to_themselves(need):
    """With 30 allowed, the 24th call of the hour must be a first attempt."""
    busy = HourWindow(30)
    for at in range(23):
        busy.charge(float(at), is_retry=True)
    assert busy.ready_at(need, 100.0) > 100.0
    assert busy.ready_at(FIRST, 100.0) == 100.0


@pytest.mark.parametrize("need", [RETRY, EXTRA])
def test_first_attempts_have_no_more_than_a_quarter_to_themselves(need):
    """The 23rd call of the hour may be of any kind."""
    busy = HourWindow(30)
    for at in range(22):
        busy.charge(float(at), is_retry=True)
    assert busy.ready_at(need, 100.0) == 100.0


def test_retries_have_a_quarter_of_the_hour_to_themselves():
    """Where first attempts fill hour after hour, a retry need not wait for the last of them."""
    busy = window(*(float(at) for at in range(29)), limit=30)
    assert busy.ready_at(RETRY, 100.0) == 100.0
    assert busy.ready_at(EXTRA, 100.0) > 100.0


def test_the_retries_quarter_is_no_more_than_that():
    """Seven of thirty, then the next waits for one of the seven."""
    busy = window(*(float(at) for at in range(20)), limit=30)
    for at in range(20, 27):
        busy.charge(float(at), is_retry=True)
    assert busy.ready_at(RETRY, 100.0) == 4.0 + HOUR
    assert busy.ready_at(FIRST, 100.0) == 100.0


def test_a_retry_that_never_reached_usps_gives_its_share_back():
    """It is no retry that was made."""
    busy = window(*(float(at) for at in range(22)), limit=30)
    for at in range(23, 30):
        busy.charge(float(at), is_retry=True)
        busy.refund(float(at), is_retry=True)
    assert busy.ready_at(RETRY, 100.0) == 100.0
    assert not busy.retried_at


def test_a_full_hour_has_room_for_nobody():
    """Retries' quarter is a part of the limit and nothing on top of it."""
    full = window(*(float(at) for at in range(30)), limit=30)
    assert full.ready_at(RETRY, 100.0) == full.ready_at(FIRST, 100.0) == HOUR


@pytest.mark.parametrize("need", [FIRST, RETRY, EXTRA])
def test_an_hour_of_one_call_allows_each_kind_one(need):
    """A quarter of next to nothing is nothing."""
    assert window(limit=1).ready_at(need, 100.0) == 100.0


def test_a_call_that_never_reached_usps_is_forgotten():
    """It is not charged."""
    charged = window(10.0, 20.0)
    charged.refund(10.0)
    assert charged.used(30.0) == 1


def test_a_refund_of_a_first_attempt_leaves_the_share_of_retries_alone():
    """One of each was charged at the same instant."""
    charged = window()
    charged.charge(10.0)
    charged.charge(10.0, is_retry=True)
    charged.refund(10.0)
    assert charged.used(30.0) == 1
    assert [*charged.retried_at] == [10.0]


def test_a_refund_of_a_call_that_has_slid_out_is_nothing():
    """The flight took an hour: there is nothing left to give back."""
    charged = window(10.0, 20.0)
    charged.refund(11.0)
    assert charged.used(30.0) == 2


def test_a_floor_is_never_lowered():
    """Two flights, two Retry-After: the later end holds."""
    held = window()
    held.hold(500.0)
    held.hold(100.0)
    assert held.floor_at == 500.0


@given(
    sent=st.lists(st.floats(0.0, 3000.0), max_size=20).map(sorted),
    later=st.floats(0.0, 5000.0),
    limit=st.integers(1, 10),
)
def test_no_sliding_hour_ever_holds_more_than_the_limit(sent, later, limit):
    """Calls made whenever the window says so."""
    a_window, made, now = HourWindow(limit), [], 0.0
    for wish in [*sent, 3000.0 + later]:
        now = max(now, wish, a_window.ready_at(FIRST, max(now, wish)))
        a_window.charge(now)
        made.append(now)
    assert max(sum(at <= other < at + HOUR - 1e-6 for other in made) for at in made) <= limit
