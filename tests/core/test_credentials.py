"""A client secret was read: is it another one, and what follows."""

from dataclasses import replace

from core_play import Playbook
from core_words import BEARER, HOUR, LIFE, PAYMENT, SECRET, app_plan

from usps_token_broker.core.broker import Broker
from usps_token_broker.core.events import CredentialsSeen, Restored
from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.values import Phase


def halted(play, slot=BEARER):
    return play.broker._slots[slot].phase is Phase.HALTED


def refused():
    """Unproven credentials, refused at the first attempt."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    return play


def test_the_same_secret_seen_again_changes_nothing():
    """It is read at every mint."""
    play = Playbook()
    play.ready()
    play.hears_secret(SECRET)
    play.says()


def test_an_unchanged_reload_does_not_probe():
    """The refusal stands."""
    play = refused()
    play.hears_secret(SECRET)
    play.says()
    assert halted(play)


def test_a_changed_secret_is_proved_by_one_call_and_the_good_token_stays():
    """At once, and once."""
    play = Playbook()
    play.ready()
    serial = play.serial()
    play.hears_secret("another")
    play.says("note secret_changed bearer", "persist", "fetch bearer", "publish bearer")
    assert play.serial() == serial
    play.grant(BEARER)
    play.run(HOUR)
    assert len(play.calls_of(BEARER)) == 2


def test_a_refused_secret_is_asked_again_at_once_when_it_changes():
    """No probe is waited for."""
    play = refused()
    play.hears_secret("another")
    assert BEARER in play.flights


def test_a_back_off_ends_when_the_secret_changes():
    """What failed may be mended by it."""
    play = Playbook()
    play.start()
    play.fail(BEARER)
    play.hears_secret("another")
    assert BEARER in play.flights


def test_a_secret_changed_back_to_one_that_worked_needs_no_proof():
    """The trouble of the one between is over."""
    play = Playbook()
    play.ready()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.REFUSED)
    play.hears_secret(SECRET)
    play.says("note secret_changed bearer", "publish bearer", "persist")
    assert "worked before" in play.notes()[0].text
    assert play.flights == {}
    assert play.view().trouble is None
    assert play.view().phase is Phase.IDLE


def test_an_outage_is_not_over_because_a_secret_changed_back():
    """Its words stay until a grant."""
    play = Playbook()
    play.ready()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.TRANSIENT)
    play.hears_secret(SECRET)
    assert play.view().trouble.kind is FailureKind.TRANSIENT


def test_a_refused_payment_is_asked_again_when_the_secret_changes():
    """The account behind it may be another."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.hears_secret("another")
    assert set(play.flights) == {BEARER, PAYMENT}


def test_a_payment_halted_for_a_scope_waits_for_the_bearer_of_the_new_secret():
    """The secret changes nothing about the bearer we have."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    play.hears_secret("another")
    assert halted(play, PAYMENT)
    assert set(play.flights) == {BEARER}


def test_a_good_payment_is_left_alone_when_the_secret_changes():
    """Its token is as good as before."""
    play = Playbook()
    play.ready()
    play.hears_secret("another")
    assert set(play.flights) == {BEARER}


def test_a_secret_first_read_under_the_first_flight_is_the_one_of_that_flight():
    """Nothing was known before it."""
    play = Playbook(payments=0)
    play.hears(Restored(None, "boot"))
    play.hears_secret(SECRET)
    play.says()
    play.grant(BEARER)
    assert play.broker._slots[BEARER].proven == SECRET
    assert play.flights == {}


def test_a_secret_of_one_app_is_nothing_to_another():
    """Each app has its own."""
    play = Playbook(payments=0, apps=(app_plan(), app_plan("other")))
    play.ready()
    play.hears(CredentialsSeen("other", "another"))
    assert {slot.app for slot in play.flights} == {"other"}


# -- across a restart -----------------------------------------------------------------------------


def test_a_restart_does_not_probe_a_refused_secret():
    """HALTED outlives the process."""
    play = refused()
    play.restart()
    assert halted(play)
    assert play.flights == {}


def test_a_secret_changed_across_a_restart_is_tried_at_once():
    """What was refused is no longer in use."""
    play = refused()
    play.restart(secret="another")
    play.said("note secret_changed bearer", "fetch bearer")


def test_a_proven_secret_changed_across_a_restart_is_proved():
    """By one call; the good token is served meanwhile."""
    play = Playbook()
    play.ready()
    play.restart(secret="another")
    play.said("note restored bearer", "note secret_changed bearer", "fetch bearer")
    assert play.serving() is not None


def test_a_refused_changed_secret_is_not_proved_again_by_a_restart():
    """Nor told as changed: it was refused before."""
    play = Playbook()
    play.ready()
    play.hears_secret("another")
    play.fail(BEARER, FailureKind.REFUSED)
    play.restart(secret="another")
    assert [note.event for note in play.notes()] == ["restored", "restored"]
    assert halted(play)


def test_a_refused_payment_is_asked_again_when_the_secret_changed_across_a_restart():
    """As it is while running."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.restart(secret="another")
    assert set(play.flights) == {BEARER, PAYMENT}


def test_a_secret_that_is_read_after_the_restart_is_compared_with_the_saved_one():
    """In whichever order the two come."""
    play = refused()
    play.restart(secret="")
    assert halted(play)
    play.hears_secret(SECRET)
    assert halted(play)
    play.hears_secret("another")
    assert BEARER in play.flights


def test_a_proven_secret_stays_proven_across_a_restart():
    """A refusal then backs off while the token lives."""
    play = Playbook()
    play.ready()
    play.wait(LIFE - 5400)
    play.restart()
    play.fail(BEARER, FailureKind.REFUSED)
    assert play.view().phase is Phase.WAITING


def test_other_roles_across_a_restart_are_another_slot():
    """Their token is not the old one, and what was refused of the old roles is forgotten."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.slots = [replace(s, basis="other roles") if s.basis else s for s in play.slots]
    play.broker = Broker(play.apps, play.slots)
    play.restart()
    assert set(play.flights) == {PAYMENT}
