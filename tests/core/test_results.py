"""The end of a flight: what it does to its slot, its budget and the log."""

from dataclasses import replace

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, LIFE, PAYMENT, PAYMENT_2, START, failure

from usps_token_broker.core.events import Failed, Granted
from usps_token_broker.core.outcomes import FailureKind, Grant
from usps_token_broker.core.values import Freshness, Phase, Secret, SlotId


def window(play, slot=BEARER):
    return play.broker._planner.window(slot)


def test_a_grant_is_in_use_at_once():
    """Saved, told, and served."""
    play = Playbook(payments=0)
    play.start()
    play.grant(BEARER)
    play.says("note granted bearer", "publish bearer", "persist")
    assert play.left() == LIFE


def test_a_life_counts_from_sending():
    """The answer took two seconds: they are gone."""
    play = Playbook()
    play.start()
    play.wait(2)
    play.grant(BEARER)
    assert play.left() == LIFE - 2


@pytest.mark.parametrize("result", ["grant", "failure"])
def test_a_result_of_another_flight_is_void(result):
    """It changes nothing."""
    play = Playbook()
    play.start()
    grant = Grant(Secret("secret-x"), LIFE)
    if result == "grant":
        play.hears(Granted(BEARER, 7, grant, START, 0.0))
    else:
        play.hears(Failed(BEARER, 7, failure(FailureKind.REFUSED), 0.0))
    play.says()
    assert play.view().phase is Phase.FETCHING


def test_a_result_without_a_flight_is_void():
    """There is none to end."""
    play = Playbook()
    play.ready()
    play.hears(Failed(BEARER, 1, failure(FailureKind.REFUSED), 0.0))
    play.says()


def test_a_result_for_a_slot_that_is_not_there_is_void():
    """It may come from a flight of an earlier configuration."""
    play = Playbook()
    play.start()
    play.hears(Failed(SlotId("gone", "bearer"), 1, failure(FailureKind.REFUSED), 0.0))
    play.says()


def test_a_serial_is_the_wall_clock_in_milliseconds():
    """So that it stays unique when state is lost."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    assert play.serial() == START.wall * 1000


def test_a_serial_is_above_the_last_one_when_the_clock_went_back():
    """Clients compare for equality: no serial is given twice."""
    play = Playbook()
    play.ready()
    first = play.serial(BEARER)
    play.wait(60)
    play.step(-HOUR)
    play.wake()
    play.grant(BEARER)
    assert play.serial(BEARER) > first


def test_serials_of_one_moment_differ():
    """Of all slots together."""
    play = Playbook(payments=3)
    play.ready()
    assert play.serial(BEARER) != play.serial(PAYMENT)


def test_the_jitter_is_drawn_once_per_grant():
    """With a draw of a half, three minutes before the lead begins."""
    play = Playbook()
    play.start()
    play.grant(BEARER, draw=0.5)
    assert play.view().renew_at - play.now.wall == LIFE - 1800 - 3600 - 180


def test_the_same_token_again_is_the_failure_unchanged():
    """It gains nothing; it is tried again after a back-off."""
    play = Playbook(payments=0)
    play.start()
    play.grant(BEARER, value="secret-same")
    play.wait(LIFE - 5400)
    play.wake()
    play.grant(BEARER, value="secret-same")
    play.says("note failed bearer", "publish bearer", "persist")
    assert play.view().trouble.kind is FailureKind.UNCHANGED
    assert play.view().phase is Phase.WAITING


def test_a_token_that_ends_no_later_is_the_failure_unchanged():
    """The one we have is kept."""
    play = Playbook(payments=0)
    play.ready()
    play.wait(LIFE - 5400)
    play.wake()
    serial = play.serial()
    play.grant(BEARER, life=5400)
    assert play.serial() == serial
    assert play.view().trouble.kind is FailureKind.UNCHANGED


def test_another_token_that_ends_no_later_is_not_called_the_same():
    """What is said of it is what happened."""
    play = Playbook(payments=0)
    play.ready()
    play.wait(LIFE - 5400)
    play.wake()
    play.grant(BEARER, life=5400)
    assert play.view().trouble.detail == (
        "USPS granted another token, which ends no later than the one we have"
    )


def opaque_payment():
    """A broker whose payment token does not tell its life, and is due."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.land(PAYMENT, replace(play.grants(PAYMENT), life_is_assumed=True))
    play.wait(LIFE - 5400 + 1)
    play.wake()
    assert PAYMENT in play.flights
    return play


def test_a_life_that_was_assumed_outlasts_none_that_is_known():
    """Opaque payment tokens are taken to live for eight hours; the next ones say one hour."""
    play = opaque_payment()
    serial = play.serial(PAYMENT)
    play.grant(PAYMENT, life=HOUR)
    assert play.serial(PAYMENT) > serial
    assert play.left(PAYMENT) == pytest.approx(HOUR, abs=5)
    assert play.view(PAYMENT).trouble is None


def test_an_assumed_life_is_known_as_such_by_the_next_process():
    """It is on record beside the token."""
    play = opaque_payment()
    play.restart()
    serial = play.serial(PAYMENT)
    play.grant(PAYMENT, life=HOUR)
    assert play.serial(PAYMENT) > serial


def test_an_assumed_life_gains_nothing_over_another_that_ends_later():
    """Both are the same guess."""
    play = opaque_payment()
    play.land(PAYMENT, replace(play.grants(PAYMENT, life=HOUR), life_is_assumed=True))
    assert play.view(PAYMENT).trouble.kind is FailureKind.UNCHANGED


def test_a_token_past_its_life_on_arrival_is_the_failure_unchanged():
    """The machine slept for nine hours with the answer on its way: no storm of fetches follows."""
    play = Playbook(payments=0)
    play.start()
    play.wait(9 * HOUR)
    play.grant(BEARER)
    assert play.view().freshness is Freshness.NONE
    assert play.view().phase is Phase.WAITING


def test_a_retry_after_holds_the_endpoint():
    """For as long as USPS says."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=1800)
    assert play.wakes_in() == 1800


def test_a_retry_after_beyond_an_hour_is_cut():
    """It is taken for a mistake."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=86_400)
    assert play.wakes_in() == 3600


def test_a_retry_after_shorter_than_the_back_off_is_a_floor_only():
    """The back-off still counts."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=1)
    assert play.wakes_in() == 5


def test_a_changed_secret_does_not_undercut_a_retry_after():
    """USPS's own word stands whatever changes on our side."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=1800)
    play.hears_secret("another")
    assert play.flights == {}
    assert play.wakes_in() == 1800


def test_what_never_reached_usps_is_taken_off_the_hour():
    """And may be tried 60 times an hour."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.UNREACHED)
    assert window(play).used(play.now.boot) == 0


def test_every_other_failure_stays_on_the_hour():
    """USPS may have counted it."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.TRANSIENT)
    assert window(play).used(play.now.boot) == 1


@pytest.mark.parametrize("good", [True, False])
def test_the_skew_of_the_date_header_is_shown(good):
    """From a grant or a failure; nothing is computed with it."""
    play = Playbook()
    play.start()
    if good:
        play.land(BEARER, Grant(Secret("secret-1"), LIFE, skew_seconds=-7.5))
    else:
        skewed = failure(FailureKind.TRANSIENT)
        play.land(BEARER, type(skewed)(*_values(skewed, skew_seconds=-7.5)))
    assert play.broker.snapshot(play.now).apps[0].skew_seconds == -7.5
    assert play.left() in {None, LIFE}


def test_a_skew_moves_no_renewal():
    """Lives are spans."""
    play = Playbook()
    play.start()
    play.land(BEARER, Grant(Secret("secret-1"), LIFE, skew_seconds=600.0))
    assert play.view().renew_at - play.now.wall == LIFE - 5400


def test_a_skew_that_was_shown_stays_where_an_answer_has_no_date():
    """Not knowing is no news."""
    play = Playbook()
    play.start()
    play.land(BEARER, Grant(Secret("secret-1"), LIFE, skew_seconds=-7.5))
    play.fail(PAYMENT)
    assert play.broker.snapshot(play.now).apps[0].skew_seconds == -7.5


def _values(record, **changes):
    names = record.__dataclass_fields__
    return [changes.get(name, getattr(record, name)) for name in names]


def test_a_payment_401_asks_for_another_bearer():
    """The end of one flight is the start of another."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert set(play.flights) == {BEARER}


def test_a_401_that_is_final_asks_for_no_other_bearer():
    """The second has been refused."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert play.flights == {}


def test_a_payment_grant_is_no_new_bearer_to_a_slot_that_waits_for_one():
    """What it was refused with is still the bearer there is."""
    play = Playbook(2)
    play.start()
    play.ask(PAYMENT, PAYMENT_2)
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    play.grant(PAYMENT_2)
    assert play.view(PAYMENT).phase is Phase.WAITING


# -- proofs ---------------------------------------------------------------------------------------


def changed(**grant):
    """A good token, then another secret: its proof is out."""
    play = Playbook(payments=0)
    play.start()
    play.grant(BEARER, value="secret-same", **grant)
    play.wait(HOUR)
    play.hears_secret("another")
    return play


def test_a_changed_secret_that_brings_a_token_is_accepted():
    """Proved, and renewed with it."""
    play = changed()
    play.says("note secret_changed bearer", "persist", "fetch bearer", "publish bearer")
    play.grant(BEARER)
    play.said("note granted bearer", "note secret_accepted bearer")


def test_a_changed_secret_that_brings_the_same_token_is_accepted():
    """USPS may repeat itself: the secret works all the same, and one call was enough."""
    play = changed()
    play.grant(BEARER, value="secret-same")
    play.says("note secret_accepted bearer", "publish bearer", "persist")
    assert play.view().phase is Phase.IDLE
    assert play.flights == {}


def test_a_probe_that_brings_the_same_token_ends_the_refusal():
    """The changed secret was refused, and now is accepted: nothing is wrong any more."""
    play = changed()
    play.fail(BEARER, FailureKind.REFUSED)
    play.wait(900)
    play.wake()
    play.grant(BEARER, value="secret-same")
    play.said("note secret_accepted bearer")
    assert play.view().phase is Phase.IDLE
    assert play.view().trouble is None
    assert play.flights == {}


def test_a_probe_that_brings_a_spent_token_again_is_unchanged():
    """Nothing can be served: it is tried again after a back-off."""
    play = changed()
    play.fail(BEARER, FailureKind.REFUSED)
    play.wait(8 * HOUR)
    play.wake()
    play.grant(BEARER, value="secret-same")
    assert play.view().phase is Phase.WAITING
    assert play.view().trouble.kind is FailureKind.UNCHANGED


def test_an_accepted_secret_does_not_bring_a_reported_token_back():
    """The same token again, while it is said to be dead: accepted, yet the renewal has failed."""
    play = changed()
    play.report_dead(BEARER)
    play.grant(BEARER, value="secret-same")
    play.said("note secret_accepted bearer", "note failed bearer")
    assert play.view().suspect


def test_a_renewal_with_a_changed_secret_that_brings_the_same_token_has_failed():
    """It was due: proving the secret is not enough."""
    play = Playbook(payments=0)
    play.start()
    play.grant(BEARER, value="secret-same")
    play.wait(LIFE - 5400)
    play.hears_secret("another")
    play.grant(BEARER, value="secret-same")
    play.said("note secret_accepted bearer", "note failed bearer")
    assert play.view().phase is Phase.WAITING


def test_a_changed_secret_that_is_refused_says_how_long_the_old_token_is_good():
    """And keeps it."""
    play = changed()
    play.fail(BEARER, FailureKind.REFUSED)
    assert "the token we have is good for 6 h 59 min" in play.notes()[0].text
    assert play.serving() is not None


def test_a_secret_that_changed_under_a_flight_is_proved_by_the_next():
    """What the flight was asked with is not known, so it counts for the old one."""
    play = Playbook(payments=0)
    play.start()
    play.hears_secret("another")
    play.grant(BEARER)
    assert play.last[-1].slot == BEARER
    play.said("note granted bearer", "persist", "fetch bearer")


def test_a_flight_that_says_what_it_asked_with_proves_that():
    """The fetcher knows: no second call."""
    play = Playbook(payments=0)
    play.start()
    play.hears_secret("another")
    play.land(BEARER, Grant(Secret("secret-1"), LIFE, asked_with="another"))
    assert play.flights == {}
    assert play.broker._slots[BEARER].proven == "another"


def test_a_refusal_of_the_old_secret_tries_the_new_one_at_once():
    """It was refused with what is no longer in use."""
    play = Playbook(payments=0)
    play.start()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.REFUSED)
    play.said("note failed bearer", "persist", "fetch bearer")


def test_a_refusal_that_says_it_was_the_new_secret_halts():
    """The fetcher knows."""
    play = Playbook(payments=0)
    play.start()
    play.hears_secret("another")
    refusal = failure(FailureKind.REFUSED)
    play.land(BEARER, type(refusal)(*_values(refusal, asked_with="another")))
    assert play.view().phase is Phase.HALTED


def test_an_outage_under_a_changed_secret_backs_off():
    """It says nothing of either."""
    play = Playbook(payments=0)
    play.start()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.TRANSIENT)
    assert play.view().phase is Phase.WAITING


def test_a_probe_in_vain_under_a_changed_secret_tries_that_at_once():
    """Halted for the old secret: the new one waits for no probe."""
    play = Playbook(payments=0)
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    play.wait(900)
    play.wake()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.TRANSIENT)
    assert BEARER in play.flights
