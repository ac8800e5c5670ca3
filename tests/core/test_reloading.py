"""Another configuration in force while tokens live: who stays, who goes, who begins anew."""

from dataclasses import replace

import pytest
from core_play import Playbook
from core_words import APP, BEARER, HOUR, PAYMENT, PAYMENT_2, SECRET, app_plan, failure, slot_plans

from usps_token_broker.core.events import Failed, Granted
from usps_token_broker.core.outcomes import Code, FailureKind
from usps_token_broker.core.plans import SlotPlan
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import Phase, SlotId

OTHER = SlotId("other", "bearer")


def ready(payments=1):
    """Everything granted."""
    play = Playbook(payments)
    play.ready()
    return play


def test_the_same_configuration_again_changes_nothing():
    """No call, no new token, and no probe."""
    play = ready()
    serials = play.serial(), play.serial(PAYMENT)
    play.reload(play.slots)
    play.says("persist")
    assert (play.serial(), play.serial(PAYMENT)) == serials


def test_a_refusal_outlives_a_reload_that_changes_nothing():
    """The budget is not a reload's to spend."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    play.reload(play.slots)
    play.says("persist")
    assert play.view().phase is Phase.HALTED


def test_a_flight_goes_on_through_a_reload():
    """Its result is taken."""
    play = Playbook(0)
    play.start()
    play.reload(play.slots)
    play.grant(BEARER)
    assert play.serving() is not None
    assert len(play.calls) == 1


def test_a_new_payment_slot_is_fetched_at_once():
    """And the others are not."""
    play = ready()
    play.run(60)
    play.reload(slot_plans(APP, 2))
    play.said("fetch payment-2")
    assert set(play.flights) == {PAYMENT_2}


def test_a_slot_that_is_gone_is_not_served_and_not_saved():
    """Nor renewed, ever."""
    play = ready()
    play.reload(slot_plans(APP, 0))
    assert play.serving(PAYMENT) is None
    assert [slot.name for slot in play.persisted.slots] == ["bearer"]
    play.run(10 * HOUR, play.works)
    assert len(play.calls_of(PAYMENT)) == 1


def test_whoever_waits_for_a_slot_that_goes_is_told_so():
    """At once, and that it is the configuration."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.ask(PAYMENT)
    play.reload(slot_plans(APP, 0))
    play.said("deny 1 unknown_slot")
    assert "no token default/payment any more" in play.denial().detail


def test_an_order_for_a_slot_that_goes_is_settled():
    """As failed, with the reason."""
    play = ready()
    play.run(HOUR)
    play.order(PAYMENT)
    play.reload(slot_plans(APP, 0))
    play.said("settle 1 failed")


def test_a_report_of_an_app_that_is_gone_is_settled():
    """A worker may not have heard of it yet."""
    play = ready(0)
    play.reload([SlotPlan(OTHER)], [replace(app_plan("other"), host="elsewhere")])
    play.report(5, slot=BEARER)
    play.said("settle 1 failed")
    assert play.denial().code is Code.UNKNOWN_SLOT


def test_other_roles_are_another_question_so_another_token():
    """The token of the old roles is not served for the new ones."""
    play = ready()
    roles = [play.slots[0], replace(play.slots[1], basis="other roles")]
    play.reload(roles)
    assert play.serving(PAYMENT) is None
    assert PAYMENT in play.flights


def test_roles_that_were_refused_are_asked_again_when_they_change():
    """At once, not at the next probe."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.reload([play.slots[0], replace(play.slots[1], basis="mended roles")])
    assert PAYMENT in play.flights
    assert play.view(PAYMENT).trouble is None


def test_roles_changed_to_and_fro_get_no_new_budget():
    """The bucket belongs to the slot, whatever is asked with."""
    play = ready()
    plans = play.slots
    for n in range(8):
        play.reload([plans[0], replace(plans[1], basis=f"roles {n}")])
        if PAYMENT in play.flights:
            play.grant(PAYMENT)
    assert len(play.calls_of(PAYMENT)) == 4


@pytest.mark.parametrize("granted", [True, False])
def test_what_a_flight_of_the_old_roles_brings_is_void(granted):
    """Even where the new slot is in flight as well."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    old = play.flights.pop(PAYMENT)
    play.reload([play.slots[0], replace(play.slots[1], basis="other roles")])
    assert play.flights[PAYMENT].attempt > old.attempt
    if granted:
        play.hears(Granted(PAYMENT, old.attempt, play.grants(PAYMENT), play.now, 0.0))
    else:
        play.hears(Failed(PAYMENT, old.attempt, failure(FailureKind.REFUSED), 0.0))
    play.says()
    assert play.view(PAYMENT).phase is Phase.FETCHING


def test_a_slot_taken_out_and_put_back_does_not_take_its_first_flight_for_its_second():
    """Numbers of attempts are not given twice."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    first = play.flights.pop(PAYMENT)
    plans = play.slots
    play.reload(plans[:1])
    play.reload(plans)
    assert play.flights[PAYMENT].attempt != first.attempt


def test_an_app_that_is_only_renamed_keeps_its_tokens():
    """State goes by host and client id, never by name alone."""
    play = ready(0)
    token = play.serving().token
    play.reload([SlotPlan(OTHER, required=True)], [app_plan("other")])
    assert play.serving(OTHER).token.value == token.value
    play.hears_secret(SECRET, "other")
    assert play.flights == {}


def test_another_client_id_under_the_same_name_is_another_app():
    """Its tokens are not the old one's, and the budget is its own."""
    play = ready(0)
    play.reload(play.slots, [replace(app_plan(), client_id="another")])
    assert play.serving() is None
    fetch = play.flights[BEARER]
    assert fetch.account.client_id == "another"


def test_a_lower_limit_counts_what_was_sent_before():
    """Three payment calls an hour are allowed, three were made: the fourth slot waits."""
    play = ready(3)
    play.run(60, play.works)
    assert len(play.calls) == 4
    play.reload(slot_plans(APP, 4), [app_plan(calls_per_hour=3)])
    play.run(HOUR / 2, play.works)
    assert len(play.calls) == 4
    play.run(HOUR, play.works)
    assert len(play.calls) == 5


def test_a_higher_limit_lets_those_go_that_waited_for_it():
    """At once."""
    play = Playbook(4, calls_per_hour=3)
    play.ready()
    play.run(60, play.works)
    assert len(play.calls) == 4
    play.reload(play.slots, [app_plan(calls_per_hour=30)])
    play.run(10, play.works)
    assert len(play.calls) == 5


def test_a_longer_lead_renews_the_token_we_have_earlier():
    """The rules in force count, not those at the grant."""
    play = ready(0)
    before = play.next_attempt_in()
    play.reload(play.slots, [replace(app_plan(), policy=LifePolicy(1800.0, 7200.0))])
    assert play.next_attempt_in() < before - 3000


def test_keep_active_takes_effect_at_once():
    """Nobody has asked: no renewal."""
    play = ready()
    play.reload([play.slots[0], replace(play.slots[1], keep_active=True)])
    play.run(10 * HOUR, play.works)
    assert len(play.calls_of(PAYMENT)) == 1


def test_required_takes_effect_at_once():
    """Readiness asks for it from now on."""
    play = ready()
    play.reload([play.slots[0], replace(play.slots[1], required=True)])
    assert play.view(PAYMENT).required
    assert play.view(BEARER).required


def test_retry_after_stands_through_a_reload():
    """It speaks of the endpoint, and the endpoint is the same."""
    play = Playbook(0)
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=1800.0)
    play.reload(play.slots)
    play.run(1700, play.works)
    assert len(play.calls) == 1


def test_a_secret_that_changes_with_the_reload_is_proved():
    """The app posts it right after."""
    play = ready(0)
    play.run(HOUR)
    play.reload(play.slots)
    play.hears_secret("another")
    assert BEARER in play.flights


def test_a_configuration_may_become_empty_and_full_again():
    """Numbers of attempts are remembered through it, and nothing is served meanwhile."""
    play = ready(0)
    plans, apps = play.slots, play.apps
    play.reload([], [])
    assert play.serving() is None
    play.reload(plans, apps)
    assert play.flights[BEARER].attempt == 2


def test_a_reload_keeps_the_pace_of_first_calls():
    """Nobody waits for them: they go on a second apart."""
    play = Playbook(3)
    play.start()
    play.grant(BEARER)
    assert set(play.flights) == {PAYMENT}
    play.reload(play.slots)
    assert set(play.flights) == {PAYMENT}


def test_a_reload_moves_the_buffer_of_the_token_there_is():
    """Workers are told at once until when to use it."""
    play = ready()
    play.reload(play.slots, [app_plan(buffer_seconds=3600.0)])
    view = play.view()
    assert view.expires_at - view.use_until == 3600


def test_other_roles_of_a_token_in_use_are_asked_for_at_once():
    """Who asked in the last day asked for the slot, whatever its roles were."""
    play = Playbook()
    bearer, payment = play.slots
    play.start()
    play.reload([bearer, replace(payment, keep_active=True)])
    play.grant(BEARER)
    play.ask(PAYMENT)
    play.grant(PAYMENT)
    play.reload([bearer, replace(payment, keep_active=True, basis="other roles")])
    assert PAYMENT in play.flights
