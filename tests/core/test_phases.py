"""The table of moves, as the design tells it."""

import pytest

from usps_token_broker.core.budget import EXTRA, FIRST, RETRY
from usps_token_broker.core.phases import MOVES, NEEDS, URGENCY, Cause, Move
from usps_token_broker.core.values import Phase


def test_a_flight_starts_from_every_other_phase():
    """Idle because it is due, waiting because it is time, halted as a probe."""
    assert {p for (p, move) in MOVES if move is Move.START} == set(Phase) - {Phase.FETCHING}


def test_nothing_starts_a_second_flight():
    """One flight per slot: the pair is not in the table."""
    assert (Phase.FETCHING, Move.START) not in MOVES


def test_only_a_flight_can_bring_a_token():
    """A grant out of nowhere is not allowed."""
    assert [p for (p, move) in MOVES if move is Move.GRANTED] == [Phase.FETCHING]


def test_a_flight_that_is_out_is_not_planned_anew():
    """It is never taken back."""
    assert (Phase.FETCHING, Move.CHANGED) not in MOVES


@pytest.mark.parametrize("phase", Phase)
def test_a_refusal_halts_from_every_phase(phase):
    """By USPS, by a token that ran out meanwhile, or by a bearer without the scope."""
    assert MOVES[phase, Move.REFUSED] is Phase.HALTED


def test_a_change_ends_every_hold_off():
    """Waiting or halted, the slot is idle again and wants what it wants."""
    assert {MOVES[p, Move.CHANGED] for p in Phase if p is not Phase.FETCHING} == {Phase.IDLE}


def test_what_keeps_workers_going_comes_first():
    """A missing token before a due one, a planned renewal before every extra."""
    assert sorted(Cause, key=URGENCY.__getitem__) == list(Cause)
    assert list(Cause)[:3] == [Cause.MISSING, Cause.DUE, Cause.RETRY]


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_its_need(cause):
    """Missing and due may use everything, a retry leaves some of the hour, the rest is extra."""
    needs = {Cause.MISSING: FIRST, Cause.DUE: FIRST, Cause.RETRY: RETRY}
    assert NEEDS[cause] == needs.get(cause, EXTRA)
