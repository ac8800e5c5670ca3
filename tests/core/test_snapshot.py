"""What a person and a server may see."""

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, LIFE, PAYMENT

from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.values import Endpoint, Freshness, Phase, SlotId


def ready(payments=1):
    play = Playbook(payments)
    play.ready()
    return play


def test_a_token_is_served_with_its_ends_on_both_clocks():
    """Instants for clients on the wall clock, limits for the server on the boot clock."""
    play = ready()
    play.wait(HOUR)
    serving = play.serving()
    assert serving.expires_at == play.now.wall + LIFE - HOUR
    assert serving.expires_boot_at == play.now.boot + LIFE - HOUR
    assert serving.spent_boot_at == play.now.boot + LIFE - HOUR - 60
    assert (serving.buffer_seconds, serving.check_after_seconds) == (1800, 60)


def test_a_late_token_is_served_flagged():
    """Degraded."""
    play = ready()
    play.wait(LIFE - 1800)
    assert play.serving().degraded


def test_a_spent_token_is_not_served():
    """From a minute before its end."""
    play = ready()
    play.wait(LIFE - 60)
    assert play.serving() is None


def test_no_token_is_not_served():
    """There is none."""
    assert Playbook().serving() is None


def test_a_view_shows_the_whole_slot():
    """As status prints it."""
    play = ready()
    play.wait(HOUR)
    view = play.view()
    assert (view.phase, view.freshness) == (Phase.IDLE, Freshness.FRESH)
    assert (view.ready, view.required, view.degraded, view.suspect) == (True, True, False, False)
    assert view.serial == play.serial()
    assert view.issued_at == play.now.wall - HOUR
    assert view.expires_at == play.now.wall + LIFE - HOUR
    assert view.expires_in == LIFE - HOUR
    assert view.use_until == play.now.wall + LIFE - HOUR - 1800
    assert view.renew_at == view.next_attempt_at == play.now.wall + LIFE - 5400 - HOUR
    assert view.next_attempt_why == "due"
    assert view.attempts_left == 4
    assert "payments" in view.scopes


def test_a_view_of_a_slot_without_a_token_shows_nothing_of_one():
    """All of it is None."""
    play = Playbook()
    play.start()
    view = play.view()
    assert view.freshness is Freshness.NONE
    assert not view.ready
    shown = (view.serial, view.issued_at, view.expires_at, view.expires_in, view.use_until)
    assert set(shown) == {None}
    assert (view.renew_at, view.scopes) == (None, None)


def test_a_suspect_slot_is_not_ready():
    """It is served all the same."""
    play = ready()
    play.wait(HOUR)
    play.report_dead(BEARER)
    play.fail(BEARER)
    assert play.serving() is not None
    assert not play.view().ready


def test_a_payment_slot_is_not_required_unless_configured_so():
    """The bearer is."""
    assert not ready().view(PAYMENT).required


@pytest.mark.parametrize(
    ("slot", "why"), [(BEARER, "under way"), (PAYMENT, "bearer first")], ids=["bearer", "payment"]
)
def test_a_view_says_what_is_waited_for(slot, why):
    """Where no time can be told."""
    play = Playbook()
    play.start()
    assert play.view(slot).next_attempt_at is None
    assert play.view(slot).next_attempt_why == why


def test_a_view_says_what_holds_the_next_attempt_back():
    """An attempt in an hour, after one a minute ago, is not to be wondered at."""
    play = Playbook(0)
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=1800)
    assert play.view().next_attempt_why == "retry, when USPS's Retry-After is over"
    play = Playbook(0)
    play.start()
    for _ in range(4):
        play.fail(BEARER)
        while BEARER not in play.flights and "budget" not in play.view().next_attempt_why:
            play.sleep()
    assert play.view().next_attempt_why == "retry, when the budget allows"


def test_a_view_says_that_the_next_bearer_is_waited_for():
    """Halted for a scope."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    assert play.view(PAYMENT).next_attempt_why == "next bearer"


def test_a_view_shows_the_last_trouble():
    """With since when, and how often."""
    play = Playbook()
    play.start()
    play.fail(BEARER)
    play.sleep()
    play.fail(BEARER, FailureKind.RATE_LIMITED)
    trouble = play.view().trouble
    assert (trouble.kind, trouble.times) == (FailureKind.RATE_LIMITED, 2)
    assert trouble.last_at - trouble.since_at == 5


def test_the_budget_of_each_endpoint_is_shown():
    """Used and allowed in the hour."""
    (app,) = ready().broker.snapshot(ready().now).apps
    shown = [(w.endpoint, w.used, w.limit) for w in app.windows]
    assert shown == [(Endpoint.TOKEN, 1, 30), (Endpoint.PAYMENT_AUTHORIZATION, 1, 30)]


def test_how_long_usps_wants_no_calls_is_shown():
    """By its Retry-After, until that is over."""
    play = Playbook()
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=900)

    def held_until():
        return [w.held_until for w in play.broker.snapshot(play.now).apps[0].windows]

    assert held_until() == [play.now.wall + 900, None]
    play.wait(900)
    assert held_until() == [None, None]


def test_an_app_without_payments_shows_no_budget_for_them():
    """There is nothing to show."""
    (app,) = ready(0).broker.snapshot(ready(0).now).apps
    assert [w.endpoint for w in app.windows] == [Endpoint.TOKEN]


def test_a_slot_that_is_not_there_has_no_view():
    """It says so."""
    play = ready()
    with pytest.raises(KeyError):
        play.view(SlotId("default", "payment-gone"))


def test_one_slot_is_viewed_as_in_the_whole():
    """Without looking at the others; a name that is not there is none."""
    play = ready(2)
    play.wait(HOUR)
    (app,) = play.broker.snapshot(play.now).apps
    assert [play.broker.slot_view(view.id, play.now) for view in app.slots] == list(app.slots)
    assert play.broker.slot_view(SlotId("default", "payment-gone"), play.now) is None


def test_a_snapshot_holds_no_secret():
    """Not even behind a Secret."""
    assert "Secret" not in repr(ready().broker.snapshot(ready().now))
