"""Who is answered, who waits, who is told no."""

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, LIFE, MINUTE, PAYMENT, PAYMENT_2, app_plan, failure

from usps_token_broker.core.events import Stopped
from usps_token_broker.core.outcomes import Code, FailureKind
from usps_token_broker.core.phases import Cause
from usps_token_broker.core.values import Phase, SlotId


def ready(payments=1):
    play = Playbook(payments)
    play.ready()
    return play


def aged(hours=1.0):
    """A ready broker, some hours later."""
    play = ready()
    play.wait(hours * HOUR)
    play.wake()
    return play


# -- questions ------------------------------------------------------------------------------------


def test_a_good_token_is_answered_at_once():
    """Whoever asks, however often."""
    play = ready()
    play.ask(BEARER, PAYMENT)
    play.says("answer 1")


@pytest.mark.parametrize("hours", [7, 7.9])
def test_a_due_or_late_token_is_answered_at_once(hours):
    """The renewal is no caller's business."""
    play = aged(hours)
    assert BEARER in play.flights
    play.ask(BEARER)
    play.says("answer 1")


def test_a_caller_waits_for_a_flight():
    """And is answered by its grant."""
    play = Playbook()
    play.start()
    play.ask(BEARER)
    play.says()
    play.grant(BEARER)
    play.said("answer 1")


def test_a_caller_waits_for_all_it_needs():
    """Bearer and payment, one after the other."""
    play = Playbook()
    play.start()
    play.ask(BEARER, PAYMENT)
    play.grant(BEARER)
    assert play.broker.waiting() == 1
    play.grant(PAYMENT)
    play.said("answer 1")


def test_a_caller_of_a_payment_waits_for_its_bearer_first():
    """The flight that is out is not the one it asked for, but the one it needs."""
    play = Playbook()
    play.start()
    play.ask(PAYMENT)
    play.says()


def test_a_hundred_callers_wait_for_one_flight():
    """USPS sees one call."""
    play = Playbook()
    play.start()
    for _ in range(100):
        play.ask(BEARER)
    play.grant(BEARER)
    play.said("answer 1", "answer 50", "answer 100")
    assert len(play.calls_of(BEARER)) == 1


def test_a_caller_gives_up_at_its_time():
    """And is told that the token is under way."""
    play = Playbook()
    play.start()
    play.ask(BEARER, wait=10)
    assert play.wakes_in() == 10
    play.sleep()
    play.says("deny 1 not_ready")
    assert play.denial().detail == "no bearer token: it is being fetched"


def test_a_caller_who_does_not_wait_is_denied_at_once():
    """`wait=0`."""
    play = Playbook()
    play.start()
    play.ask(BEARER, wait=0)
    play.says("deny 1 not_ready")


def test_a_caller_who_would_wait_in_vain_is_denied_at_once():
    """The next attempt starts after it gives up: it hears what is wrong and when to come back."""
    play = Playbook()
    play.start()
    play.fail(BEARER)
    play.wait(5)
    play.wake()
    play.fail(BEARER)
    play.ask(BEARER, wait=9)
    play.says("deny 1 upstream_unavailable")
    assert play.denial().retry_after_seconds == 10
    assert play.denial().next_attempt_at == play.now.wall + 10


def test_a_caller_does_not_wait_for_an_attempt_that_starts_as_it_gives_up():
    """It could not see the end of it."""
    play = Playbook()
    play.start()
    play.fail(BEARER)
    play.ask(BEARER, wait=5)
    play.says("deny 1 upstream_unavailable")


def test_a_caller_waits_for_an_attempt_that_starts_in_time():
    """The retry comes within its patience."""
    play = Playbook()
    play.start()
    play.fail(BEARER)
    play.ask(BEARER, wait=10)
    play.says()
    play.sleep()
    play.grant(BEARER)
    play.said("answer 1")


def test_a_failure_denies_those_who_would_wait_in_vain():
    """The flight they waited for has ended."""
    play = Playbook()
    play.start()
    play.ask(BEARER, wait=4)
    play.ask(BEARER, wait=20)
    play.fail(BEARER)
    play.said("deny 1 upstream_unavailable")
    assert play.broker.waiting() == 1


def test_callers_of_a_halted_slot_are_denied_at_once_with_the_fix():
    """Nobody waits for a person to act."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    play.ask(BEARER, wait=60)
    play.says("deny 1 credentials_refused")
    assert play.denial().fix == failure(FailureKind.REFUSED).fix
    assert play.denial().retry_after_seconds == 900


def test_callers_of_a_payment_whose_bearer_is_halted_hear_why():
    """The bearer's refusal is what a person must mend."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    play.ask(PAYMENT, wait=60)
    play.says("deny 1 credentials_refused")


def test_callers_of_a_halted_payment_hear_its_own_reason():
    """Whatever the bearer does."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.ask(PAYMENT, wait=60)
    assert play.denial().detail == "no payment token: refused it was"


def test_a_token_without_min_valid_is_denied_at_once_while_it_is_fresh():
    """The next renewal is hours away: nobody waits for it."""
    play = aged(1)
    play.ask(BEARER, min_valid=7 * HOUR, wait=60)
    play.says("deny 1 not_ready")
    assert "has 7 h left" in play.denial().detail


def test_min_valid_is_a_condition_and_never_an_order():
    """Asking for more causes no call."""
    play = aged(1)
    play.ask(BEARER, min_valid=7 * HOUR, wait=60)
    assert play.flights == {}


def test_a_token_without_min_valid_is_waited_for_while_its_renewal_runs():
    """It comes in time."""
    play = aged(7)
    play.ask(BEARER, min_valid=7 * HOUR)
    play.says()
    play.grant(BEARER)
    play.said("answer 1")


def test_a_caller_who_leaves_cancels_nothing():
    """The flight belongs to the daemon."""
    play = Playbook()
    play.start()
    play.ask(BEARER)
    play.leave()
    play.says()
    assert play.broker.waiting() == 0
    play.grant(BEARER)
    assert play.serving() is not None


def test_a_caller_makes_its_slot_hurry():
    """A slot that waits for its turn in the pace starts when somebody asks."""
    play = Playbook(2)
    play.start()
    play.grant(BEARER)
    assert set(play.flights) == {PAYMENT}
    play.ask(PAYMENT_2)
    play.says("persist", "fetch payment-2", "publish payment-2")


def test_a_caller_of_a_payment_makes_its_bearer_hurry():
    """Two apps share a last call: it goes to the bearer that somebody waits for a payment with."""
    play = Playbook(1, apps=(app_plan(calls_per_hour=1), app_plan("other", calls_per_hour=1)))
    play.ask(SlotId("other", "payment"))
    play.start()
    assert set(play.flights) == {SlotId("other", "bearer")}


def test_a_used_up_budget_is_said():
    """With when the next attempt is: here another app of the same client has used the hour up."""
    play = Playbook(0, apps=(app_plan(calls_per_hour=1), app_plan("other", calls_per_hour=1)))
    play.start()
    play.ask(SlotId("other", "bearer"))
    play.says("deny 1 budget_exhausted")
    assert play.denial().retry_after_seconds == HOUR


# -- reports --------------------------------------------------------------------------------------


def test_a_dead_token_costs_one_renewal():
    """Reported, renewed, told."""
    play = aged()
    play.report_dead(BEARER)
    play.said("persist", "fetch bearer")
    play.grant(BEARER)
    play.said("settle 1 renewed")


def test_a_hundred_reports_of_one_dead_token_cost_one_renewal():
    """They join the flight."""
    play = aged()
    for _ in range(100):
        play.report_dead(BEARER)
    play.grant(BEARER)
    play.said("settle 1 renewed", "settle 100 renewed")
    assert len(play.calls_of(BEARER)) == 2


def test_a_report_of_an_old_token_gets_the_current_one_and_costs_nothing():
    """Superseded."""
    play = aged()
    old = play.serial()
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.report(bearer=old)
    play.says("settle 2 superseded")


def test_a_report_of_a_serial_that_never_was_costs_nothing():
    """It is not the current one."""
    play = aged()
    play.report(bearer=17)
    play.says("settle 1 superseded")


def test_a_report_without_any_serial_costs_nothing():
    """Nobody knows which token it means."""
    play = aged()
    play.report()
    play.says("settle 1 superseded")


def test_a_report_while_there_is_no_token_waits_for_one():
    """As a caller would."""
    play = Playbook()
    play.start()
    play.report(bearer=17)
    play.grant(BEARER)
    play.said("settle 1 renewed")


def test_a_report_without_any_serial_while_there_is_no_token_is_still_a_report():
    """It is settled, not denied."""
    play = Playbook()
    play.start()
    play.report(wait=0)
    play.says("settle 1 throttled")


def test_others_go_on_with_a_reported_token():
    """It is served until the new one is there."""
    play = aged()
    serial = play.serial()
    play.report_dead(BEARER)
    assert play.serial() == serial
    play.ask(BEARER)
    play.says("answer 2")


def test_a_report_of_a_fresh_token_after_a_report_is_throttled():
    """The guard holds it back, and says until when."""
    play = aged()
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.wait(30)
    play.report_dead(BEARER)
    play.says("settle 2 throttled")
    assert play.denial().code is Code.TOO_MANY_REQUESTS
    assert play.denial().retry_after_seconds == pytest.approx(30, abs=0.01)
    assert not play.view().suspect


def test_a_report_whose_renewal_must_wait_for_budget_is_throttled():
    """It stands, but nobody waits ten minutes for it."""
    play = aged()
    play.broker._slots[BEARER].bucket.level = 2.0
    play.broker._slots[BEARER].bucket.filled_at = play.now.boot
    play.report_dead(BEARER)
    play.said("settle 1 throttled")
    assert play.denial().code is Code.BUDGET_EXHAUSTED
    assert play.next_attempt_in() == pytest.approx(600, abs=0.1)


def test_a_renewal_that_fails_after_a_report_is_said():
    """The report has failed when no retry comes in time."""
    play = aged()
    play.report_dead(BEARER, wait=4)
    play.fail(BEARER)
    play.said("settle 1 failed")
    assert play.view().suspect


def test_a_report_of_a_suspect_token_fails_at_once_when_no_retry_is_near():
    """It joins what goes on."""
    play = aged()
    play.report_dead(BEARER, wait=1)
    play.fail(BEARER)
    play.report_dead(BEARER, wait=1)
    play.says("settle 2 failed")


def test_a_report_of_a_token_whose_slot_is_halted_fails_at_once():
    """The slot is suspect from then on."""
    play = aged()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.REFUSED)
    play.report_dead(BEARER)
    play.said("settle 1 failed")
    assert play.view().suspect


# -- whom a label call blames ---------------------------------------------------------------------


def refused_label(play, *, bearer=None, payment=None):
    play.report(bearer or play.serial(BEARER), payment or play.serial(PAYMENT))


def test_on_a_label_call_the_bearer_is_renewed_first():
    """Either may be dead; the payment token is dearer."""
    play = aged()
    refused_label(play)
    assert set(play.flights) == {BEARER}
    play.grant(BEARER)
    play.said("settle 1 renewed")


def test_the_payment_token_is_renewed_when_the_new_bearer_is_refused_beside_it():
    """The same payment serial, another bearer."""
    play = aged()
    refused_label(play)
    play.grant(BEARER)
    refused_label(play)
    assert set(play.flights) == {PAYMENT}
    play.grant(PAYMENT)
    play.said("settle 2 renewed")


def test_a_bearer_that_dies_again_hours_later_is_renewed_first_again():
    """The payment token stood beside a dead bearer before, and worked ever since."""
    play = aged()
    refused_label(play)
    play.grant(BEARER)
    play.wait(HOUR)
    play.wake()
    refused_label(play)
    assert set(play.flights) == {BEARER}
    play.grant(BEARER)
    refused_label(play)
    assert set(play.flights) == {PAYMENT}


def test_late_reports_of_the_old_pair_blame_nobody_anew():
    """A hundred workers met the dead bearer; the last tells when it is long replaced."""
    play = aged()
    old = play.serial(BEARER)
    refused_label(play)
    play.grant(BEARER)
    for _ in range(3):
        refused_label(play, bearer=old)
        play.said(f"settle {play.asks} superseded")
    assert play.flights == {}


def test_a_late_report_of_a_much_older_bearer_does_not_blame_the_payment():
    """A worker slept with a bearer that was renewed since: its 401 says nothing of the payment."""
    play = ready()
    oldest = play.serial(BEARER)
    for _ in range(2):
        play.wait(20 * MINUTE)
        play.wake()
        play.report_dead(BEARER)
        play.grant(BEARER)
    play.wait(20 * MINUTE)
    refused_label(play)
    play.grant(BEARER)
    refused_label(play, bearer=oldest)
    play.said(f"settle {play.asks} superseded")
    assert play.flights == {}


def test_an_old_bearer_reported_between_does_not_hide_which_was_refused():
    """Reports out of order: the new pair is refused, then an old one is told of, then the new
    pair again: still the bearer's turn."""
    play = aged()
    oldest = play.serial(BEARER)
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.wait(20 * MINUTE)
    play.wake()
    refused_label(play)
    refused_label(play, bearer=oldest)
    refused_label(play)
    assert set(play.flights) == {BEARER}


def test_a_report_of_an_old_payment_token_is_superseded():
    """Whatever bearer it names."""
    play = aged()
    refused_label(play, payment=17)
    play.says("settle 1 superseded")


def test_a_report_of_a_payment_token_alone_blames_that():
    """There is no bearer to try first."""
    play = aged()
    play.report_dead(PAYMENT)
    assert set(play.flights) == {PAYMENT}


def test_a_report_for_a_payment_slot_that_is_not_there_blames_the_bearer():
    """It is all there is."""
    play = aged()
    play.report(play.serial(BEARER), 17, slot=PAYMENT_2)
    assert set(play.flights) == {BEARER}


def test_a_payment_slot_is_blamed_for_itself_alone():
    """What was learned of one says nothing of the other."""
    play = Playbook(2)
    play.start()
    while play.flights or play.serving(PAYMENT_2) is None:
        if play.flights:
            play.grant(next(iter(play.flights)))
        else:
            play.sleep()
    play.wait(HOUR)
    play.report(play.serial(BEARER), play.serial(PAYMENT))
    play.grant(BEARER)
    play.wait(HOUR)
    play.report(play.serial(BEARER), play.serial(PAYMENT_2), slot=PAYMENT_2)
    assert set(play.flights) == {BEARER}


# -- the end --------------------------------------------------------------------------------------


def test_whoever_waits_when_the_daemon_ends_is_told_to_come_back():
    """A shim retries; a report is throttled."""
    play = Playbook()
    play.start()
    play.ask(BEARER)
    play.report(bearer=17)
    play.hears(Stopped())
    play.says("deny 1 restarting", "settle 2 throttled", "persist")


def test_whoever_asks_after_the_end_is_told_to_come_back():
    """Nobody is left without an answer."""
    play = Playbook()
    play.start()
    play.hears(Stopped())
    play.ask(BEARER)
    play.says("deny 1 restarting")


def test_a_question_before_the_start_waits_for_it():
    """The state is still being read."""
    play = Playbook()
    play.ask(BEARER)
    play.says()
    play.start()
    play.grant(BEARER)
    play.said("answer 1")


# -- when an attempt is expected ------------------------------------------------------------------


def expected_in(play, slot):
    at = play.broker._callers.expected_at(play.broker._slots[slot], play.now)
    return None if at is None else at - play.now.boot


def test_an_attempt_under_way_is_expected_now():
    """It is."""
    play = Playbook()
    play.start()
    assert expected_in(play, BEARER) == 0


def test_nothing_is_expected_of_a_halted_slot():
    """Its probes are for persons, not for callers."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    assert expected_in(play, BEARER) is None


def test_a_payment_without_a_bearer_is_expected_with_that():
    """And not at all where the bearer is halted."""
    play = Playbook()
    play.start()
    play.fail(BEARER)
    assert expected_in(play, PAYMENT) == 5
    play.sleep()
    play.fail(BEARER, FailureKind.REFUSED)
    assert expected_in(play, PAYMENT) is None


def test_a_planned_renewal_is_expected_at_its_time():
    """The cause of the next start is that it is due."""
    play = ready()
    assert expected_in(play, BEARER) == LIFE - 5400
    assert play.view().next_attempt_why == Cause.DUE
    assert play.view().phase is Phase.IDLE
