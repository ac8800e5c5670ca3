"""What a caller is told, in words: what happened, why, what to do."""

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, PAYMENT, app_plan

from usps_token_broker.core.denials import restarting
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.core.values import SlotId

UNREAD = Failure(
    FailureKind.UNREACHED,
    Code.CREDENTIALS_REFUSED,
    "nobody may read it",
    "chmod it",
    reason="secret_unusable",
)


def denial(play, slot=BEARER):
    return play.broker.denial(slot, play.now)


def test_a_trouble_is_told_with_its_code_and_fix():
    """And what USPS itself said."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    told = denial(play)
    assert (told.code, told.fix) == (Code.CREDENTIALS_REFUSED, "mend it")
    assert told.detail == "no bearer token: refused it was"


def test_a_trouble_is_told_with_when_the_next_attempt_is():
    """As an instant and as a span."""
    play = Playbook()
    play.start()
    play.fail(BEARER)
    told = denial(play)
    assert told.retry_after_seconds == 5
    assert told.next_attempt_at == play.now.wall + 5


def refused(play):
    """The bearer is refused at the first attempt."""
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    return play


def test_a_refusal_is_not_told_while_another_secret_is_tried():
    """`wait=0` would make clients give up, and the attempt under way may bring the token."""
    play = refused(Playbook())
    play.hears_secret("another")
    assert BEARER in play.flights
    play.ask(BEARER, PAYMENT, wait=0)
    told = play.denial()
    assert (told.code, told.upstream_status, told.reason) == (Code.NOT_READY, None, None)
    assert told.detail == "no bearer token: it is being fetched; before that: refused it was"


def test_a_refusal_stands_while_the_same_is_asked_again():
    """A probe is no reason to believe that it will be granted."""
    play = refused(Playbook())
    play.sleep()
    assert BEARER in play.flights
    play.ask(BEARER, wait=0)
    assert play.denial().code is Code.CREDENTIALS_REFUSED


def test_a_refusal_does_not_stand_once_the_probe_has_read_another_secret():
    """The file is read for each attempt: the secret changes under the flight."""
    play = refused(Playbook())
    play.sleep()
    play.hears_secret("another")
    play.ask(BEARER, wait=0)
    assert play.denial().code is Code.NOT_READY


def test_a_refusal_of_a_secret_that_a_restart_has_changed_is_not_told():
    """What was refused is on record by its fingerprint."""
    play = refused(Playbook())
    play.restart(secret="another")
    play.ask(BEARER, wait=0)
    assert play.denial().code is Code.NOT_READY


def test_the_refusal_of_the_changed_secret_is_told():
    """Now it is the answer to what is asked with."""
    play = refused(Playbook())
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.REFUSED)
    play.ask(BEARER, wait=0)
    assert play.denial().code is Code.CREDENTIALS_REFUSED


def test_a_changed_secret_held_back_by_the_budget_says_so():
    """And when it is tried."""
    play = Playbook(0, apps=(app_plan(calls_per_hour=1),))
    refused(play)
    play.hears_secret("another")
    play.ask(BEARER, wait=0)
    told = play.denial()
    assert (told.code, told.retry_after_seconds) == (Code.BUDGET_EXHAUSTED, HOUR)


def test_a_missing_scope_is_not_told_while_a_bearer_that_has_it_is_tried():
    """Nor is the 401 of the bearer before."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    play.ask(PAYMENT, wait=0)
    assert play.denial().code is Code.SCOPE_MISSING
    play.wait(HOUR)
    play.order(BEARER)
    play.grant(BEARER)
    assert PAYMENT in play.flights
    play.ask(PAYMENT, wait=0)
    assert play.denial().code is Code.NOT_READY


def test_a_secret_that_cannot_be_read_is_told_until_it_is_read():
    """The attempt under way looks again, and may find it."""
    play = Playbook()
    play.start()
    play.land(BEARER, UNREAD, draw=1.0)
    play.ask(BEARER, wait=0)
    assert play.denial().code is Code.CREDENTIALS_REFUSED
    play.run(play.next_attempt_in())
    assert BEARER in play.flights
    play.ask(BEARER, wait=0)
    assert play.denial().code is Code.NOT_READY


def test_a_secret_that_a_probe_cannot_read_is_told_in_place_of_the_refusal():
    """That was of a secret which is no longer there."""
    play = refused(Playbook())
    play.sleep()
    play.land(BEARER, UNREAD)
    play.ask(BEARER, wait=0)
    assert play.denial().reason == "secret_unusable"
    assert play.view().trouble.detail == "nobody may read it"


def test_what_is_under_way_has_no_next_attempt():
    """It is being made."""
    play = Playbook()
    play.start()
    assert denial(play).next_attempt_at is None
    assert denial(play).code is Code.NOT_READY


def test_a_token_that_is_served_is_not_called_missing():
    """Who asked for more of it hears how much there is."""
    play = Playbook()
    play.ready()
    play.wait(HOUR)
    told = denial(play)
    assert told.detail == (
        "the bearer token has 7 h left and there is no newer one: the next attempt is still to come"
    )


def test_a_payment_under_way_is_told_as_such():
    """Its bearer is there, and no reason."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    assert denial(play, PAYMENT).detail == "no payment token: it is being fetched"


def test_a_slot_held_by_anothers_retry_after_says_so():
    """It has no trouble of its own."""
    play = Playbook(2)
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.RATE_LIMITED, retry_after=1800)
    told = denial(play, play.slots[2].id)
    assert told.code is Code.UPSTREAM_RATE_LIMITED
    assert told.retry_after_seconds == 1800


def test_a_payment_without_a_bearer_is_told_with_the_bearers_reason():
    """Though it has had troubles of its own."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT)
    play.wait(9 * HOUR)
    play.wake()
    play.fail(BEARER, FailureKind.RATE_LIMITED)
    assert denial(play, PAYMENT).code is Code.UPSTREAM_RATE_LIMITED
    assert denial(play, PAYMENT).detail.startswith("no bearer token")


def test_a_used_up_budget_is_told_with_when_there_is_some():
    """It has no trouble of its own either: another app of the client used the hour up."""
    play = Playbook(0, apps=(app_plan(calls_per_hour=1), app_plan("other", calls_per_hour=1)))
    play.start()
    told = denial(play, SlotId("other", "bearer"))
    assert told.code is Code.BUDGET_EXHAUSTED
    assert told.retry_after_seconds == HOUR


def test_a_report_that_is_held_back_says_so():
    """And when the next one counts."""
    play = Playbook(0)
    play.ready()
    play.wait(HOUR)
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.report_dead(BEARER)
    assert play.denial().code is Code.TOO_MANY_REQUESTS
    assert play.denial().next_attempt_at == pytest.approx(play.now.wall + 60, abs=0.01)
    assert "the next report counts in 1 min" in play.denial().fix


def test_an_end_says_to_come_back_in_a_second():
    """Shims retry it."""
    assert (restarting().code, restarting().retry_after_seconds) == (Code.RESTARTING, 1.0)
