"""A person's orders: another token now, or none of those there are."""

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, LIFE, PAYMENT, PAYMENT_2, SCOPES, SECRET, failure

from usps_token_broker.core.outcomes import Code, FailureKind
from usps_token_broker.core.values import Freshness, Phase


def ready(payments=1):
    """Everything granted, and long enough ago for every bucket to be full again."""
    play = Playbook(payments)
    play.ready()
    play.run(HOUR)
    return play


# -- renewals ------------------------------------------------------------------------------------


def test_an_order_renews_a_fresh_token_and_the_present_one_is_served_meanwhile():
    """One call, at once; the swap comes with the grant."""
    play = ready()
    serial = play.serial()
    play.order()
    play.says("persist", "fetch bearer", "publish bearer")
    assert play.serial() == serial
    play.grant(BEARER)
    play.said("settle 1 renewed")
    assert play.serial() > serial


def test_an_order_for_a_slot_that_a_reload_took_away_says_so():
    """Just before it came."""
    play = Playbook(0)
    play.ready()
    play.order(PAYMENT)
    play.says("settle 1 failed")
    assert play.denial().code is Code.UNKNOWN_SLOT


def test_an_order_joins_the_flight_that_is_out():
    """Two orders, one call."""
    play = ready()
    play.order()
    play.order()
    play.says()
    play.grant(BEARER)
    play.said("settle 1 renewed", "settle 2 renewed")
    assert len(play.calls_of(BEARER)) == 2


def test_an_order_leaves_the_last_two_attempts_to_the_planned_renewal():
    """It is told that the budget holds it back, and until when."""
    play = ready()
    for _ in range(2):
        play.order()
        play.wait(1)
        play.grant(BEARER)
    play.order()
    play.says("settle 3 throttled")
    assert play.denial().code is Code.BUDGET_EXHAUSTED
    assert play.denial().retry_after_seconds > 0


def test_an_order_held_back_by_the_budget_is_carried_out_when_that_allows():
    """Whoever gave it need not give it again."""
    play = ready()
    for _ in range(2):
        play.order()
        play.wait(1)
        play.grant(BEARER)
    play.order()
    play.run(1200, play.works)
    assert len(play.calls_of(BEARER)) == 4


def test_an_order_waits_for_no_back_off():
    """A person has mended what failed."""
    play = ready()
    play.order()
    play.fail(BEARER)
    play.order()
    assert BEARER in play.flights


def failed_twice_when_due():
    """A token that is due, two attempts at it gone, and the next one planned in seconds."""
    play = ready()
    play.run(play.broker._slots[BEARER].token.renew_at - play.now.boot + 1)
    play.fail(BEARER)
    play.run(play.next_attempt_in() + 0.1)
    play.fail(BEARER)
    return play


def test_an_order_that_must_wait_for_the_budget_holds_back_no_planned_retry():
    """Whoever orders out of impatience does not make an outage longer."""
    play = failed_twice_when_due()
    planned = play.next_attempt_in()
    assert planned < 20
    play.order(wait=60)
    assert play.next_attempt_in() == pytest.approx(planned)
    play.sleep()
    assert BEARER in play.flights
    play.grant(BEARER)
    play.said("settle 1 renewed")


def test_an_order_obeys_retry_after():
    """USPS's own word stands above a person's."""
    play = ready()
    play.order()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=1800.0)
    play.order()
    play.said("settle 2 failed")
    assert BEARER not in play.flights
    assert play.denial().retry_after_seconds == pytest.approx(1800.0)


def test_an_order_asks_a_halted_slot_at_once():
    """For when USPS has approved the application at last."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    assert play.view().phase is Phase.HALTED
    play.order()
    assert BEARER in play.flights
    play.grant(BEARER)
    play.said("settle 1 renewed")
    assert play.view().phase is Phase.IDLE


def halted_after_its_life():
    """Refused again and again until its token was spent: its bucket is as good as empty."""
    play = ready()
    play.run(LIFE - HOUR, play.failing(PAYMENT, FailureKind.REFUSED))
    assert play.view(PAYMENT).phase is Phase.HALTED
    assert play.serving(PAYMENT) is None
    assert play.view(PAYMENT).attempts_left < 2
    return play


def test_an_order_for_a_token_that_is_gone_needs_no_more_than_one_attempt():
    """The account was topped up: there is no planned renewal that any calls must be left for."""
    play = halted_after_its_life()
    play.order(PAYMENT)
    play.run(600, play.works)
    assert play.serving(PAYMENT) is not None


def test_a_probe_of_a_token_that_is_gone_leaves_the_last_two_attempts():
    """Nobody has acted."""
    play = halted_after_its_life()
    calls = len(play.calls_of(PAYMENT))
    play.run(1100, play.works)
    assert play.next_attempt_in(PAYMENT) > 0
    assert len(play.calls_of(PAYMENT)) == calls


def test_an_order_for_a_halted_token_that_is_served_leaves_the_last_two_attempts():
    """They are for its renewal, which the secret before could make if it came back."""
    play = ready()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.REFUSED)
    play.order()
    play.fail(BEARER, FailureKind.REFUSED)
    play.order()
    assert BEARER not in play.flights
    assert play.view().attempts_left >= 2


def test_a_fault_on_the_way_does_not_undo_the_refusal():
    """The order was a probe; it ends in a probe's way."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    play.order()
    play.fail(BEARER, FailureKind.TRANSIENT)
    assert play.view().phase is Phase.HALTED
    assert play.view().trouble.kind is FailureKind.REFUSED


def refused(attempts):
    """A bearer that has been refused so often, by order after the first time."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    for _ in range(attempts - 1):
        play.order()
        play.fail(BEARER, FailureKind.REFUSED)
    return play


def test_an_order_that_the_budget_holds_back_is_not_told_an_old_refusal():
    """USPS was not asked: what stands in the way is the budget, and the attempt comes later."""
    play = refused(4)
    play.order()
    told = play.denial()
    assert told.code is Code.BUDGET_EXHAUSTED
    assert told.retry_after_seconds == pytest.approx(600)
    assert told.detail.endswith("; before that: refused it was")
    assert told.upstream_status is None
    play.run(601)
    assert BEARER in play.flights


def test_a_caller_is_told_the_refusal_that_an_order_does_not_change():
    """Nobody has asked USPS again yet."""
    play = refused(4)
    play.order()
    play.ask(BEARER, wait=0)
    assert play.denial().code is Code.CREDENTIALS_REFUSED


def test_an_order_waits_for_the_budget_as_long_as_it_was_told_to():
    """The probe that it ordered begins in time."""
    play = refused(4)
    play.wait(590)
    play.order(wait=20)
    play.says()
    play.sleep()
    play.grant(BEARER)
    play.said("settle 4 renewed")


def test_an_order_at_a_halted_slot_that_takes_too_long_is_told_that_it_is_under_way():
    """USPS has not answered it yet."""
    play = refused(1)
    play.order(wait=3)
    play.wait(3)
    play.wake()
    play.said("settle 1 failed")
    assert play.denial().code is Code.NOT_READY
    assert "it is being fetched" in play.denial().detail


def test_an_order_that_did_not_reach_usps_says_so():
    """The refusal before is no answer to it, and stays for all others."""
    play = refused(1)
    play.order(wait=0.5)
    play.land(BEARER, failure(FailureKind.UNREACHED), draw=1.0)
    told = play.denial()
    assert told.code is Code.UPSTREAM_UNAVAILABLE
    assert told.detail == "no bearer token: unreached it was; before that: refused it was"
    play.ask(BEARER, wait=0)
    assert play.denial().code is Code.CREDENTIALS_REFUSED


def test_an_order_that_usps_refuses_is_told_that():
    """It is the answer."""
    play = refused(1)
    play.order()
    play.fail(BEARER, FailureKind.REFUSED)
    play.said("settle 1 failed")
    assert play.denial().code is Code.CREDENTIALS_REFUSED


def test_an_order_for_a_halted_payment_without_a_bearer_is_told_what_is_missing():
    """Its own refusal is older than that of the bearer."""
    play = ready()
    play.order(PAYMENT)
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.wait(9 * HOUR)
    play.wake()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=1800.0)
    play.order(PAYMENT)
    assert play.denial().code is Code.UPSTREAM_RATE_LIMITED
    assert play.denial().detail.startswith("no bearer token")


def test_an_order_that_fails_says_why():
    """The failure's own words, and when the next attempt is."""
    play = ready()
    play.order(wait=3.0)
    play.fail(BEARER, FailureKind.TRANSIENT, draw=1.0)
    play.said("settle 1 failed")
    assert "transient it was" in play.denial().detail
    assert play.denial().retry_after_seconds == pytest.approx(5.0, abs=0.01)


def test_an_order_for_a_payment_whose_bearer_lacks_the_scope_costs_no_call():
    """It says that the bearer has to be renewed, once, and not with every event after that."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    times = play.view(PAYMENT).trouble.times
    play.order(PAYMENT)
    play.said("settle 1 failed")
    assert play.denial().code is Code.SCOPE_MISSING
    assert "usps-token-broker renew bearer" in play.denial().fix
    play.wake()
    play.wake()
    assert play.view(PAYMENT).trouble.times == times + 1
    assert PAYMENT not in play.flights


def test_a_bearer_renewed_by_order_wakes_the_payment_that_lacked_its_scope():
    """The way out of a product granted after the token was made."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    play.run(HOUR)
    play.order(BEARER)
    play.grant(BEARER, scopes=SCOPES)
    assert PAYMENT in play.flights


def test_an_order_for_a_token_that_is_missing_is_settled_by_the_first_one():
    """There is no serial to wait out."""
    play = Playbook()
    play.start()
    play.order(BEARER)
    play.grant(BEARER)
    play.said("settle 1 renewed")


def test_an_order_whose_time_runs_out_is_told_so_and_comes_all_the_same():
    """A caller that leaves cancels nothing."""
    play = ready()
    play.order(wait=5.0)
    play.wait(5)
    play.wake()
    play.said("settle 1 throttled")
    assert play.denial().code is Code.NOT_READY
    play.grant(BEARER)
    assert play.view().trouble is None


def test_an_order_does_not_outlive_the_process():
    """A restart is no reason for a call."""
    play = ready()
    for _ in range(2):
        play.order()
        play.wait(1)
        play.grant(BEARER)
    play.order()
    play.restart()
    play.run(1200, play.works)
    assert len(play.calls_of(BEARER)) == 3


# -- forgetting ----------------------------------------------------------------------------------


def test_a_forgotten_token_is_not_served_for_another_instant():
    """And the next one is fetched at once."""
    play = ready()
    play.forget(BEARER)
    assert play.serving() is None
    play.said("note forgotten bearer", "persist", "fetch bearer")


def test_a_forgotten_token_is_not_in_the_state():
    """Not to be found by the next process, or by whoever reads the file."""
    play = ready()
    play.forget(PAYMENT)
    saved = {slot.name: slot.token for slot in play.persisted.slots}
    assert saved["payment"] is None
    assert saved["bearer"] is not None


def test_forgetting_a_bearer_leaves_its_payments():
    """No claim ties a payment token to one bearer (usps: azp and sub alone)."""
    play = ready()
    play.forget(BEARER)
    assert play.serving(PAYMENT) is not None


def test_forgetting_ends_a_refusal_and_a_back_off():
    """What is known against asking is forgotten as well."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    play.forget(BEARER)
    assert BEARER in play.flights
    assert play.view().trouble is None


def test_forgetting_spares_no_budget():
    """Four in a row, then the bucket is empty."""
    play = ready()
    for _ in range(6):
        play.forget(BEARER)
        if BEARER in play.flights:
            play.grant(BEARER)
    assert len(play.calls_of(BEARER)) == 5
    play.ask()
    assert play.denial().code is Code.BUDGET_EXHAUSTED


def test_what_a_flight_brings_after_forgetting_is_taken():
    """It was asked for before, and is another token than the one forgotten."""
    play = ready()
    play.order()
    play.forget(BEARER)
    play.grant(BEARER)
    assert play.serving() is not None
    assert len(play.calls_of(BEARER)) == 2


def test_a_probe_that_fails_after_forgetting_says_what_failed_and_is_made_again_soon():
    """The refusal it was to test is forgotten: it does not come back, without its reason."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    play.sleep()
    play.forget(BEARER)
    play.fail(BEARER, FailureKind.TRANSIENT)
    view = play.view()
    assert (view.phase, view.trouble.kind) == (Phase.WAITING, FailureKind.TRANSIENT)
    assert play.next_attempt_in() <= 10


def test_forgetting_several_is_one_event():
    """All of an app, for when it is given up."""
    play = ready(2)
    play.forget(BEARER, PAYMENT, PAYMENT_2)
    assert [play.serving(slot) for slot in (BEARER, PAYMENT, PAYMENT_2)] == [None] * 3
    assert play.view(PAYMENT).freshness is Freshness.NONE


def test_forgetting_an_unknown_slot_is_nothing():
    """It was taken out of the configuration a moment ago."""
    play = Playbook(0)
    play.ready()
    play.forget(PAYMENT)
    play.says("persist")


# -- a changed secret ----------------------------------------------------------------------------


def test_a_changed_secret_that_is_refused_says_how_long_the_old_token_is_good():
    """In the log, beside the refusal itself."""
    play = ready()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.REFUSED)
    note = next(note for note in play.notes() if note.event == "secret_refused")
    assert note.text == "secret refused: the old token is good for 6 h 59 min"
    assert play.serving() is not None


def test_what_is_thought_of_the_secret_can_be_seen():
    """Unknown, accepted, pending, refused: what a reload tells."""

    def standing():
        return play.broker.snapshot(play.now).apps[0].credentials

    play = Playbook()
    play.start()
    assert standing() == "unknown"
    play.grant(BEARER)
    assert standing() == "accepted"
    play.run(HOUR, play.works)
    play.hears_secret("another")
    assert standing() == "pending"
    play.fail(BEARER, FailureKind.REFUSED)
    assert standing() == "refused"
    play.hears_secret(SECRET)
    assert standing() == "accepted"
    assert play.left() < LIFE
