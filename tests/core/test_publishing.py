"""What callers are told of a slot, once per change."""

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, LIFE

from usps_token_broker.core.outcomes import FailureKind


def ready():
    play = Playbook(0)
    play.ready()
    return play


def test_a_slot_is_told_of_when_it_is_first_seen():
    """From nothing to something."""
    play = Playbook(0)
    play.start()
    play.said("publish bearer")


def test_what_has_not_changed_is_not_told_again():
    """A heartbeat is no news."""
    play = ready()
    play.wait(30)
    play.wake()
    play.says()


@pytest.mark.parametrize("edge", ["due", "late", "spent"])
def test_each_edge_of_freshness_is_told(edge):
    """Ready answers are made anew."""
    play = ready()
    play.wait({"due": LIFE - 5400, "late": LIFE - 1800, "spent": LIFE - 60}[edge])
    play.wake()
    play.said("publish bearer")


def test_a_new_token_is_told():
    """By its serial."""
    play = ready()
    play.wait(HOUR)
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.said("publish bearer")


def test_a_failure_is_told():
    """The status shows it."""
    play = ready()
    play.wait(HOUR)
    play.report_dead(BEARER)
    play.fail(BEARER, FailureKind.TRANSIENT)
    play.said("publish bearer")


def test_a_clock_step_is_told():
    """The answers carry a flag from now on."""
    play = ready()
    play.step(HOUR)
    play.wake()
    play.said("publish bearer")


def test_an_edge_met_at_the_start_is_not_noted():
    """A restored late token was late before: only the change is news."""
    play = ready()
    play.wait(LIFE - 1000)
    play.restart()
    assert [note.event for note in play.notes()] == ["restored"]
