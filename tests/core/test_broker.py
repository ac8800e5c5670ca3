"""All slots together: what is said in which order, when it wants to be woken, how it ends."""

from dataclasses import replace

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, LIFE, PAYMENT, START, app_plan, failure

from usps_token_broker.core.commands import Fetch, Persist
from usps_token_broker.core.events import Failed, Restored, Stopped
from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.values import Endpoint, Freshness, Phase, SlotId

ACCOUNT = app_plan().account


def ready(payments=1):
    play = Playbook(payments)
    play.ready()
    return play


# -- the start ------------------------------------------------------------------------------------


def test_nothing_happens_before_the_state_is_read():
    """No call is made that the state might make needless."""
    play = Playbook()
    play.hears_secret("fingerprint-1")
    play.says()
    play.wake()
    play.says()
    assert play.next_wakeup() is None


def test_a_cold_start_fetches_the_bearer_then_the_payment():
    """One call each, and everything is served."""
    play = Playbook()
    play.start()
    play.says("persist", "fetch bearer", "publish bearer", "publish payment")
    play.grant(BEARER)
    play.says(
        "note granted bearer", "persist", "fetch payment", "publish bearer", "publish payment"
    )
    play.grant(PAYMENT)
    play.says("note granted payment", "publish payment", "persist")
    assert play.flights == {}


def test_a_fetch_names_its_slot_its_endpoint_and_its_attempt():
    """And for a payment the bearer to ask with."""
    play = Playbook()
    play.start()
    assert play.flights[BEARER] == Fetch(BEARER, 1, Endpoint.TOKEN, ACCOUNT)
    play.grant(BEARER)
    bearer = play.serving(BEARER).token.value
    assert play.flights[PAYMENT] == Fetch(
        PAYMENT, 1, Endpoint.PAYMENT_AUTHORIZATION, ACCOUNT, bearer
    )


# -- one flight, charged before it leaves ---------------------------------------------------------


def test_a_slot_has_one_flight():
    """Whatever happens meanwhile."""
    play = Playbook(0)
    play.start()
    for seconds in (1, 60, 3600):
        play.ask(BEARER)
        play.report(bearer=1)
        play.wait(seconds)
        play.wake()
    assert len(play.calls_of(BEARER)) == 1


def test_a_flight_is_on_record_before_it_leaves():
    """`Persist` stands before `Fetch`, and the state it saves holds the charge."""
    play = Playbook()
    play.start()
    kinds = [type(command) for command in play.last]
    assert kinds.index(Persist) < kinds.index(Fetch)
    (window,) = play.persisted.windows
    assert window.sent_at == (START.boot,)
    assert play.persisted.slots[0].bucket_level == 3


def test_one_record_is_made_for_many_flights():
    """It holds all their charges."""
    play = Playbook(3, calls_per_hour=100)
    play.start()
    play.ask(*(plan.id for plan in play.slots))
    play.grant(BEARER)
    play.said("persist", "fetch payment", "fetch payment-2", "fetch payment-3")
    assert [type(command) for command in play.last].count(Persist) == 1


def test_a_grant_is_put_on_record():
    """It should outlive the process."""
    play = ready()
    play.restart()
    assert play.serving() is not None


def test_a_heartbeat_puts_nothing_on_record():
    """Nothing has changed."""
    play = ready()
    play.wait(30)
    play.wake()
    play.says()


# -- the course of a life -------------------------------------------------------------------------


def test_a_renewal_starts_when_the_lead_begins():
    """An hour and a half before the end."""
    play = ready(0)
    play.sleep()
    play.says("persist", "fetch bearer", "publish bearer")
    assert play.left() == 5400


def test_a_failed_renewal_keeps_the_good_token():
    """Served until it is spent."""
    play = ready(0)
    play.sleep()
    serial = play.serial()
    play.fail(BEARER)
    assert play.serial() == serial
    play.run(5400 - 61)
    assert play.serial() == serial
    play.wait(1)
    assert play.serving() is None


def test_a_due_token_is_served():
    """Until the buffer nobody need know."""
    play = ready(0)
    play.sleep()
    assert play.view().freshness is Freshness.DUE
    assert not play.view().degraded


def test_a_refused_slot_halts_at_the_moment_its_token_is_spent():
    """Nobody need ask: the wake-up is there, and it is put on record."""
    play = ready(0)
    play.sleep()
    play.fail(BEARER, FailureKind.REFUSED)
    while play.view().phase is not Phase.HALTED:
        play.sleep()
        if BEARER in play.flights:
            play.fail(BEARER, FailureKind.REFUSED)
    assert play.serving() is None
    assert play.now.boot >= START.boot + LIFE - 60
    assert play.persisted.slots[0].phase is Phase.HALTED


# -- clocks ---------------------------------------------------------------------------------------


def test_a_clock_step_makes_everything_due_at_once():
    """One call each, and the clocks agree again."""
    play = ready()
    play.wait(HOUR)
    play.step(-HOUR)
    play.wake()
    assert set(play.flights) == {BEARER, PAYMENT}
    play.grant(BEARER)
    play.grant(PAYMENT)
    assert not play.view().degraded
    assert play.flights == {}


def test_after_a_clock_step_without_usps_the_boot_clock_decides():
    """Flagged, and served to its true end."""
    play = ready(0)
    play.step(365 * 24 * HOUR)
    play.run(LIFE - 61, play.failing(BEARER, FailureKind.UNREACHED))
    assert play.serving().degraded
    play.wait(1)
    assert play.serving() is None


def test_a_suspended_machine_finds_its_token_spent():
    """BOOTTIME went on: the first thing after waking up is a fetch, not an old token."""
    play = ready(0)
    play.wait(10 * HOUR)
    assert play.serving() is None
    play.wake()
    assert BEARER in play.flights


# -- wake-ups -------------------------------------------------------------------------------------


def test_a_wake_up_says_what_it_is_for():
    """As status and log show it."""
    play = ready(0)
    assert play.next_wakeup().why == "default/bearer due"
    play.sleep()
    assert play.next_wakeup().why == "default/bearer freshness"
    play.ask(BEARER, min_valid=28_000, wait=10)
    assert play.next_wakeup().why == "a caller gives up"


def test_a_broker_whose_flights_are_out_wakes_for_no_time():
    """Their ends wake it."""
    play = Playbook()
    play.start()
    assert play.next_wakeup() is None


def test_a_wake_up_is_always_ahead():
    """Even when it comes at the very moment it was set for."""
    play = ready(3)
    for _ in range(30):
        play.sleep()
        play.flights.clear()
        if play.next_wakeup() is None:
            return
        assert play.next_wakeup().at > play.now.boot


# -- the end --------------------------------------------------------------------------------------


def test_a_stopped_broker_starts_nothing_and_asks_for_no_wake_up():
    """It waits for its flights only."""
    play = ready(0)
    play.hears(Stopped())
    play.says("persist")
    assert play.next_wakeup() is None
    play.wait(LIFE)
    play.wake()
    play.says()


def test_a_grant_after_the_end_is_put_on_record():
    """The next process has it: no good token is lost."""
    play = Playbook(0)
    play.start()
    play.hears(Stopped())
    play.grant(BEARER)
    play.says("note granted bearer", "persist")
    play.restart()
    assert play.serving() is not None


# -- several apps ---------------------------------------------------------------------------------


def two_apps(**kwargs):
    play = Playbook(1, apps=(app_plan("a", **kwargs), app_plan("b", **kwargs)))
    play.start()
    return play


def test_each_app_has_its_own_tokens():
    """Though host and client id are the same."""
    play = two_apps()
    assert set(play.flights) == {SlotId("a", "bearer"), SlotId("b", "bearer")}


def test_a_payment_is_asked_for_with_the_bearer_of_its_app():
    """Not with the other's."""
    play = two_apps()
    play.grant(SlotId("b", "bearer"))
    assert SlotId("b", "payment") in play.flights
    assert SlotId("a", "payment") not in play.flights


def test_a_new_bearer_of_one_app_cures_nothing_of_the_other():
    """It is not theirs."""
    play = two_apps()
    for app in ("a", "b"):
        play.grant(SlotId(app, "bearer"), scopes=("payments",))
        play.fail(SlotId(app, "payment"), FailureKind.REFUSED)
    play.report_dead(SlotId("a", "bearer"))
    play.grant(SlotId("a", "bearer"), scopes=("payments", "labels"))
    assert set(play.flights) == {SlotId("a", "payment")}


# -- what is asked of it --------------------------------------------------------------------------


def test_it_knows_how_many_wait():
    """For the status."""
    play = Playbook()
    play.start()
    play.ask(BEARER)
    play.ask(PAYMENT)
    assert play.broker.waiting() == 2


def test_a_second_restore_is_not_needed_to_serve():
    """`Restored` without a state only starts the broker."""
    play = Playbook(0)
    play.hears(Restored(None, "boot"))
    play.says("persist", "fetch bearer", "publish bearer")


@pytest.mark.parametrize("payments", [0, 1, 5])
def test_every_slot_is_granted_in_the_end(payments):
    """A day with a USPS that works: all served, and about four calls each."""
    play = Playbook(payments)
    play.start()
    play.run(24 * HOUR, play.works)
    for plan in play.slots:
        assert play.left(plan.id) > 1800
        assert len(play.calls_of(plan.id)) == 4


def test_an_event_nobody_knows_is_an_error():
    """A broken invariant ends the process; it is not swallowed."""
    with pytest.raises(AssertionError):
        Playbook().hears(object())


# -- every event, from here alone -----------------------------------------------------------------


def test_a_report_is_taken_in():
    """It makes the slot due."""
    play = ready(0)
    play.wait(HOUR)
    play.report_dead(BEARER)
    play.says("persist", "fetch bearer", "publish bearer")


def test_a_void_result_changes_nothing():
    """It is of another flight."""
    play = Playbook()
    play.start()
    play.hears(Failed(BEARER, 7, failure(FailureKind.REFUSED), 0.0))
    play.says()


def test_a_use_is_put_on_record():
    """A restart must not let go of a token that is in use."""
    play = ready()
    play.use(PAYMENT)
    play.says("persist")


def test_a_caller_who_leaves_is_forgotten():
    """Nobody waits any more."""
    play = Playbook()
    play.start()
    play.ask(BEARER)
    play.leave()
    assert play.broker.waiting() == 0


def test_a_changed_secret_is_tried():
    """At once, once the broker runs."""
    play = ready(0)
    play.hears_secret("another")
    play.said("note secret_changed bearer", "persist", "fetch bearer")


def test_a_restart_with_what_was_saved_serves_it():
    """And finds a secret that was changed meanwhile; a slot without a record starts empty."""
    play = ready()
    play.restart(
        secret="another",
        change=lambda saved: replace(saved, slots=saved.slots[:1]),
    )
    play.said("note restored bearer", "note secret_changed bearer", "persist", "fetch bearer")
    assert play.serving(PAYMENT) is None


def test_a_restart_before_the_secret_is_known_serves_what_was_saved():
    """It is compared when it is read."""
    play = ready(0)
    play.restart(secret="")
    play.says("note restored bearer", "publish bearer", "persist")


def test_a_denial_can_be_asked_for():
    """As the server does for a token that went while it answered."""
    play = Playbook()
    play.start()
    assert play.broker.denial(BEARER, play.now).detail == "no bearer token: it is being fetched"


def test_a_bearer_without_the_scope_is_put_on_record():
    """The slot halts without a call."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    play.said("note failed payment", "persist")
    assert play.persisted.slots[1].phase is Phase.HALTED


def test_a_scope_is_not_judged_while_the_bearer_cannot_be_used():
    """It is past its life: the next one decides."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    play.wait(LIFE)
    play.wake()
    assert play.view(PAYMENT).trouble.times == 1
