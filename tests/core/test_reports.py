"""Whom a report blames, and how often it is believed."""

from itertools import pairwise

import pytest

from usps_token_broker.core.reports import Blame, Guard

HOUR = 3600.0
LIFE = 28_800.0


def admitted(guard, until, *, life=LIFE, every=1.0):
    """Report the current token over and over: when was a renewal allowed?"""
    times, now, renewed_at = [], 0.0, -3600.0
    while now < until:
        if guard.admit(now, now - renewed_at, life):
            times.append(now)
            renewed_at = now + 0.5
        now += every
    return times


def test_the_first_report_of_an_old_token_is_believed():
    """Tokens do die early."""
    assert Guard().admit(1000.0, 3600.0, LIFE)


def test_within_a_minute_of_that_no_other_is():
    """Whoever reports the new token too is more likely to be wrong."""
    guard = Guard()
    guard.admit(1000.0, 3600.0, LIFE)
    assert not guard.admit(1059.9, 59.0, LIFE)
    assert guard.admit(1060.0, 59.5, LIFE)


def test_the_guard_doubles_to_fifteen_minutes_while_fresh_tokens_are_reported():
    """60, 120, 240, 480, then 900 s each time."""
    times = admitted(Guard(), 4000.0)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == [60, 120, 240, 480, 900, 900, 900]


def test_a_token_that_held_for_long_makes_the_guard_forget():
    """Its death is news, not an echo."""
    guard = Guard(until_at=1000.0, seconds=480.0)
    assert guard.admit(2000.0, 960.0, LIFE)
    assert guard.seconds == 60


def test_a_token_that_held_for_less_than_twice_the_span_does_not():
    """It counts as one more fresh token reported."""
    guard = Guard(until_at=1000.0, seconds=480.0)
    assert guard.admit(2000.0, 959.0, LIFE)
    assert guard.seconds == 900


def test_a_report_that_is_held_back_does_not_prolong_the_guard():
    """Else a noisy worker would shut out an honest one for good."""
    guard = Guard()
    guard.admit(1000.0, 3600.0, LIFE)
    for now in range(1001, 1060):
        guard.admit(float(now), now - 1000.0, LIFE)
    assert guard.until_at == 1060.0


@pytest.mark.parametrize(("life", "first"), [(3600.0, 7.5), (20.0, 1.0)])
def test_the_guard_shrinks_with_the_life(life, first):
    """By the same share, at least a second."""
    guard = Guard()
    guard.admit(1000.0, life, life)
    assert guard.until_at == 1000.0 + first


def test_the_longest_the_guard_holds_shrinks_with_the_life_too():
    """An hour of life: a quarter of an hour becomes an eighth of that."""
    times = admitted(Guard(), 500.0, life=HOUR, every=0.5)
    assert [b - a for a, b in pairwise(times)] == [7.5, 15, 30, 60, 112.5, 112.5, 112.5]


def test_a_first_refusal_falls_on_the_bearer():
    """It is renewed first, whichever of the two is dead."""
    assert not Blame().falls_on_payment(7, 1, 1000.0)


def test_the_same_pair_again_still_falls_on_the_bearer():
    """A hundred workers tell the same news."""
    blame = Blame()
    blame.falls_on_payment(7, 1, 1000.0)
    assert not blame.falls_on_payment(7, 1, 1000.0)


def test_the_same_payment_beside_a_new_bearer_falls_on_the_payment():
    """The new bearer did not help."""
    blame = Blame()
    blame.falls_on_payment(7, 1, 1000.0)
    assert blame.falls_on_payment(7, 2, 1000.0)


def test_every_further_report_of_that_pair_falls_on_the_payment():
    """The second worker to tell does not turn it around."""
    blame = Blame()
    blame.falls_on_payment(7, 1, 1000.0)
    blame.falls_on_payment(7, 2, 1000.0)
    assert blame.falls_on_payment(7, 2, 1000.0)


def test_another_payment_token_starts_from_the_bearer_again():
    """What was learned of the old one says nothing of the new."""
    blame = Blame()
    blame.falls_on_payment(7, 1, 1000.0)
    assert not blame.falls_on_payment(8, 2, 1000.0)


def test_hours_later_the_next_refusal_falls_on_the_bearer_again():
    """The payment token worked meanwhile, for all we know: this is another piece of news."""
    blame = Blame()
    blame.falls_on_payment(7, 1, 1000.0)
    assert not blame.falls_on_payment(7, 2, 1000.0 + 2 * HOUR)
    assert blame.falls_on_payment(7, 3, 1001.0 + 2 * HOUR)


def test_a_payment_token_is_let_off_once():
    """Workers that call seldom get rid of a dead one, too."""
    blame = Blame()
    blame.falls_on_payment(7, 1, 0.0)
    assert not blame.falls_on_payment(7, 2, 2 * HOUR)
    assert not blame.falls_on_payment(7, 2, 4 * HOUR)
    assert blame.falls_on_payment(7, 3, 6 * HOUR)


def test_a_blame_holds_as_long_as_the_news_goes_on():
    """A guard may hold the renewal back for a quarter of an hour."""
    blame = Blame()
    blame.falls_on_payment(7, 1, 0.0)
    for minute in range(60):
        assert blame.falls_on_payment(7, 2, 60.0 * minute)
