"""Whether the calls an hour are enough for the slots, and which line to write if they are not."""

from dataclasses import replace

import pytest
from configs import APP, ROLES, app_with

from usps_token_broker.config import budgets, demands
from usps_token_broker.core.demand import Fit
from usps_token_broker.core.values import Endpoint


def slots(count, line="", first=0):
    tables = range(first, first + count)
    return "\n".join(f"[apps.default.payments.m{n}]\n{line}\n{ROLES}" for n in tables)


def warning(folder, text):
    """The only warning that this file gives."""
    [only] = folder.load(text).warnings
    return only


def test_an_app_without_payments_has_one_endpoint(folder):
    """And one bearer at it."""
    [(endpoint, wanted)] = demands(folder.load(APP).apps[0])
    assert (endpoint, wanted.always, wanted.active) == (Endpoint.TOKEN, 1, 0)


def test_slots_count_by_how_they_are_kept(folder):
    """Those of files too."""
    folder.write(f'keep = "active"\n{ROLES}', "payments.d/x.toml")
    app = folder.load(app_with(slots(3))).apps[0]
    wanted = dict(demands(app))[Endpoint.PAYMENT_AUTHORIZATION]
    assert (wanted.always, wanted.active, wanted.calls_per_hour) == (3, 1, 30)


def test_buffer_and_lead_of_the_app_count(folder):
    """They make renewals more frequent."""
    app = folder.load(app_with("buffer_seconds = 7200\nlead_seconds = 7200")).apps[0]
    assert dict(demands(app))[Endpoint.TOKEN].period_seconds == pytest.approx(13_680)


def test_enough_is_not_remarked_upon(folder):
    """The most that the default limit carries."""
    assert folder.load(app_with(slots(144))).warnings == ()


@pytest.mark.parametrize("seconds", ["0", "599.5"])
def test_a_lead_without_a_second_attempt_is_remarked_upon(folder, seconds):
    """One failed call, and tokens come late: the first thing that the broker is there against."""
    assert f"lead_seconds = {seconds} leaves no time" in warning(
        folder, app_with(f"lead_seconds = {seconds}")
    )


def test_a_lead_with_a_second_attempt_is_not(folder):
    """The longest pause between two."""
    assert folder.load(app_with("lead_seconds = 600")).warnings == ()


def test_one_more_gets_the_line_to_write(folder):
    """A limit that USPS grants to everybody, in round numbers."""
    assert warning(folder, app_with(slots(145))) == (
        "app default: calls_per_hour = 30 is too small for 145 tokens of payment-authorization: "
        "their renewals take 23 calls an hour, which leaves too few for retries when USPS fails; "
        'write calls_per_hour = 40, or keep = "active" into 1 or more of those tokens\' tables '
        "that are seldom used"
    )


def test_what_usps_does_not_grant_by_itself_has_to_be_asked_for(folder):
    """Until then the most that it does grant, and fewer tokens kept."""
    said = warning(folder, app_with(slots(300)))
    assert "so they fall behind, and tokens may end before their turn comes" in said
    assert 'write calls_per_hour = 60 and keep = "active" into 12 or more of those' in said
    assert "ask USPS for a quota of at least 70 calls an hour (it grants 60 by default)" in said
    assert said.endswith("and then write calls_per_hour = 70")


def test_a_limit_above_the_default_is_taken_for_granted(folder):
    """Somebody has asked USPS already."""
    said = warning(folder, app_with(f"calls_per_hour = 80\n{slots(400)}"))
    assert "write calls_per_hour" not in said.split("; or ask")[0]
    assert 'keep = "active" into 16 or more of those' in said
    assert said.endswith("and then write calls_per_hour = 90")


def test_beyond_what_the_key_takes_another_app_is_advised(folder):
    """Nobody is told to write a value that would be refused."""
    [app] = folder.load(app_with(f"calls_per_hour = 3600\n{slots(1)}")).apps
    [said] = budgets.remarks(replace(app, payments=app.payments * 17_300))
    assert 'keep = "active" into 20 or more' in said
    assert said.endswith("or spread them over several apps of USPS")
    assert "write calls_per_hour" not in said


@pytest.mark.parametrize("count", [145, 200, 288])
def test_the_limit_that_is_advised_ends_the_warning(folder, count):
    """Nobody has to try twice."""
    said = warning(folder, app_with(slots(count)))
    line = said.split("write ")[1].split(",")[0]
    assert folder.load(app_with(f"{line}\n{slots(count)}")).warnings == ()


@pytest.mark.parametrize(
    ("count", "line", "seldom"), [(145, "", 1), (300, "calls_per_hour = 60", 12)]
)
def test_as_many_seldom_used_ones_as_are_advised_end_the_warning(folder, count, line, seldom):
    """And one fewer does not."""
    for few, warnings in ((seldom, 0), (seldom - 1, 1)):
        rare = slots(few, 'keep = "active"', first=1000)
        text = app_with(f"{line}\n{slots(count - few)}\n{rare}")
        assert len(folder.load(text).warnings) == warnings


def test_files_beside_count_and_broken_ones_do_not(folder):
    """What is not served is not renewed."""
    folder.write(ROLES, "payments.d/good.toml")
    assert "145 tokens" in warning(folder, app_with(slots(144)))
    folder.write("junk", "payments.d/good.toml")
    assert "is not served" in warning(folder, app_with(slots(144)))


def test_each_app_has_a_budget_of_its_own(folder):
    """USPS counts by client id."""
    second = APP.replace("default", "second").replace("the-id", "other-id")
    settings = folder.load(app_with(slots(100)) + second + slots(100).replace("default", "second"))
    assert settings.warnings == ()
    assert all(wanted.fit is Fit.ENOUGH for app in settings.apps for _, wanted in demands(app))
