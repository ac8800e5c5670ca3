"""One slot by itself: its token, its phase, and what it wants."""

import math

import pytest
from core_words import BEARER, HOUR, LIFE, MINUTE, PAYMENT, START, failure

from usps_token_broker.core.budget import EXTRA, FIRST, RETRY
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import FailureKind, Grant
from usps_token_broker.core.phases import Cause
from usps_token_broker.core.schedule import LifePolicy, renew_at
from usps_token_broker.core.values import Freshness, Now, Phase, Secret, Token

POLICY = LifePolicy()


def token(value="secret-1", *, life=LIFE, serial=1, scopes=None):
    due = renew_at(POLICY, START.boot + life, life, 0.0)
    return Token(Secret(value), serial, "Bearer", START, life, due, scopes)


def later(seconds, *, step=0.0):
    return Now(START.boot + seconds, START.wall + seconds + step)


def slot(slot_id=BEARER, *, with_token=True, **fields):
    """A slot whose secret has earned its token."""
    result = Slot(slot_id, POLICY, "basis", **fields)
    if with_token:
        result.token = token()
        result.proven = "basis"
    return result


def flying(slot_id=BEARER, *, cause=Cause.DUE, at=START, bearer=None, **fields):
    result = slot(slot_id, **fields)
    result.start(cause, bearer, at)
    return result


def fail(a_slot, kind=FailureKind.TRANSIENT, *, at=START, draw=1.0, asked_with="basis"):
    a_slot.failed(failure(kind), asked_with, draw, at)


# -- what it wants --------------------------------------------------------------------------------


def test_a_slot_without_a_token_wants_one_now():
    """Nothing to serve: at once, and it may use all of the budget."""
    assert slot(with_token=False).wanted(START) == (START.boot, Cause.MISSING, FIRST)


def test_a_slot_with_a_fresh_token_wants_a_renewal_when_it_is_due():
    """6 h 30 min from sending, and it may use all of the budget."""
    wanted = slot().wanted(START)
    assert wanted == (token().renew_at, Cause.DUE, FIRST)


def test_a_slot_whose_token_is_due_has_wanted_it_since_then():
    """So that the longest due goes first."""
    assert slot().wanted(later(7 * HOUR)) == (token().renew_at, Cause.DUE, FIRST)


def test_a_slot_whose_token_is_spent_has_none():
    """It wants one as if there had never been any."""
    assert slot().wanted(later(LIFE)).cause is Cause.MISSING


def test_a_reported_token_is_wanted_anew_at_once_as_an_extra():
    """The report makes it due; what it may cost is bounded."""
    assert slot(reported=True).wanted(later(60)) == (later(60).boot, Cause.REPORTED, EXTRA)


def test_a_reported_token_that_is_due_anyway_is_a_planned_renewal():
    """A report takes no budget away from it."""
    assert slot(reported=True).wanted(later(7 * HOUR)).need == FIRST


def test_a_changed_secret_wants_proof_at_once_as_an_extra():
    """While the good token stays."""
    changed = slot()
    changed.basis = "another"
    assert changed.wanted(later(60)) == (later(60).boot, Cause.PROOF, EXTRA)


def test_roles_want_no_proof():
    """Only a secret is proved; other roles are another slot."""
    payment = slot(PAYMENT)
    payment.proven = "others"
    assert payment.wanted(later(60)).cause is Cause.DUE


def test_a_secret_that_has_earned_nothing_yet_wants_no_proof():
    """There is no token either: the first fetch is the proof."""
    assert not slot(with_token=False).proof_pending()


def test_clocks_that_disagree_want_another_token_at_once_as_an_extra():
    """Due at once; flapping must not drain what renewals need."""
    assert slot().wanted(later(60, step=61)) == (later(60).boot, Cause.CLOCK, EXTRA)


def test_a_slot_in_flight_wants_nothing():
    """One flight per slot."""
    assert flying().wanted(START) is None


def test_a_slot_that_waits_wants_its_retry():
    """Not before the back-off ends; it leaves some of the hour to first attempts."""
    waiting = flying(at=later(7 * HOUR))
    fail(waiting, at=later(7 * HOUR))
    assert waiting.wanted(later(7 * HOUR)) == (later(7 * HOUR).boot + 5, Cause.RETRY, RETRY)


def test_a_retry_of_what_is_not_due_yet_stays_an_extra():
    """The last two attempts are for the planned renewal, whoever failed before it."""
    waiting = flying(cause=Cause.REPORTED, reported=True)
    fail(waiting)
    assert waiting.wanted(START).need == EXTRA


def test_a_retry_of_what_has_become_due_is_an_extra_no_more():
    """From the very moment of the planned renewal."""
    waiting = flying(cause=Cause.REPORTED, reported=True)
    fail(waiting)
    assert waiting.wanted(later(token().renew_at - START.boot)).need == RETRY


def test_a_halted_slot_wants_its_probe():
    """As an extra."""
    halted = flying(with_token=False)
    fail(halted, FailureKind.REFUSED)
    assert halted.wanted(START) == (START.boot + 15 * MINUTE, Cause.PROBE, EXTRA)


# -- a flight -------------------------------------------------------------------------------------


def test_a_flight_is_charged_before_it_leaves():
    """The bucket is down by one."""
    assert flying().bucket.left(START.boot, LIFE) == 3


def test_a_flight_has_a_number_of_its_own():
    """Counted up."""
    a_slot = flying()
    fail(a_slot)
    a_slot.start(Cause.RETRY, None, START)
    assert a_slot.attempt == 2


def test_a_second_flight_is_not_allowed():
    """The table has no such pair."""
    with pytest.raises(KeyError):
        flying().start(Cause.DUE, None, START)


def test_a_flight_remembers_which_bearer_it_asked_with():
    """Its serial and its scopes, to know another one when it comes."""
    payment = flying(PAYMENT, bearer=token(serial=7, scopes=("payments",)))
    assert (payment.bearer_serial, payment.bearer_scopes) == (7, ("payments",))


# -- whether a grant gains anything ---------------------------------------------------------------


def gains(a_slot, *, value="secret-2", life=LIFE, sent=60.0, now=60.2):
    return a_slot.gains(Grant(Secret(value), life), later(sent), later(now))


def test_the_first_token_is_a_gain():
    """Anything is better than nothing."""
    assert gains(slot(with_token=False))


def test_a_token_that_ends_later_is_a_gain():
    """As every renewal should be."""
    assert gains(slot())


def test_the_same_token_again_is_no_gain():
    """By its fingerprint, however late it is said to end."""
    assert not gains(slot(), value="secret-1")


def test_the_same_token_again_is_no_gain_even_when_reported():
    """It is the one that is said to be dead."""
    assert not gains(slot(reported=True), value="secret-1")


@pytest.mark.parametrize("life", [LIFE - 60, LIFE - 61, 120.0])
def test_a_token_that_ends_no_later_is_no_gain(life):
    """The good one is kept."""
    assert not gains(slot(), life=life)


def test_a_token_that_ends_sooner_is_a_gain_when_ours_was_reported_dead():
    """A short life is better than none."""
    assert gains(slot(reported=True), life=120.0)


def test_clocks_that_disagree_are_no_reason_to_take_a_shorter_token():
    """In this boot the boot clock knows the end of ours."""
    now = later(60.2, step=HOUR)
    assert not slot().gains(Grant(Secret("secret-2"), 120.0), later(60.0, step=HOUR), now)


@pytest.mark.parametrize("life", [0.0, -5.0, math.nan])
def test_a_token_without_a_life_is_no_gain(life):
    """Not even where there is none."""
    assert not gains(slot(with_token=False), life=life)


@pytest.mark.parametrize("reported", [False, True])
def test_a_token_that_is_past_its_life_on_arrival_is_no_gain(reported):
    """The machine slept while the answer was on its way."""
    assert not gains(slot(reported=reported), sent=60.0, now=60.0 + LIFE - 59)


# -- a grant --------------------------------------------------------------------------------------


def test_a_grant_clears_what_was_wrong():
    """Trouble, suspicion and hold-off end with it."""
    a_slot = flying(reported=True, suspect=True, failures=3, refused_bearer=9)
    a_slot.granted(token("secret-2", serial=2))
    assert a_slot.phase is Phase.IDLE
    assert a_slot.token.serial == 2
    assert (a_slot.trouble, a_slot.failures, a_slot.refused_bearer) == (None, 0, None)
    assert (a_slot.reported, a_slot.suspect) == (False, False)


def test_a_grant_sets_the_measure_of_all_spans():
    """A life of an hour shrinks the next back-off."""
    a_slot = flying()
    a_slot.granted(token("secret-2", life=HOUR))
    a_slot.start(Cause.DUE, None, later(HOUR))
    a_slot.failures = 7
    fail(a_slot, at=later(HOUR))
    assert a_slot.retry_at == pytest.approx(later(HOUR).boot + 75)


# -- a failure ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_never_touches_the_good_token(kind):
    """Whatever went wrong."""
    a_slot = flying()
    fail(a_slot, kind)
    assert a_slot.token == token()
    assert a_slot.servable(START)


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.TRANSIENT,
        FailureKind.RATE_LIMITED,
        FailureKind.UNCHANGED,
        FailureKind.UNREACHED,
        FailureKind.BEARER_REFUSED,
    ],
)
def test_a_failure_that_may_pass_is_tried_again(kind):
    """After a back-off."""
    a_slot = flying(with_token=False)
    fail(a_slot, kind)
    assert a_slot.phase is Phase.WAITING
    assert a_slot.retry_at == START.boot + 5


def test_what_never_reached_usps_is_not_charged():
    """The bucket is full again."""
    a_slot = flying()
    fail(a_slot, FailureKind.UNREACHED)
    assert a_slot.bucket.left(START.boot, LIFE) == 4


def test_what_never_reached_usps_is_tried_again_within_a_minute():
    """However often it has failed."""
    a_slot = flying(failures=20)
    fail(a_slot, FailureKind.UNREACHED)
    assert a_slot.retry_at == START.boot + 60


def test_a_failed_renewal_after_a_report_makes_the_slot_suspect():
    """Whether the token is dead, nobody knows now."""
    a_slot = flying(reported=True)
    fail(a_slot)
    assert a_slot.suspect


def test_a_failed_renewal_without_a_report_does_not():
    """The token is as good as before."""
    a_slot = flying()
    fail(a_slot)
    assert not a_slot.suspect


# -- refusals -------------------------------------------------------------------------------------


def test_credentials_that_never_earned_a_grant_halt_at_the_first_refusal():
    """They will not begin to work by asking again."""
    a_slot = flying(with_token=False)
    fail(a_slot, FailureKind.REFUSED)
    assert a_slot.phase is Phase.HALTED
    assert a_slot.refused == "basis"


def test_credentials_that_earned_a_grant_back_off_while_the_token_lives():
    """As if the fault were passing."""
    a_slot = flying()
    fail(a_slot, FailureKind.REFUSED)
    assert a_slot.phase is Phase.WAITING


def test_credentials_that_earned_a_grant_halt_once_the_token_is_spent():
    """By the refusal of an attempt after that."""
    a_slot = flying(at=later(LIFE))
    fail(a_slot, FailureKind.REFUSED, at=later(LIFE))
    assert a_slot.phase is Phase.HALTED


def test_a_refused_slot_is_given_up_when_its_token_is_spent():
    """Even if no attempt falls into that moment."""
    a_slot = flying()
    fail(a_slot, FailureKind.REFUSED)
    assert not a_slot.give_up(later(LIFE - 61))
    assert a_slot.give_up(later(LIFE - 60))
    assert (a_slot.phase, a_slot.refused) == (Phase.HALTED, "basis")


def test_a_slot_that_fails_otherwise_is_never_given_up():
    """An outage ends by itself."""
    a_slot = flying()
    fail(a_slot, FailureKind.TRANSIENT)
    assert not a_slot.give_up(later(LIFE))


def test_a_changed_secret_that_is_refused_halts_and_keeps_the_token():
    """Refused: the old token is good until its end."""
    a_slot = slot()
    a_slot.basis = "another"
    a_slot.start(Cause.PROOF, None, START)
    fail(a_slot, FailureKind.REFUSED, asked_with="another")
    assert a_slot.phase is Phase.HALTED
    assert a_slot.servable(START)


def test_the_refusal_of_a_secret_that_is_no_longer_in_use_is_not_final():
    """It changed while the flight was out."""
    a_slot = flying(with_token=False)
    a_slot.basis = "another"
    fail(a_slot, FailureKind.REFUSED, asked_with="basis")
    assert a_slot.phase is Phase.WAITING


def halted(**fields):
    a_slot = flying(with_token=False, **fields)
    fail(a_slot, FailureKind.REFUSED)
    return a_slot


def test_probes_double_from_fifteen_minutes_to_six_hours():
    """Each one refused again."""
    a_slot, now, gaps = halted(), START, []
    for _ in range(7):
        gaps.append((a_slot.probe_at - now.boot) / MINUTE)
        now = Now(a_slot.probe_at, now.wall)
        a_slot.start(Cause.PROBE, None, now)
        fail(a_slot, FailureKind.REFUSED, at=now)
    assert gaps == [15, 30, 60, 120, 240, 360, 360]


def test_a_probe_that_meets_an_outage_leaves_the_refusal_standing():
    """What callers are told stays what a person must mend."""
    a_slot = halted()
    a_slot.start(Cause.PROBE, None, START)
    fail(a_slot, FailureKind.TRANSIENT)
    assert a_slot.phase is Phase.HALTED
    assert a_slot.trouble.kind is FailureKind.REFUSED
    assert a_slot.probe_at == START.boot + 30 * MINUTE


def test_a_probe_that_never_reached_usps_was_none():
    """It is made again within a minute, and the next one is not later for it."""
    a_slot = halted()
    a_slot.start(Cause.PROBE, None, START)
    fail(a_slot, FailureKind.UNREACHED)
    assert a_slot.phase is Phase.HALTED
    assert a_slot.probe_at <= START.boot + 60
    a_slot.start(Cause.PROBE, None, START)
    fail(a_slot, FailureKind.REFUSED)
    assert a_slot.probe_at == START.boot + 30 * MINUTE


def test_a_probe_that_is_granted_nothing_new_ends_the_halt():
    """USPS does not refuse any more: what is missing may come with the next attempt."""
    a_slot = halted()
    a_slot.start(Cause.PROBE, None, START)
    fail(a_slot, FailureKind.UNCHANGED)
    assert a_slot.phase is Phase.WAITING


def test_a_slot_halted_for_a_scope_is_not_probed():
    """Only another bearer can help."""
    payment = slot(PAYMENT)
    payment.miss_scope(failure(FailureKind.SCOPE_MISSING), token(), START)
    assert payment.halted_for_scope()
    assert payment.probe_at == math.inf


def test_a_bearer_refused_for_a_scope_is_probed():
    """There is no other bearer that could help it."""
    a_slot = flying()
    fail(a_slot, FailureKind.SCOPE_MISSING)
    assert not a_slot.halted_for_scope()
    assert a_slot.probe_at == START.boot + 15 * MINUTE


def test_planning_anew_forgets_the_hold_off():
    """The slot wants what it wants, at once."""
    a_slot = halted()
    a_slot.plan_anew()
    assert a_slot.phase is Phase.IDLE
    assert a_slot.wanted(START).cause is Cause.MISSING
    assert (a_slot.refused, a_slot.probes, a_slot.failures) == (None, 0, 0)


def test_planning_anew_leaves_a_flight_alone():
    """It is out, and counts."""
    a_slot = flying()
    a_slot.plan_anew()
    assert a_slot.phase is Phase.FETCHING


# -- a 401 of payment-authorization ---------------------------------------------------------------


def payment_401(a_slot, bearer_serial):
    a_slot.start(Cause.MISSING, token(serial=bearer_serial), START)
    fail(a_slot, FailureKind.BEARER_REFUSED)


def test_a_first_401_waits_for_another_bearer():
    """And remembers which one was refused."""
    payment = slot(PAYMENT, with_token=False)
    payment_401(payment, 1)
    assert payment.phase is Phase.WAITING
    assert payment.refused_bearer == 1


def test_a_401_with_the_same_bearer_is_still_the_first():
    """Its renewal failed or was held back: nothing new was learned."""
    payment = slot(PAYMENT, with_token=False)
    payment_401(payment, 1)
    payment_401(payment, 1)
    assert payment.phase is Phase.WAITING


def test_a_second_401_with_another_bearer_halts():
    """It is not the bearer."""
    payment = slot(PAYMENT, with_token=False)
    payment_401(payment, 1)
    payment_401(payment, 2)
    assert payment.phase is Phase.HALTED


def test_a_grant_between_two_401_makes_the_second_a_first():
    """A new attempt, a new count."""
    payment = slot(PAYMENT, with_token=False)
    payment_401(payment, 1)
    payment.start(Cause.RETRY, token(serial=2), START)
    payment.granted(token("secret-2"))
    payment_401(payment, 3)
    assert payment.phase is Phase.WAITING


# -- a report -------------------------------------------------------------------------------------


def test_a_report_makes_an_idle_slot_want_another_token():
    """Unless the guard holds it back."""
    a_slot = slot()
    assert a_slot.report(later(HOUR))
    assert a_slot.wanted(later(HOUR)).cause is Cause.REPORTED


def test_a_second_report_of_the_same_token_is_the_same_news():
    """It passes no guard, since it causes nothing."""
    a_slot = slot()
    a_slot.report(later(HOUR))
    assert a_slot.report(later(HOUR + 1))
    assert a_slot.guard.until_at == later(HOUR + 60).boot


def test_a_report_of_a_fresh_token_after_a_report_is_held_back():
    """By the guard; nothing is marked."""
    a_slot = slot()
    a_slot.guard.admit(START.boot, HOUR, LIFE)
    assert not a_slot.report(later(30))
    assert not a_slot.reported


def test_a_report_joins_a_flight_that_is_out():
    """Its grant may then end sooner, and its failure makes the slot suspect."""
    a_slot = flying()
    assert a_slot.report(START)
    assert a_slot.reported
    assert not a_slot.suspect
    assert a_slot.guard.until_at == 0


def test_a_report_of_a_halted_slot_makes_it_suspect_at_once():
    """No renewal can follow soon."""
    a_slot = slot()
    a_slot.phase = Phase.HALTED
    assert a_slot.report(START)
    assert a_slot.suspect


# -- what is so -----------------------------------------------------------------------------------


def test_a_token_is_servable_until_a_minute_before_its_end():
    """Whatever the phase."""
    assert slot().servable(later(LIFE - 60.1))
    assert not slot().servable(later(LIFE - 60))
    assert not slot(with_token=False).servable(START)


@pytest.mark.parametrize(
    ("min_valid", "good"), [(None, True), (0.0, True), (1739.0, True), (1740.1, False)]
)
def test_a_token_is_good_for_as_long_as_it_lives(min_valid, good):
    """To its real end, from now."""
    assert slot().good_for(min_valid, later(LIFE - 1740)) is good


def test_a_spent_token_is_good_for_nobody():
    """Not even for who asks for nothing."""
    assert not slot().good_for(None, later(LIFE - 60))


def degraded(a_slot, now):
    return a_slot.degraded(a_slot.freshness(now), now)


@pytest.mark.parametrize(
    ("seconds", "flag"), [(0, False), (7 * HOUR, False), (7.5 * HOUR, True), (LIFE, True)]
)
def test_a_token_inside_its_buffer_is_degraded(seconds, flag):
    """Due is not: an hour is there to renew it."""
    assert degraded(slot(), later(seconds)) is flag


def test_a_suspect_token_is_degraded():
    """It is served all the same."""
    assert degraded(slot(suspect=True), START)


def test_a_token_the_clocks_disagree_about_is_degraded():
    """The boot clock decides, flagged."""
    assert degraded(slot(), later(60, step=-61))


def test_no_token_is_not_degraded():
    """There is none to flag."""
    assert not degraded(slot(with_token=False), START)


def test_freshness_is_computed_from_token_and_now():
    """Nothing stores it."""
    assert slot().freshness(later(7 * HOUR)) is Freshness.DUE


@pytest.mark.parametrize(("asked_with", "answered"), [("another", True), ("basis", False)])
def test_a_grant_proves_the_credentials_it_was_asked_with(asked_with, answered):
    """A flight that left with the old secret says nothing of the new one."""
    a_slot = slot()
    a_slot.basis = "another"
    assert a_slot.prove(asked_with) is answered
    assert a_slot.proof_pending() is not answered


def test_a_grant_to_proven_credentials_proves_nothing_new():
    """No proof was pending."""
    assert not slot().prove("basis")
