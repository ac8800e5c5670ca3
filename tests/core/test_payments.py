"""A payment slot and its bearer, told as transcripts."""

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, PAYMENT, PAYMENT_2, SCOPES, with_slot

from usps_token_broker.core.outcomes import Code, FailureKind
from usps_token_broker.core.payments import bearer_changed, check_scope, lacks_scope, refused_with
from usps_token_broker.core.values import Phase

LESS = ("addresses", "labels")


def slots(play):
    return play.broker._slots[PAYMENT], play.broker._slots[BEARER]


def cold(payments=1, **grant):
    """The bearer is there, the payment token is not."""
    play = Playbook(payments)
    play.start()
    play.grant(BEARER, **grant)
    return play


# -- fetched with the current bearer --------------------------------------------------------------


def test_a_payment_token_is_fetched_with_the_current_bearer():
    """As soon as that is there."""
    play = Playbook()
    play.start()
    play.says("persist", "fetch bearer", "publish bearer", "publish payment")
    play.grant(BEARER, value="secret-b")
    play.says(
        "note granted bearer", "persist", "fetch payment", "publish bearer", "publish payment"
    )
    assert play.flights[PAYMENT].bearer.reveal() == "secret-b"


def test_a_renewed_bearer_leaves_the_payment_token_alone():
    """Nothing ties the one to the other."""
    play = Playbook()
    play.ready()
    serial = play.serial(PAYMENT)
    play.report_dead(BEARER)
    play.grant(BEARER)
    assert play.serial(PAYMENT) == serial
    assert PAYMENT not in play.flights


# -- the scope ------------------------------------------------------------------------------------


def test_a_bearer_without_the_scope_costs_no_payment_call():
    """The slot halts for the scope, and the note says how to get it."""
    play = cold(scopes=LESS)
    play.says(
        "note granted bearer", "note failed payment", "publish bearer", "publish payment", "persist"
    )
    assert play.view(PAYMENT).phase is Phase.HALTED
    assert play.view(PAYMENT).trouble.code is Code.SCOPE_MISSING


def test_a_bearer_whose_scopes_are_not_told_is_tried():
    """Not knowing is no reason not to ask."""
    assert PAYMENT in cold(scopes=None).flights


def test_a_slot_halted_for_a_scope_waits_for_no_time():
    """Only the next bearer can help."""
    play = cold(scopes=LESS)
    assert play.view(PAYMENT).next_attempt_at is None
    assert play.view(PAYMENT).next_attempt_why == "next bearer"


def test_the_next_bearer_with_the_scope_is_used_at_once():
    """USPS has granted the product meanwhile."""
    play = cold(scopes=LESS)
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=SCOPES)
    assert PAYMENT in play.flights


def test_the_next_bearer_without_the_scope_halts_it_again():
    """Looked at, still without a call."""
    play = cold(scopes=LESS)
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=LESS)
    assert PAYMENT not in play.flights
    assert play.view(PAYMENT).trouble.times == 2


def test_a_good_payment_token_is_served_while_the_scope_is_missing():
    """A bearer that lost the scope does not take it away."""
    play = Playbook()
    play.ready()
    play.wait(6 * HOUR + 1800)
    play.wake()
    play.grant(BEARER, scopes=LESS)
    play.fail(PAYMENT)
    play.sleep()
    assert play.view(PAYMENT).phase is Phase.HALTED
    assert play.serving(PAYMENT) is not None


def test_a_fresh_payment_token_is_not_troubled_by_a_missing_scope():
    """It wants nothing yet."""
    play = Playbook()
    play.ready()
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=LESS)
    assert play.view(PAYMENT).phase is Phase.IDLE


def test_usps_may_say_itself_that_the_scope_is_missing():
    """Its word halts the slot just so, until the next bearer."""
    play = cold(scopes=None)
    play.fail(PAYMENT, FailureKind.SCOPE_MISSING)
    assert play.view(PAYMENT).next_attempt_why == "next bearer"
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=None)
    assert PAYMENT in play.flights


def test_a_scope_found_missing_with_an_old_bearer_is_looked_at_with_the_new_one():
    """The bearer was renewed while the flight was out."""
    play = cold(scopes=None)
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=None)
    play.fail(PAYMENT, FailureKind.SCOPE_MISSING)
    assert PAYMENT in play.flights


def test_a_probe_with_a_bearer_that_lost_the_scope_costs_no_call():
    """A refused slot waits for its probe; without the scope that is not made."""
    play = cold()
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=LESS)
    play.wait(900)
    play.wake()
    assert PAYMENT not in play.flights
    assert play.view(PAYMENT).next_attempt_why == "next bearer"


def test_a_scope_is_not_judged_by_a_bearer_that_is_being_replaced():
    """The new one may have it."""
    play = cold(scopes=None)
    play.fail(PAYMENT)
    play.report_dead(BEARER)
    play.wait(5)
    play.wake()
    assert play.view(PAYMENT).phase is Phase.WAITING


def test_a_refused_slot_is_asked_for_again_with_a_bearer_of_more_scopes():
    """What was refused has changed."""
    play = cold(scopes=("payments",))
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=SCOPES)
    assert PAYMENT in play.flights


@pytest.mark.parametrize("scopes", [("payments",), None])
def test_a_refused_slot_is_not_probed_for_any_new_bearer(scopes):
    """One of the same scopes, or of none that are told, changes nothing."""
    play = cold(scopes=("payments",))
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=scopes)
    assert PAYMENT not in play.flights


def test_more_scopes_are_told_from_those_at_the_refusal_across_a_restart():
    """The new process compares with what was refused, not with nothing."""
    play = cold(scopes=("payments",))
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.restart(change=lambda saved: with_slot(saved, "bearer", token=None))
    play.grant(BEARER, scopes=("payments",))
    assert PAYMENT not in play.flights


def test_no_bearer_lacks_no_scope():
    """There is nothing to say of it."""
    payment, bearer = slots(Playbook())
    assert not lacks_scope(bearer)
    assert check_scope(payment, bearer, Playbook().now) == []


def test_a_bearer_that_is_gone_changes_nothing():
    """Only a grant can cure."""
    play = cold()
    play.fail(PAYMENT, FailureKind.REFUSED)
    payment, bearer = slots(play)
    bearer.token = None
    bearer_changed([payment], bearer)
    assert payment.phase is Phase.HALTED


def hears_of_the_scope(play, **ask):
    """The denial of one who asks for the payment token now."""
    play.ask(PAYMENT, **ask)
    return play.denial()


@pytest.mark.parametrize("scopes", [LESS, None])
def test_a_missing_scope_is_not_told_while_another_bearer_is_fetched(scopes):
    """Clients take it for final, and the bearer under way may have the scope."""
    play = cold(scopes=scopes)
    if scopes is None:
        play.fail(PAYMENT, FailureKind.SCOPE_MISSING)
    assert hears_of_the_scope(play).code is Code.SCOPE_MISSING
    play.report_dead(BEARER)
    told = hears_of_the_scope(play, wait=0)
    assert told.code is Code.NOT_READY
    assert told.detail.startswith("no payment token: it needs another bearer token")


def test_who_waits_while_another_bearer_is_fetched_gets_the_token_that_it_brings():
    """USPS has granted the product, and somebody has just had the bearer renewed for it."""
    play = cold(scopes=LESS)
    play.report_dead(BEARER)
    play.ask(PAYMENT, wait=10)
    play.grant(BEARER, scopes=SCOPES)
    play.grant(PAYMENT)
    play.said("answer 2")


@pytest.mark.parametrize("fails", [True, False])
def test_a_missing_scope_is_told_again_once_the_other_bearer_is_none_that_has_it(fails):
    """Whether it came without the scope, or did not come."""
    play = cold(scopes=LESS)
    play.report_dead(BEARER)
    play.ask(PAYMENT, wait=10)
    if fails:
        play.fail(BEARER)
    else:
        play.grant(BEARER, scopes=LESS)
    play.said("deny 2 scope_missing")
    assert hears_of_the_scope(play, wait=10).code is Code.SCOPE_MISSING


def test_an_order_while_another_bearer_is_fetched_is_carried_out_with_that():
    """It is not spent on the one that is known to lack the scope."""
    play = Playbook()
    play.ready()
    play.report_dead(BEARER)
    play.grant(BEARER, scopes=LESS)
    play.wait(HOUR)
    play.order(BEARER)
    play.order(PAYMENT)
    assert set(play.flights) == {BEARER}
    play.grant(BEARER, scopes=SCOPES)
    assert PAYMENT in play.flights


# -- a 401 ----------------------------------------------------------------------------------------


def test_a_payment_401_renews_the_bearer():
    """It may be dead; the payment slot waits for the new one."""
    play = cold()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.said("note failed payment", "persist", "fetch bearer")
    assert PAYMENT not in play.flights


def test_the_new_bearer_is_tried_at_once():
    """No back-off: what stood in the way has changed."""
    play = cold()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.grant(BEARER, value="secret-new")
    assert play.flights[PAYMENT].bearer.reveal() == "secret-new"


def test_a_first_401_is_no_refusal_of_the_payment_token_yet():
    """It may be the bearer: while the guard holds its renewal, nothing final is told."""
    play = Playbook()
    play.ready()
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.forget(PAYMENT)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.ask(PAYMENT)
    told = play.denial()
    assert told.code is Code.NOT_READY
    assert told.retry_after_seconds == pytest.approx(60, abs=0.01)
    assert play.view(PAYMENT).trouble.code is Code.NOT_READY


def test_a_401_of_two_bearers_is_one():
    """Then a person must act."""
    play = cold()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.ask(PAYMENT)
    assert play.denial().code is Code.PAYMENT_REFUSED


def test_a_second_401_halts_the_payment_slot_and_leaves_the_bearer_alone():
    """It is not the bearer: a person must look."""
    play = cold()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert play.view(PAYMENT).phase is Phase.HALTED
    assert play.flights == {}
    assert len(play.calls_of(BEARER)) == 2


def test_a_halted_slot_is_not_tried_with_every_new_bearer():
    """Two bearers were refused; a third of the same scopes is no change."""
    play = cold()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.wait(HOUR / 6)
    play.report_dead(BEARER)
    play.grant(BEARER)
    assert PAYMENT not in play.flights


def test_a_probe_that_is_refused_again_renews_no_bearer():
    """Once for this attempt was enough."""
    play = cold()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.wait(900)
    play.wake()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert play.view(PAYMENT).phase is Phase.HALTED
    assert BEARER not in play.flights


def test_a_restart_does_not_forget_the_first_401():
    """The second halts, whichever process meets it."""
    play = cold()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.grant(BEARER)
    play.restart()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert play.view(PAYMENT).phase is Phase.HALTED


def test_a_401_of_a_bearer_that_was_replaced_meanwhile_tries_the_new_one():
    """No renewal is needed for that."""
    play = cold()
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert PAYMENT in play.flights
    assert BEARER not in play.flights


def test_a_401_of_a_bearer_that_was_forgotten_meanwhile_waits_for_the_next():
    """There is none to doubt."""
    play = cold()
    play.forget(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert set(play.flights) == {BEARER}
    play.grant(BEARER)
    assert set(play.flights) == {PAYMENT}


def test_a_401_while_the_bearer_is_being_renewed_waits_for_that():
    """One renewal serves both."""
    play = cold()
    play.report_dead(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert set(play.flights) == {BEARER}
    play.grant(BEARER)
    assert set(play.flights) == {PAYMENT}


def test_a_401_while_the_guard_holds_waits_for_the_guard():
    """The bearer was renewed a moment ago after a report: asking with it again gains nothing."""
    play = Playbook()
    play.ready()
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.report_dead(PAYMENT)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert play.flights == {}
    assert slots(play)[0].retry_at - play.now.boot == pytest.approx(60, abs=0.01)


def test_after_the_guard_a_401_renews_the_bearer():
    """Held back, not forgotten."""
    play = Playbook()
    play.ready()
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.report_dead(PAYMENT)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    # As an extra it also leaves two attempts in its bucket.
    play.wait(1200)
    play.wake()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert BEARER in play.flights


def test_the_bearer_that_was_refused_is_not_tried_again_while_its_renewal_fails():
    """Its first 401 stays the only one."""
    play = cold()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.fail(BEARER)
    play.run(HOUR)
    assert len(play.calls_of(PAYMENT)) == 1
    assert play.view(BEARER).suspect


def test_another_slot_goes_on_with_the_bearer_that_one_was_refused_with():
    """Once the renewal has failed, the bearer is all there is."""
    play = cold(payments=2)
    play.wait(1)
    play.wake()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.fail(BEARER)
    play.fail(PAYMENT_2)
    play.run(10)
    assert PAYMENT_2 in play.flights


def test_a_401_of_a_halted_bearer_waits_for_its_probe():
    """The bearer can be had only when a person has acted; callers are told that reason."""
    play = cold()
    play.wait(HOUR)
    bearer = play.broker._slots[BEARER]
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.REFUSED)
    assert bearer.halted()
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.ask(PAYMENT)
    assert play.denial().code is Code.CREDENTIALS_REFUSED


def test_a_bearer_without_a_report_was_not_refused():
    """Its serial alone says nothing."""
    play = cold()
    payment, bearer = slots(play)
    payment.refused_bearer = bearer.token.serial
    assert not refused_with(payment, bearer)
    bearer.reported = True
    assert refused_with(payment, bearer)
    bearer.token = None
    assert not refused_with(payment, bearer)
