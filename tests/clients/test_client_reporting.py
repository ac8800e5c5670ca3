"""Telling the broker of a 401: what is told, what is kept back, what comes of it."""

from __future__ import annotations

import pytest
from scripted_broker import HangUp, problem

from usps_token_client import ProtocolMismatch, Token, TokenClient, TokenDenied

RENEWED = {
    "code": "dead_token",
    "detail": "USPS no longer takes this token",
    "fix": "send the call again",
    "retry": True,
    "outcome": "renewed",
    "headers": {"Authorization": "Bearer bearer-2"},
    "serials": {"bearer": 1002},
}
NOT_THE_TOKEN = {
    "code": "scope_missing",
    "detail": "the token is good, but lacks a scope",
    "fix": "ask USPS for the product",
    "retry": False,
    "outcome": "not_the_token",
    "headers": {"Authorization": "Bearer bearer-1"},
    "serials": {"bearer": 1001},
}


@pytest.fixture
def renewing(broker):
    broker.verdict = RENEWED
    return broker


def last(broker):
    return broker.requests[-1]


def test_the_answer_is_told_as_it_was_given(tokens, renewing):
    """Status, headers, body, path, host and serials go to the broker."""
    headers = tokens.headers()
    tokens.report(
        401,
        {"WWW-Authenticate": "Bearer"},
        b'{"error": "invalid_token"}',
        "/addresses/v3/address",
        "apis.usps.com",
        used=headers,
    )
    request = last(renewing)
    assert (request.method, request.path, request.query) == ("POST", "/v1/answers", {"wait": "10"})
    assert request.json() == {
        "status": 401,
        "headers": {"WWW-Authenticate": "Bearer"},
        "body": '{"error": "invalid_token"}',
        "path": "/addresses/v3/address",
        "host": "apis.usps.com",
        "serials": {"bearer": 1001},
    }


def test_the_app_is_named(make, renewing):
    """`app=` goes along."""
    make(app="shop").report(401, used={"bearer": 1})
    assert last(renewing).query["app"] == "shop"


def test_cookies_tokens_and_queries_stay_here(tokens, renewing):
    """What the broker does not need is not told: addresses in a query, cookies, tokens."""
    tokens.report(
        401,
        [("Set-Cookie", "TLTSID=1"), ("authorization", "Bearer x"), ("Date", "now")],
        path="/addresses/v3/address?streetAddress=3120+M+St",
        used={"bearer": 1},
    )
    told = last(renewing).json()
    assert told["headers"] == {"Date": "now"}
    assert told["path"] == "/addresses/v3/address"


def test_a_long_answer_is_cut(tokens, renewing):
    """4 KB of body, 24 headers, 256 characters each: the broker takes 64 KB, whatever is in it."""
    for odd in ("v", "\0", "\u20ac", "\udc80", '"', "\n"):
        headers = {f"{n}{odd * 1000}": odd * 100_000 for n in range(1000)}
        body = (odd * 1_000_000).encode("utf-8", "surrogatepass")
        tokens.report(401, headers, body, "/" + odd * 100_000, used={"bearer": 1})
        assert len(last(renewing).body) < 60_000
        assert len(last(renewing).json()["headers"]) == 24


@pytest.mark.parametrize("body", [b"\xff\x00\xfe", "caf\u00e9 \udc80", bytearray(b"x")])
def test_a_body_of_any_bytes_is_told(tokens, renewing, body):
    """Broken UTF-8 and half surrogates are replaced."""
    tokens.report(401, {"X": "\udc80"}, body, "/\udc80", used={"bearer": 1})
    assert isinstance(last(renewing).json()["body"], str)


def test_used_may_be_headers_tokens_or_serials(tokens, renewing):
    """Whatever the caller has at hand names the tokens."""
    ways = [
        (tokens.headers(payment="east"), {"bearer": 1001, "payment": 3001}, "east"),
        (tokens.headers(payment=True), {"bearer": 1001, "payment": 2001}, "default"),
        (tokens.bearer(), {"bearer": 1001}, None),
        ([tokens.bearer(), tokens.payment("east")], {"bearer": 1001, "payment": 3001}, "east"),
        ({"bearer": 5, "payment": 6}, {"bearer": 5, "payment": 6}, None),
    ]
    renewing.verdict = {**NOT_THE_TOKEN, "headers": None}
    for used, serials, payment in ways:
        tokens.report(401, used=used)
        assert last(renewing).json()["serials"] == serials
        assert last(renewing).json().get("payment") == payment


@pytest.mark.parametrize(
    "used", [{}, [], ["eyJ.SECRET"], "eyJ.SECRET", {"Authorization": "Bearer eyJ.SECRET"}, [None]]
)
def test_used_that_names_no_token_is_a_type_error(tokens, renewing, used):
    """A dict of plain headers has no serials; the error says what to pass and shows nothing."""
    with pytest.raises(TypeError, match="`used` names") as caught:
        tokens.report(401, used=used)
    assert "SECRET" not in str(caught.value)
    assert renewing.requests == []


def test_the_verdict_has_the_headers_to_use_now(tokens, renewing):
    """After a renewal the new headers come with their serials, ready for the next report."""
    verdict = tokens.report(401, used=tokens.headers())
    assert verdict.retry
    assert verdict.outcome == "renewed"
    assert verdict.headers == {"Authorization": "Bearer bearer-2"}
    assert verdict.serials == verdict.headers.serials == {"bearer": 1002}
    assert (verdict.code, verdict.detail) == (RENEWED["code"], RENEWED["detail"])


def test_no_retry_without_headers(tokens, broker):
    """A retry with nothing to send is none."""
    broker.verdict = {**RENEWED, "headers": None, "serials": None}
    assert not tokens.report(401, used={"bearer": 1}).retry


def test_retry_after_is_handed_on(tokens, broker):
    """A renewal that has to wait says how long."""
    broker.verdict = {**NOT_THE_TOKEN, "outcome": "throttled", "retry_after": 30.0}
    assert tokens.report(401, used={"bearer": 1}).retry_after == 30.0


def test_a_replaced_token_is_forgotten_everywhere(tokens, renewing):
    """Bearer and headers with the refused serial are asked for anew; the payment token is not."""
    tokens.bearer(), tokens.payment()
    used = tokens.headers(payment=True)
    renewing.verdict = {
        **RENEWED,
        "headers": {**RENEWED["headers"], "X-Payment-Authorization-Token": "payment-1"},
        "serials": {"bearer": 1002, "payment": 2001},
    }
    renewing.grant("bearer", "bearer-2", 1002)
    tokens.report(401, used=used)
    count = len(renewing.requests)
    assert tokens.bearer().value == "bearer-2"
    assert tokens.headers(payment=True)["Authorization"] == "Bearer bearer-2"
    assert tokens.payment().value == "payment-1"
    assert len(renewing.requests) == count + 2


def test_a_replaced_payment_token_is_forgotten_by_name(tokens, renewing):
    """The payment token `east` does not go when `default` is replaced, whatever its serial."""
    renewing.grant("payment-east", "east", 2001)
    tokens.payment(), tokens.payment("east")
    renewing.verdict = {
        **RENEWED,
        "headers": {**RENEWED["headers"], "X-Payment-Authorization-Token": "payment-2"},
        "serials": {"bearer": 1001, "payment": 2002},
    }
    tokens.report(401, used=tokens.headers(payment=True))
    count = len(renewing.requests)
    tokens.payment("east")
    assert len(renewing.requests) == count
    tokens.payment()
    assert len(renewing.requests) == count + 1


def test_a_dead_token_is_not_used_though_the_broker_is_away(tokens, renewing, clock):
    """What the broker called replaced is not gone back to."""
    tokens.bearer()
    tokens.report(401, used=tokens.bearer())
    renewing.always = problem(503, "not_ready")
    with pytest.raises(TokenDenied):
        tokens.bearer()


def test_others_tokens_stay_when_it_was_not_the_token(tokens, broker):
    """Without a renewal everything goes on as it was."""
    broker.verdict = NOT_THE_TOKEN
    first = tokens.bearer()
    verdict = tokens.report(401, used=first)
    assert (verdict.retry, verdict.code) == (False, "scope_missing")
    assert tokens.bearer() is first


def test_a_report_is_retried_like_any_question(tokens, renewing):
    """A broker that restarts in between gets the report again."""
    renewing.script = [HangUp(), problem(503, "restarting")]
    assert tokens.report(401, used={"bearer": 1}).retry


def test_a_denied_report_is_an_error(tokens, broker):
    """A report the broker does not take raises its reason."""
    broker.always = problem(400, "bad_request")
    with pytest.raises(TokenDenied) as caught:
        tokens.report(401, used={"bearer": 1})
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("change", [{"code": None}, {"outcome": 7}, {"headers": []}])
def test_a_broken_verdict_is_an_error(tokens, broker, change):
    """A verdict with a field of the wrong kind is refused."""
    broker.verdict = {**RENEWED, **change}
    with pytest.raises(ProtocolMismatch):
        tokens.report(401, used={"bearer": 1})


def test_a_static_token_is_reported_to_nobody():
    """A static client says that there is nothing newer."""
    tokens = TokenClient.static(bearer="b")
    verdict = tokens.report(401, used=tokens.bearer())
    assert (verdict.retry, verdict.outcome, verdict.code) == (False, "failed", "static")
    assert isinstance(tokens.bearer(), Token)
