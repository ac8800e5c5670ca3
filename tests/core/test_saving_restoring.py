"""What outlives a process, and what the next one makes of it."""

import math
from dataclasses import replace

import pytest
from core_play import Playbook
from core_words import (
    BEARER,
    BOOT,
    DAY,
    HOUR,
    LIFE,
    MINUTE,
    PAYMENT,
    SCOPES,
    app_plan,
    with_slot,
    with_token,
)

from usps_token_broker.core.outcomes import Code, FailureKind
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Freshness, Now, Phase, SlotId

OTHER_BEARER = SlotId("other", "bearer")


def ready(payments=1, after=HOUR):
    play = Playbook(payments)
    play.ready()
    play.wait(after)
    play.wake()
    return play


def slot(play, slot_id=BEARER):
    return play.broker._slots[slot_id]


def window(play, slot_id=BEARER):
    return play.broker._planner.window(slot_id)


# -- the good token -------------------------------------------------------------------------------


def test_a_restart_serves_at_once_and_calls_nobody():
    """The tokens are as they were, serial and all."""
    play = ready()
    serials = play.serial(BEARER), play.serial(PAYMENT)
    play.restart()
    play.says(
        "note restored bearer",
        "note restored payment",
        "publish bearer",
        "publish payment",
        "persist",
    )
    assert (play.serial(BEARER), play.serial(PAYMENT)) == serials
    assert slot(play).token.scopes == SCOPES


def test_a_restart_keeps_the_renewal_that_was_drawn():
    """The dice are not rolled again."""
    play = Playbook(0)
    play.start()
    play.grant(BEARER, draw=0.7)
    renew_at = play.view().renew_at
    play.restart()
    assert play.view().renew_at == renew_at


def test_a_restart_fetches_what_is_missing():
    """And only that."""
    play = Playbook()
    play.start()
    play.grant(BEARER)
    play.restart()
    assert set(play.flights) == {PAYMENT}


def test_a_restart_fetches_what_is_due():
    """And serves it meanwhile."""
    play = ready(0, after=LIFE - 5400 - 60)
    play.restart(away=60)
    assert BEARER in play.flights
    assert play.serving() is not None


def test_a_spent_token_is_not_restored():
    """It is fetched anew, and the log says why."""
    play = ready(0)
    play.restart(away=LIFE)
    play.said("note not_restored bearer", "fetch bearer")
    assert "past its life" in play.notes()[0].text


def test_a_token_that_ended_while_nobody_ran_is_not_granted_anew():
    """USPS gives the very same once more: its life was counted from the first time."""
    play = ready(payments=0)
    value = slot(play).token.value.reveal()
    play.restart(away=9 * HOUR)
    play.grant(BEARER, value=value)
    assert play.view().trouble.kind is FailureKind.UNCHANGED
    assert play.serial(BEARER) is None


def test_a_kill_costs_at_most_one_call_an_endpoint():
    """The flight that was out is flown again: USPS may have seen it or not."""
    play = Playbook(0)
    play.start()
    play.restart()
    assert play.flights[BEARER].attempt == 1
    assert len(play.calls_of(BEARER)) == 2


def test_a_reported_token_is_reported_still():
    """Its renewal had not ended."""
    play = ready(0)
    play.report_dead(BEARER)
    play.restart()
    assert BEARER in play.flights


def test_a_suspect_token_is_suspect_still():
    """A restart makes nothing good."""
    play = ready(0)
    play.report_dead(BEARER)
    play.fail(BEARER)
    play.restart()
    assert play.view().suspect


def test_serials_go_on():
    """Above the last one, and above every token's own."""
    play = ready(0)
    first = play.serial()
    play.step(-DAY)
    play.restart(change=lambda saved: replace(saved, last_serial=5))
    play.grant(BEARER)
    assert play.serial() > first


def test_serials_go_on_above_a_token_that_was_forgotten():
    """Workers hold it still, and the clock was set back."""
    play = ready(0)
    first = play.serial()
    play.step(-DAY)
    play.forget(BEARER)
    play.restart()
    play.grant(BEARER)
    assert play.serial() > first


# -- whose record it is ---------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["host", "client_id"])
def test_a_record_of_another_host_or_client_is_not_ours(field):
    """Its token would be refused, or be somebody else's."""
    play = ready(0)
    play.restart(change=lambda saved: with_slot(saved, "bearer", **{field: "another"}))
    assert play.serving() is None
    assert BEARER in play.flights


def test_a_record_of_other_roles_is_not_ours():
    """It pays from another account."""
    play = ready()
    play.restart(change=lambda saved: with_slot(saved, "payment", basis="other roles"))
    assert play.serving(PAYMENT) is None


def test_a_record_goes_by_host_and_client_and_not_by_the_name_of_the_app():
    """The app was renamed: its tokens are good."""
    play = ready()
    play.restart(change=lambda saved: with_slot(saved, "bearer", app="renamed"))
    assert play.serving() is not None


def test_apps_of_one_client_find_their_own_records():
    """Each its own token, though host, client id and name are the same."""
    play = Playbook(0, apps=(app_plan(), app_plan("other")))
    play.ready()
    serials = play.serial(BEARER), play.serial(OTHER_BEARER)
    play.restart()
    assert (play.serial(BEARER), play.serial(OTHER_BEARER)) == serials


# -- another boot ---------------------------------------------------------------------------------


def test_another_boot_tells_the_age_by_the_wall_clock():
    """BOOTTIME began anew; ten minutes were spent switched off."""
    play = ready(0)
    left = play.left()
    play.reboot(away=10 * MINUTE)
    assert play.left() == pytest.approx(left - 10 * MINUTE)
    assert slot(play).token.by_wall


def test_the_same_boot_goes_by_the_boot_clock_whatever_the_wall_says():
    """It was set back while the daemon was away: looked at again, served by BOOTTIME."""
    play = ready(0)
    left = play.left()
    play.step(-HOUR)
    play.restart(away=60)
    assert play.left() == left - 60
    assert play.view().freshness is Freshness.DUE
    assert play.view().degraded


def test_a_token_of_another_boot_stays_one_by_the_wall():
    """Two restarts later the wall clock still binds."""
    play = ready(0)
    play.reboot()
    play.restart(boot="boot-2")
    assert slot(play).token.by_wall


def test_a_token_of_another_boot_ends_by_the_wall_that_is_set_right():
    """The clock ran behind at boot and is corrected: the token ages with it, and is looked at."""
    play = ready(0)
    play.reboot()
    play.step(9 * HOUR)
    play.wake()
    assert play.serving() is None
    assert BEARER in play.flights


def test_the_next_token_goes_by_the_boot_clock_again():
    """Its age is known."""
    play = ready(0)
    play.reboot()
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.step(9 * HOUR)
    assert play.serving() is not None


@pytest.mark.parametrize("boots", [("", ""), ("", BOOT), (BOOT, "")])
def test_a_boot_without_a_name_may_be_another_one(boots):
    """The kernel does not say: the wall clock decides."""
    play = Playbook(0)
    play.start(boot=boots[0])
    play.grant(BEARER)
    play.restart(boot=boots[1])
    assert slot(play).token.by_wall


def test_a_boot_clock_that_went_back_is_another_boot():
    """Whatever its name."""
    play = ready(0)
    play.now = Now(10.0, play.now.wall)
    play.restart()
    assert slot(play).token.by_wall


def test_a_clock_before_the_last_save_tells_no_age():
    """A dead battery: the token may be of any age, so it is not served."""
    play = ready(0, after=0)
    play.step(-2 * MINUTE)
    play.reboot(away=0)
    play.said("note not_restored bearer", "fetch bearer")
    assert "age cannot be told" in play.notes()[0].text


def test_a_clock_a_little_before_the_last_save_will_do():
    """Clocks are corrected by a little all the time; the age at the save still counts."""
    play = ready(0)
    play.report_dead(BEARER)
    play.fail(BEARER)
    left = play.left()
    play.step(-30)
    play.reboot(away=0)
    assert play.left() == left


def test_the_age_at_the_save_comes_from_the_boot_clock():
    """The wall clock was set back long after the grant: what came before the save is known."""
    play = ready(0, after=5 * HOUR)
    play.step(-5 * HOUR)
    play.wake()
    play.fail(BEARER)
    left = play.left()
    play.reboot(away=60)
    assert play.left() == pytest.approx(left - 60)


def test_a_clock_that_was_set_back_after_the_save_does_not_make_a_token_younger():
    """It was an hour fast when the state was saved, and right at the grant: the date of the grant
    tells more."""
    play = ready(0, after=0)
    play.step(HOUR)
    play.wake()
    play.fail(BEARER)
    play.wait(2 * HOUR)
    play.step(-HOUR)
    left = play.left()
    play.reboot(away=60)
    assert play.left() == pytest.approx(left - 60)


def test_a_clock_far_ahead_drops_the_token():
    """By the date it is past its life: one call, and all is well."""
    play = ready(0)
    play.step(365 * DAY)
    play.reboot()
    play.said("note not_restored bearer", "fetch bearer")


# -- deadlines ------------------------------------------------------------------------------------


def waiting(retry_after=None):
    play = Playbook(0)
    play.start()
    play.fail(BEARER, retry_after=retry_after)
    return play


def test_a_back_off_outlives_the_process():
    """A restart is no retry."""
    play = waiting()
    play.restart(away=1)
    assert play.wakes_in() == 4


def test_a_back_off_outlives_the_boot():
    """What was left of it, less the time away."""
    play = waiting()
    play.reboot(away=2)
    assert play.wakes_in() == pytest.approx(3)


def test_a_back_off_goes_on_doubling_after_a_restart():
    """The failures are counted on."""
    play = waiting()
    play.restart(away=5)
    play.fail(BEARER)
    assert play.wakes_in() == 10


@pytest.mark.parametrize("retry_at", [1e300, math.inf, math.nan])
def test_a_back_off_is_cut_to_ten_minutes(retry_at):
    """Whatever the record says."""
    play = waiting()
    play.restart(change=lambda saved: with_slot(saved, "bearer", retry_at=retry_at))
    assert play.wakes_in() == 600


def test_a_retry_after_outlives_the_process():
    """It is never undercut."""
    play = waiting(retry_after=1800)
    play.restart(away=60)
    assert play.wakes_in() == 1740


def test_a_retry_after_outlives_the_call_that_brought_it():
    """The answer was slow: the call is an hour old, and the hour that USPS wants is not over."""
    play = Playbook(0)
    play.start()
    play.wait(8)
    play.fail(BEARER, retry_after=HOUR)
    play.wait(HOUR - 5)
    late = play.broker.state(play.now)
    play.restart(change=lambda _: late)
    assert play.flights == {}
    assert play.wakes_in() == 5


def test_a_retry_after_outlives_the_boot():
    """Less the time away."""
    play = waiting(retry_after=1800)
    play.reboot(away=60)
    assert play.wakes_in() == pytest.approx(1740)


@pytest.mark.parametrize("floor_at", [1e300, math.inf, math.nan])
def test_a_retry_after_is_cut_to_an_hour(floor_at):
    """Whatever the record says."""
    play = waiting(retry_after=1800)

    def damaged(saved):
        windows = tuple(replace(w, floor_at=floor_at) for w in saved.windows)
        return replace(saved, windows=windows)

    play.restart(change=damaged)
    assert play.wakes_in() == HOUR


def refused(slot_id=BEARER):
    play = Playbook()
    play.start()
    if slot_id == PAYMENT:
        play.grant(BEARER)
    play.fail(slot_id, FailureKind.REFUSED)
    return play


def test_a_probe_outlives_the_process():
    """HALTED is persisted, with when it is asked again and what is wrong."""
    play = refused()
    play.restart(away=60)
    assert play.flights == {}
    assert play.wakes_in() == 840
    assert play.view().trouble.code is Code.CREDENTIALS_REFUSED


def test_probes_go_on_doubling_after_a_restart():
    """The second after half an hour."""
    play = refused()
    play.restart(away=900)
    play.fail(BEARER, FailureKind.REFUSED)
    assert play.wakes_in() == 1800


@pytest.mark.parametrize("probe_at", [1e300, math.inf, math.nan])
def test_a_probe_is_cut_to_six_hours(probe_at):
    """Whatever the record says."""
    play = refused()
    play.restart(change=lambda saved: with_slot(saved, "bearer", probe_at=probe_at))
    assert play.wakes_in() == 6 * HOUR


def test_a_slot_halted_for_a_scope_is_not_probed_after_a_restart():
    """It waits for the next bearer still."""
    play = Playbook()
    play.start()
    play.grant(BEARER, scopes=("labels",))
    play.restart()
    assert play.flights == {}
    assert play.view(PAYMENT).next_attempt_why == "next bearer"


def test_a_slot_that_halted_without_a_trouble_is_idle():
    """Nobody could say what was refused: it is asked again."""
    play = refused()
    play.restart(change=lambda saved: with_slot(saved, "bearer", trouble=None))
    assert BEARER in play.flights


def test_a_guard_outlives_the_process():
    """A restart lets no noisy worker through."""
    play = ready(0)
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.wait(1)
    play.restart()
    play.report_dead(BEARER)
    play.says("settle 2 throttled")


@pytest.mark.parametrize("until", [1e300, math.inf, math.nan])
def test_a_guard_is_cut_to_its_span(until):
    """Whatever the record says."""
    play = ready(0)
    play.report_dead(BEARER)
    play.grant(BEARER)
    play.restart(change=lambda saved: with_slot(saved, "bearer", guard_until_at=until))
    assert slot(play).guard.until_at == pytest.approx(play.now.boot + 60, abs=0.01)


# -- the budget -----------------------------------------------------------------------------------


def test_a_charge_outlives_the_process():
    """It was on record before the call was made."""
    play = Playbook(0)
    play.start()
    play.restart()
    assert window(play).used(play.now.boot) == 2
    assert slot(play).bucket.left(play.now.boot, LIFE) == 2


def test_a_crash_loop_stays_within_the_budget():
    """Each process fetches, and dies: four calls, then one each ten minutes."""
    play = Playbook(0)
    play.start()
    for _ in range(100):
        play.restart(away=30)
        play.wake()
    assert len(play.calls_of(BEARER)) == 4 + 5


def test_a_crash_loop_makes_no_retry_faster():
    """A retry that a crash cut short counts as one more failure."""
    play = waiting()
    play.sleep()
    play.restart(away=1)
    assert play.flights == {}
    assert play.wakes_in() == 9


def test_a_crash_loop_makes_no_probe_faster():
    """A probe that a crash cut short is not made again at once."""
    play = refused()
    play.wait(900)
    play.wake()
    play.restart(away=1)
    assert play.flights == {}
    assert play.view().phase is Phase.HALTED
    assert play.wakes_in() == 1799


def test_calls_of_the_hour_outlive_the_boot():
    """Ten minutes were spent switched off: they are ten minutes older."""
    play = ready(0, after=30 * MINUTE)
    play.reboot(away=10 * MINUTE)
    assert window(play).used(play.now.boot) == 1
    play.wait(20 * MINUTE + 1)
    assert window(play).used(play.now.boot) == 0


def test_calls_older_than_an_hour_are_not_kept():
    """They limit nothing."""
    play = ready(0, after=2 * HOUR)
    assert play.broker.state(play.now).windows == ()


def test_calls_of_an_endpoint_that_is_configured_no_more_are_kept():
    """It may be again, after another restart."""
    play = ready(after=60)

    def of_another_client(saved):
        return replace(saved, windows=tuple(replace(w, client_id="another") for w in saved.windows))

    play.restart(change=of_another_client)
    kept = play.broker.state(play.now).windows
    assert {w.client_id for w in kept} == {"another"}
    assert len(kept) == 2


@pytest.mark.parametrize("at", [1e300, math.inf, math.nan])
def test_a_call_in_the_future_counts_as_one_just_now(at):
    """A damaged record costs no more than an hour of care."""
    play = ready(0, after=60)

    def damaged(saved):
        return replace(saved, windows=tuple(replace(w, sent_at=(at,)) for w in saved.windows))

    play.restart(change=damaged)
    assert list(window(play).sent_at) == [play.now.boot]


# -- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["sent_boot_at", "sent_wall_at", "life_seconds"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_token_whose_age_is_no_number_is_not_served(field, value):
    """Nobody knows when it ends."""
    play = ready(0)
    play.restart(change=lambda saved: with_token(saved, "bearer", **{field: value}))
    assert play.serving() is None
    assert BEARER in play.flights


def test_a_token_from_the_future_is_not_served():
    """It was asked for before now, or not at all."""
    play = ready(0)
    later = play.now.boot + 60
    play.restart(change=lambda saved: with_token(saved, "bearer", sent_boot_at=later))
    assert play.serving() is None


def test_a_life_beyond_eight_hours_is_cut():
    """USPS grants no longer one."""
    play = ready(0)
    play.restart(change=lambda saved: with_token(saved, "bearer", life_seconds=1e9))
    assert play.left() == 28_800 - HOUR


@pytest.mark.parametrize("renew_at", [1e300, math.inf, math.nan])
def test_a_renewal_is_cut_to_the_lead(renew_at):
    """It is due when the lead begins, at the latest."""
    play = ready(0)
    play.restart(change=lambda saved: with_token(saved, "bearer", renew_at=renew_at))
    assert play.wakes_in() == pytest.approx(LIFE - 5400 - HOUR)


@pytest.mark.parametrize(
    ("level", "left"), [(-5.0, 0.0), (1e300, 4.0), (math.nan, 4.0), (math.inf, 4.0)]
)
def test_a_bucket_is_cut_to_its_size(level, left):
    """Between nothing and four."""
    play = ready(0)
    play.restart(
        change=lambda saved: with_slot(
            saved, "bearer", bucket_level=level, bucket_filled_at=saved.saved_at.boot + HOUR
        )
    )
    assert slot(play).bucket.left(play.now.boot, LIFE) == left


@pytest.mark.parametrize(
    ("life", "restored"), [(-5.0, 0.0), (1e300, 28_800.0), (math.nan, 28_800.0)]
)
def test_the_measure_of_spans_is_cut_to_a_life(life, restored):
    """Between nothing and eight hours."""
    play = ready(0)
    play.restart(change=lambda saved: with_slot(saved, "bearer", life_seconds=life))
    assert slot(play).life_seconds == restored


@pytest.mark.parametrize("field", ["failures", "probes"])
def test_counts_below_nothing_are_nothing(field):
    """They would make spans of fractions."""
    play = refused()
    play.restart(change=lambda saved: with_slot(saved, "bearer", **{field: -7}))
    assert getattr(slot(play), field) == 0


def test_a_code_of_a_newer_version_is_still_a_trouble():
    """Its words say what it was."""
    play = refused()

    def newer(saved):
        (bearer, _) = saved.slots
        return with_slot(saved, "bearer", trouble=replace(bearer.trouble, code="not_heard_of"))

    play.restart(change=newer)
    assert play.view().trouble.code is Code.UPSTREAM_UNAVAILABLE
    assert play.view().trouble.detail == "refused it was"


def test_a_saved_flight_is_no_phase_to_restore():
    """A record that claims one is idle."""
    play = refused()
    play.restart(change=lambda saved: with_slot(saved, "bearer", phase=Phase.FETCHING))
    assert play.flights[BEARER].attempt == 1


def test_an_empty_record_is_as_none():
    """Everything is fetched."""
    play = Playbook()
    play.start()
    play.restart(change=lambda saved: SavedState(BOOT, saved.saved_at, 0))
    assert set(play.flights) == {BEARER}


def test_saved_numbers_are_ones_that_json_has():
    """A probe that is never made is no infinity in the record."""
    play = refused(PAYMENT)
    saved = play.broker.state(play.now)
    assert all(math.isfinite(s.probe_at) for s in saved.slots)


def test_a_secret_that_changed_under_a_probe_is_tried_at_once_by_the_next_process():
    """What was refused is no longer asked with, so there is nothing to wait for."""
    play = Playbook(payments=0)
    play.start()
    play.fail(BEARER, FailureKind.REFUSED)
    play.sleep()
    play.hears_secret("another")
    play.restart(secret="another")
    assert BEARER in play.flights
