"""`keep = "active"`: a token that is renewed only while somebody asks for it."""

from dataclasses import replace

import pytest
from core_play import Playbook
from core_words import BEARER, DAY, HOUR, LIFE, PAYMENT, app_plan

from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.values import Freshness, Phase


def active():
    """A payment slot that is kept only while it is in use; nobody has asked yet."""
    play = Playbook()
    play.slots = [replace(plan, keep_active=plan.id == PAYMENT) for plan in play.slots]
    play.broker = type(play.broker)(play.apps, play.slots)
    play.ready()
    return play


def test_nobody_asked_so_nothing_is_fetched():
    """Not at the start, not in a day."""
    play = active()
    play.run(DAY, play.works)
    assert play.calls_of(PAYMENT) == []
    assert play.view(PAYMENT).dormant
    assert play.view(PAYMENT).next_attempt_why == "when asked for"


def test_the_first_caller_waits_for_the_first_token():
    """A second or two, as at a cold start."""
    play = active()
    play.ask(PAYMENT)
    assert PAYMENT in play.flights
    play.grant(PAYMENT)
    play.said("answer 1")


def test_it_is_renewed_for_a_day_after_it_was_last_asked_for():
    """And then no more, however long the daemon runs."""
    play = active()
    play.ask(PAYMENT)
    begin = play.now.boot
    play.run(3 * DAY, play.works)
    calls = [at - begin for at in play.calls_of(PAYMENT)]
    assert len(calls) == 4
    assert calls[-1] < DAY


def test_reads_that_nobody_waits_for_count_as_asking():
    """A worker that is always answered at once never comes to the core."""
    play = active()
    play.ask(PAYMENT)
    play.grant(PAYMENT)
    for _ in range(20):
        play.run(DAY / 4, play.works)
        play.use(PAYMENT)
    assert play.serving(PAYMENT) is not None
    assert not play.view(PAYMENT).dormant


def test_a_report_counts_as_asking():
    """Who reports a token is using it."""
    play = active()
    play.ask(PAYMENT)
    play.grant(PAYMENT)
    play.run(DAY / 2, play.works)
    play.report_dead(PAYMENT)
    play.run(0.8 * DAY, play.works)
    assert not play.view(PAYMENT).dormant


def test_a_token_that_nobody_asks_for_dies_in_silence():
    """Late and spent are news about a token in use."""
    play = active()
    play.ask(PAYMENT)
    play.run(3 * DAY, play.works)
    assert play.view(PAYMENT).freshness is Freshness.SPENT
    assert {"late", "spent"}.isdisjoint(getattr(c, "event", "") for c in play.everything)


def test_who_comes_back_after_days_gets_a_new_token():
    """As the first caller did."""
    play = active()
    play.ask(PAYMENT)
    play.run(5 * DAY, play.works)
    play.ask(PAYMENT)
    play.grant(PAYMENT)
    play.said("answer 2")
    assert play.left(PAYMENT) == pytest.approx(LIFE)


def test_a_dormant_slot_is_not_probed():
    """Refused, and nobody wants it: USPS is left in peace."""
    play = active()
    play.ask(PAYMENT)
    play.fail(PAYMENT, FailureKind.REFUSED)
    play.run(3 * DAY, play.failing(PAYMENT, FailureKind.REFUSED))
    calls = play.calls_of(PAYMENT)
    assert calls[-1] - calls[0] < DAY
    assert play.view(PAYMENT).phase is Phase.HALTED


def test_a_restart_remembers_who_asked():
    """A token that was in use an hour ago is in use."""
    play = active()
    play.ask(PAYMENT)
    play.grant(PAYMENT)
    play.run(HOUR, play.works)
    play.restart()
    play.run(8 * HOUR, play.works)
    assert not play.view(PAYMENT).dormant
    assert len(play.calls_of(PAYMENT)) == 2


def test_another_boot_remembers_it_by_the_wall_clock():
    """A day is a day, machine off or on."""
    play = active()
    play.ask(PAYMENT)
    play.grant(PAYMENT)
    play.reboot(away=2 * DAY)
    assert play.view(PAYMENT).dormant
    assert PAYMENT not in play.flights


def test_an_order_counts_as_asking():
    """A person wants to see it work."""
    play = active()
    play.order(PAYMENT)
    assert PAYMENT in play.flights


def test_a_bearer_is_always_kept():
    """Payments need it, and readiness does."""
    play = active()
    play.run(DAY, play.works)
    assert len(play.calls_of(BEARER)) == 4
    assert app_plan().calls_per_hour == 30
