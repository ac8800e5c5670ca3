"""Every bad answer of USPS: what callers are told, and that a good token is kept.

The words are checked as a person needs them: what USPS did, in the code that programs go by.
"""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from processes import Home, Usps, until

DEAD = '{"error": {"code": "401", "message": "The access token expired"}}'
UNAVAILABLE, REFUSED = "upstream_unavailable", "credentials_refused"

COME_BACK = {"unavailable=120", "rate_limited=120", "rate_limited_until=120"}


class Bad(NamedTuple):
    """A fault of the simulator, and what callers are told of it."""

    fault: str
    status: int
    code: str
    words: str
    """Of the detail."""

    def __str__(self) -> str:
        return self.fault


ANSWERS = [
    Bad("no_token", 503, UNAVAILABLE, "200 without a usable token"),
    Bad("past_end", 503, UNAVAILABLE, "200 without a usable token"),
    Bad("past_end=-60", 503, UNAVAILABLE, "200 without a usable token"),
    Bad("line_breaks", 503, UNAVAILABLE, "200 without a usable token"),
    Bad("huge_body=100", 503, UNAVAILABLE, "large"),
    Bad("html", 503, UNAVAILABLE, "page"),
    Bad("html=502", 503, UNAVAILABLE, "502"),
    Bad("blocked", 503, UNAVAILABLE, "403"),
    Bad("not_json", 503, UNAVAILABLE, "200 without a usable token"),
    Bad("empty_body", 503, UNAVAILABLE, "200 without a usable token"),
    Bad("empty_body=503", 503, UNAVAILABLE, "503"),
    Bad("gateway_fault", 503, UNAVAILABLE, "500"),
    Bad("redirect", 503, UNAVAILABLE, "redirect"),
    Bad("redirect_307=http://127.0.0.1:9/", 503, UNAVAILABLE, "redirect"),
    Bad("cut_body", 503, UNAVAILABLE, "broke off"),
    Bad("hang", 503, UNAVAILABLE, "timed out after 1 s"),
    Bad("drip=0.2", 503, UNAVAILABLE, "timed out after 1 s"),
    Bad("reset", 503, UNAVAILABLE, "broke"),
    Bad("server_error", 503, UNAVAILABLE, "500"),
    Bad("unavailable=120", 503, UNAVAILABLE, "503"),
    Bad("rate_limited=120", 503, "upstream_rate_limited", "429"),
    Bad("rate_limited_until=120", 503, "upstream_rate_limited", "429"),
]
TOKEN_ANSWERS = [
    *ANSWERS,
    Bad("invalid_client=unknown_key", 502, REFUSED, "invalid_client"),
    Bad("invalid_client=wrong_secret", 502, REFUSED, "Client authentication failed"),
    Bad("invalid_client=other_product", 502, REFUSED, "invalid_client"),
]
PAYMENT_ANSWERS = [
    *(bad for bad in ANSWERS if bad.fault in {"no_token", "line_breaks", "html", "hang", "reset"}),
    *(bad for bad in ANSWERS if bad.fault in COME_BACK),
    Bad("not_enrolled", 502, "payment_refused", "USPS Ship"),
    Bad("account_state=100002", 502, "payment_refused", "100002"),
    Bad("account_state=100007", 502, "payment_refused", "100007"),
    Bad("unauthorized=insufficient_scope", 403, "scope_missing", "401"),
]
KEPT_UNDER = [
    "same_token",
    "no_token",
    "past_end",
    "line_breaks",
    "huge_body=5",
    "html",
    "cut_body",
    "hang",
    "rate_limited=120",
    "server_error",
    "invalid_client=unknown_key",
]
FIXES = {
    "invalid_client=wrong_secret": "client secret",
    "invalid_client=unknown_key": "client_id",
    "not_enrolled": "USPS Ship",
    "account_state=100002": "EPS account activated",
    "account_state=100007": "Trust balance",
    "unauthorized=insufficient_scope": "Payments APIs",
    "redirect": "base_url",
    "blocked": "proxy",
}


@pytest.fixture(scope="module")
def usps():
    """One USPS for all tests here, which takes as many calls as they make."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


@pytest.fixture
def home(usps):
    """A broker's folder, with little patience; USPS is well again afterwards."""
    home = Home(usps.base_url, app="timeout_seconds = 1\ncalls_per_hour = 50")
    yield home
    usps.ask("DELETE", "/sim/faults")
    home.remove()


def play(usps, fault, endpoint):
    usps.ask("POST", "/sim/faults", {"name": fault.partition("=")[0], **value(fault, endpoint)})


def value(fault, endpoint):
    text = fault.partition("=")[2]
    fields = {"endpoint": endpoint}
    if text:
        is_number = text.lstrip("-").replace(".", "", 1).isdigit()
        fields["value"] = json.loads(text) if is_number else text
    return fields


def troubled(home, slot):
    """Waits until an attempt has failed."""
    return until(lambda: home.slot(slot)["trouble"], home.status)


def check(home, slot, bad):
    """What a caller is told, and what a person sees."""
    answered, headers, body = home.get(f"/v1/tokens/{slot}?wait=0")
    said = json.loads(body)
    assert (answered, said["code"]) == (bad.status, bad.code)
    assert bad.words in said["detail"]
    assert FIXES.get(bad.fault, "") in said["fix"]
    trouble = home.slot(slot)["trouble"]
    assert (trouble["code"], trouble["fix"]) == (bad.code, said["fix"])
    if bad.fault in COME_BACK:
        assert 100 < int(headers["Retry-After"]) <= 120


@pytest.mark.parametrize("bad", TOKEN_ANSWERS, ids=str)
def test_a_cold_broker_says_what_usps_did(usps, home, bad):
    """The code for programs, the words for people, and when to come back."""
    play(usps, bad.fault, "token")
    with home.broker() as broker:
        troubled(home, "bearer")
        check(home, "bearer", bad)
        assert json.loads(home.get("/healthz")[2])["alive"]
        assert "Traceback" not in broker.errors()


@pytest.mark.parametrize("bad", PAYMENT_ANSWERS, ids=str)
def test_a_payment_token_that_usps_does_not_give_costs_no_bearer(usps, home, bad):
    """The bearer is there and served; the payment slot says what is wrong with it."""
    play(usps, bad.fault, "payment-authorization")
    with home.broker() as broker:
        home.token("bearer")
        troubled(home, "payment")
        check(home, "payment", bad)
        assert home.token("bearer")["degraded"] is False
        assert "Traceback" not in broker.errors()


@pytest.mark.parametrize("fault", KEPT_UNDER)
def test_a_good_token_is_kept_whatever_usps_says_to_the_next_call(usps, home, fault):
    """A renewal that fails never touches it: it is served on, flagged, with the reason beside."""
    with home.broker():
        before = home.token()
        home.token("payment")
        play(usps, fault, "token")
        report = {
            "status": 401,
            "body": DEAD,
            "path": "/x",
            "serials": {"bearer": before["serial"]},
        }
        home.ask("POST", "/v1/answers?wait=0", report)
        troubled(home, "bearer")
        after = home.token()
        assert (after["token"], after["serial"]) == (before["token"], before["serial"])
        assert after["degraded"] is True
        assert home.slot()["suspect"] is True
        assert home.get("/readyz")[0] == 503


def test_a_hundred_megabytes_are_not_read(usps, home):
    """The answer's size is bounded: memory stays where it was."""
    play(usps, "huge_body=100", "all")
    with home.broker() as broker:
        status = Path(f"/proc/{broker.process.pid}/status")
        troubled(home, "bearer")
        until(lambda: home.slot()["trouble"]["times"] >= 2)
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        assert int(peak.split()[1]) < 80_000


@pytest.mark.parametrize("slot", ["bearer", "payment"])
def test_a_token_that_is_no_jwt_is_as_good_as_any(usps, home, slot):
    """Nobody promised that it is one. A payment token without an `exp` lives eight hours."""
    play(usps, "opaque_token", "all")
    with home.broker():
        token = home.token(slot)
        assert "." not in token["token"]
        assert 28_700 < token["expires_in"] <= 28_800


@pytest.mark.parametrize("fault", ["no_expires_in", "string_numbers"])
def test_numbers_that_are_missing_or_quoted_are_made_up_for(usps, home, fault):
    """The token tells its own life, and USPS has quoted numbers before."""
    play(usps, fault, "token")
    with home.broker():
        assert 28_700 < home.token()["expires_in"] <= 28_800


def test_a_bearer_without_the_payments_scope_costs_no_payment_call(usps, home):
    """USPS would refuse; the reason and the fix are told at once."""
    before = usps.calls("payment-authorization")
    play(usps, "missing_scope=payments", "token")
    with home.broker():
        home.token("bearer")
        troubled(home, "payment")
        answered, _, body = home.get("/v1/tokens/payment?wait=0")
        assert (answered, json.loads(body)["code"]) == (403, "scope_missing")
        assert "payments" in json.loads(body)["detail"]
    assert usps.calls("payment-authorization") == before


def test_a_bearer_that_payments_refuse_is_renewed_once(usps, home):
    """Another one is refused too: the slot halts, and the bearer is left alone."""
    tokens, payments = usps.calls("token"), usps.calls("payment-authorization")
    play(usps, "unauthorized=expired", "payment-authorization")
    with home.broker():
        home.token("bearer")
        until(lambda: home.slot("payment")["phase"] == "halted", home.status)
        answered, _, body = home.get("/v1/tokens/payment?wait=0")
        assert (answered, json.loads(body)["code"]) == (502, "payment_refused")
        assert home.get("/v1/tokens/bearer")[0] == 200
    assert usps.calls("token") - tokens == 2
    assert usps.calls("payment-authorization") - payments == 2


@pytest.mark.parametrize("seconds", [86_400, -86_400, 5_000_000])
def test_a_wrong_clock_at_usps_is_shown_and_harmless(usps, home, seconds):
    """Lives are spans: what USPS takes for now is for people to see, never to reckon with."""
    play(usps, f"wrong_clock={seconds}", "all")
    with home.broker():
        for slot in ("bearer", "payment"):
            assert 28_700 < home.token(slot)["expires_in"] <= 28_800
        skew = home.status()["apps"][0]["skew_seconds"]
        assert skew == pytest.approx(seconds, abs=5)
        assert home.get("/readyz")[0] == 200


def test_all_is_well_again_when_usps_is(usps, home):
    """The trouble is forgotten with the first grant."""
    play(usps, "server_error", "token")
    with home.broker():
        troubled(home, "bearer")
        usps.ask("DELETE", "/sim/faults")
        until(lambda: home.get("/v1/tokens/bearer?wait=20")[0] == 200)
        until(lambda: home.slot()["trouble"] is None)
        assert home.get("/readyz")[0] == 200


def test_nobody_at_all_is_said_and_costs_no_budget(home, usps):
    """No route, no listener: USPS never saw a call, so none is counted."""
    home.config.write_text(home.config.read_text().replace(usps.base_url, "http://127.0.0.1:9"))
    with home.broker():
        trouble = troubled(home, "bearer")
        assert trouble["code"] == UNAVAILABLE
        assert "127.0.0.1:9 refuses the connection" in trouble["detail"]
        budget = home.status()["apps"][0]["budget"]
        assert all(window["used_last_hour"] <= 1 for window in budget)
