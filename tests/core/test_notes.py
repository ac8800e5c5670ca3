"""The lines of the log: who, what, until when, and what to do."""

import pytest
from core_play import Playbook
from core_words import BEARER, HOUR, PAYMENT

from usps_token_broker.core import notes
from usps_token_broker.core.commands import Level
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.schedule import LifePolicy


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (8.4, "8 s"),
        (59.6, "1 min"),
        (720, "12 min"),
        (7200, "2 h"),
        (27_000, "7 h 30 min"),
    ],
)
def test_spans_are_told_as_people_do(seconds, words):
    """The two largest units, rounded."""
    assert notes.span(seconds) == words


def told(play):
    (note,) = play.notes()
    return note


def test_a_first_token_is_told_with_its_end_and_its_renewal():
    """Fetched."""
    play = Playbook(0)
    play.start()
    play.grant(BEARER)
    assert told(play).text == "fetched; good for 8 h, next renewal in 6 h 30 min"


def test_a_next_token_is_told_as_renewed():
    """At the level of things that go well."""
    play = Playbook(0)
    play.ready()
    play.wait(HOUR)
    play.report_dead(BEARER)
    play.grant(BEARER)
    assert told(play).text.startswith("renewed; good for 8 h")
    assert told(play).level is Level.INFO


def test_a_failure_is_told_with_what_is_served_and_when_the_next_attempt_is():
    """And the fix at the end."""
    play = Playbook(0)
    play.ready()
    play.wait(HOUR)
    play.report_dead(BEARER)
    play.fail(BEARER)
    assert told(play).text == (
        "transient it was; the token we have is good for 6 h 59 min; "
        "next attempt in 5 s; do: mend it"
    )
    assert told(play).level is Level.WARNING


def test_a_failure_without_a_token_says_that_there_is_none():
    """Callers are being denied."""
    play = Playbook(0)
    play.start()
    play.fail(BEARER)
    assert "no token to serve" in told(play).text


def test_a_retry_after_is_told_as_the_next_attempt():
    """Not the back-off that it outlasts."""
    play = Playbook(0)
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=1800)
    assert "next attempt in 30 min" in told(play).text


def until_asked_again(play):
    """Sleep through the back-off."""
    while BEARER not in play.flights:
        play.sleep()


def test_a_long_outage_is_told_in_few_lines():
    """The first failure, the second, the fourth, …; the others are counted alone."""
    play = Playbook(0)
    play.start()
    loud = []
    for number in range(1, 33):
        play.fail(BEARER)
        if told(play).level is not Level.DEBUG:
            loud.append(number)
        until_asked_again(play)
    assert loud == [1, 2, 4, 8, 16, 32]


def test_a_budget_that_is_used_up_is_news_once():
    """From then on it takes long between two attempts, and whoever reads the log must know why."""
    play = Playbook(0, calls_per_hour=3)
    play.start()
    loud = []
    for number in range(1, 8):
        play.fail(BEARER)
        if told(play).level is not Level.DEBUG:
            loud.append((number, "when the budget allows" in told(play).text))
        until_asked_again(play)
    assert loud == [(1, False), (2, False), (3, True), (4, False)]


def test_a_retry_after_that_is_not_obeyed_whole_is_told():
    """USPS may ask for a day; a token does not live so long."""
    play = Playbook(0)
    play.start()
    play.fail(BEARER, FailureKind.RATE_LIMITED, retry_after=7200)
    assert (
        "next attempt in 1 h (USPS asks for 2 h, which is more than the broker waits)"
        in told(play).text
    )


def test_another_failure_is_news_however_many_there_were():
    """What is wrong now is not what was wrong before."""
    play = Playbook(0)
    play.start()
    for _ in range(3):
        play.fail(BEARER)
        until_asked_again(play)
    play.fail(BEARER, FailureKind.RATE_LIMITED)
    assert told(play).level is Level.WARNING


def test_a_renewal_that_ends_an_outage_says_how_long_it_was():
    """Nobody has to count lines."""
    play = Playbook(0)
    play.start()
    for _ in range(3):
        play.fail(BEARER)
        until_asked_again(play)
    play.grant(BEARER)
    assert told(play).text.startswith("fetched after 3 failures in ")


def test_a_refusal_is_told_as_an_error_with_its_probe():
    """A person must act."""
    play = Playbook(0)
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    assert "asked again in 15 min" in told(play).text
    assert told(play).level is Level.ERROR


def test_a_missing_scope_is_told_with_what_it_waits_for():
    """The next bearer."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    assert "looked at again with the next bearer" in play.notes()[1].text


def test_a_failure_that_is_asked_again_at_once_says_so():
    """Another bearer was there already."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.fail(PAYMENT, FailureKind.BEARER_REFUSED)
    assert "asked again at once" in told(play).text


def test_a_refusal_that_outlives_the_token_is_told_as_an_error():
    """The moment at which workers begin to fail."""
    play = Playbook(0)
    play.ready()
    play.wait(7 * HOUR)
    play.wake()
    play.fail(BEARER, FailureKind.REFUSED)
    play.wait(HOUR)
    play.wake()
    assert [note.event for note in play.notes()] == ["halted", "spent"]
    assert "refused it was; the last good token is past its life" in play.notes()[0].text


def test_a_slot_without_a_trouble_can_be_given_up():
    """Its note has fewer words."""
    assert notes.gave_up(Slot(BEARER, LifePolicy())).text.startswith("refused;")


def test_a_token_that_goes_late_is_a_warning():
    """It was not renewed in time."""
    play = Playbook(0)
    play.ready()
    play.wait(7.6 * HOUR)
    play.wake()
    assert (told(play).event, told(play).level) == ("late", Level.WARNING)


def test_a_token_that_is_spent_is_an_error():
    """It is no longer served."""
    play = Playbook(0)
    play.ready()
    play.wait(9 * HOUR)
    play.wake()
    assert (told(play).event, told(play).level) == ("spent", Level.ERROR)


def test_a_token_that_becomes_due_goes_without_saying():
    """That is the plan."""
    play = Playbook(0)
    play.ready()
    play.sleep()
    assert play.notes() == []


def test_a_restored_token_is_told_with_how_long_it_is_good():
    """To when it is no longer served."""
    play = Playbook(0)
    play.ready()
    play.wait(HOUR)
    play.restart()
    assert told(play).text == "restored; good for 6 h 59 min"


def test_a_token_that_is_not_restored_is_a_warning():
    """With why."""
    play = Playbook(0)
    play.ready()
    play.restart(away=9 * HOUR)
    assert told(play).text == "the saved token is not used: it is past its life"


def test_a_changed_secret_is_told_with_what_follows():
    """Tried once, and accepted; or known to work."""
    play = Playbook(0)
    play.ready()
    play.wait(HOUR)
    play.hears_secret("another")
    assert told(play).text == "the client secret changed; trying it once"
    play.grant(BEARER)
    assert play.notes()[1].text == "secret accepted"


def test_a_secret_that_worked_before_is_told_as_such():
    """No call follows."""
    play = Playbook(0)
    play.ready()
    play.hears_secret("another")
    play.fail(BEARER)
    play.hears_secret("fingerprint-1")
    assert told(play).text == "the client secret changed; it is one that worked before"


def test_notes_of_a_slot_without_a_token_say_nothing_wrong():
    """They are asked for when there is one; without, they are short."""
    empty, play = Slot(BEARER, LifePolicy()), Playbook()
    assert notes.granted(empty, None, None, play.now).text.startswith("fetched; good for 0 s")
    assert notes.restored(empty, play.now).text == "restored; good for 0 s"
