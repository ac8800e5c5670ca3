"""The snippets for Laravel, PSR-18 and WordPress, run in the real ones."""

from __future__ import annotations

import pytest
from language_clients import FRAMEWORKS, LanguageClient
from scripted_broker import problem
from spying_host import Says, SpyingHost

PAYMENT = "x-payment-authorization-token"
LABEL = "/labels/v3/label"
RENEWED = {
    "code": "token_dead",
    "detail": "it was dead",
    "fix": "nothing to do",
    "retry": True,
    "outcome": "renewed",
    "headers": {"Authorization": "Bearer bearer-2", "X-Payment-Authorization-Token": "payment-1"},
    "serials": {"bearer": 1002, "payment": 2001},
}


@pytest.fixture
def usps(broker):
    """The host the broker's tokens are for."""
    with SpyingHost() as host:
        broker.base_url = host.url
        yield host


@pytest.fixture
def stranger():
    with SpyingHost() as host:
        yield host


@pytest.fixture(params=FRAMEWORKS)
def shop(request, broker):
    """A program that uses the framework."""
    with LanguageClient(request.param, USPS_TOKEN_SOCKET=broker.path) as client:
        client.name = request.param
        yield client


def test_a_call_has_the_headers_it_wants(shop, usps):
    """The payment token on a label, beside what the caller put on."""
    mine = {"Content-Type": "application/json", "authorization": "stale"}
    said = shop.ask("fetch", url=usps.url + LABEL, method="POST", headers=mine, body='{"a": 1}')
    assert (said["status"], said["text"]) == (200, "done")
    shop.ask("fetch", url=usps.url + "/addresses/v3/address")
    label, address = usps.calls
    assert label.headers["authorization"] == "Bearer bearer-1"
    assert label.headers[PAYMENT] == "payment-1"
    assert (label.body, label.headers["content-type"]) == (b'{"a": 1}', "application/json")
    assert address.headers["authorization"] == "Bearer bearer-1"
    assert PAYMENT not in address.headers


def test_laravel_knows_the_host(broker, usps):
    """A path is enough."""
    with LanguageClient("laravel", USPS_TOKEN_SOCKET=broker.path) as shop:
        assert shop.ask("fetch", url=LABEL, method="POST", body="{}")["status"] == 200
    assert usps.calls[0].headers[PAYMENT] == "payment-1"


def test_a_dead_token_is_told_and_the_call_made_again(shop, usps, broker):
    """Once, with its body, and the caller sees the good answer."""
    usps.answers = [Says(401, b"{}")]
    broker.verdict = RENEWED
    said = shop.ask("fetch", url=usps.url + LABEL, method="POST", body="the body")
    assert said["status"] == 200
    assert [call.body for call in usps.calls] == [b"the body"] * 2
    assert usps.calls[1].headers["authorization"] == "Bearer bearer-2"
    assert [one.json()["path"] for one in broker.requests if one.path == "/v1/answers"] == [LABEL]


def test_it_is_made_again_once(shop, usps, broker):
    """The second 401 is the result, and told too."""
    usps.answers = [Says(401), Says(401), Says(401)]
    broker.verdict = RENEWED
    assert shop.ask("fetch", url=usps.url + LABEL)["status"] == 401
    assert len(usps.calls) == 2
    assert len([one for one in broker.requests if one.path == "/v1/answers"]) == 2


def test_a_refusal_that_stays_says_its_row_and_its_fix(shop, usps, broker):
    """In the reason phrase, which is what a shop's own code shows."""
    usps.answers = [Says(401, b"{}")]
    broker.verdict = {
        "code": "scope_missing", "reason": "scope_missing", "detail": "no scope for labels",
        "fix": "ask USPS", "retry": False, "outcome": "not_the_token", "serials": {},
    }  # fmt: skip
    said = shop.ask("fetch", url=usps.url + LABEL)
    assert said["status"] == 401
    assert said["said"] == "Unauthorized: no scope for labels [scope_missing]; ask USPS"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_stranger_carries_no_token(shop, usps, stranger, status):
    """Laravel follows it without them; the others hand it to the caller."""
    usps.answers = [Says(status, headers={"Location": stranger.url + "/caught"})]
    said = shop.ask("fetch", url=usps.url + LABEL)
    assert usps.calls[0].headers[PAYMENT] == "payment-1"
    assert said["status"] == (200 if shop.name == "laravel" else status)
    for call in stranger.calls:
        assert "authorization" not in call.headers
        assert PAYMENT not in call.headers
    assert len(stranger.calls) == (1 if shop.name == "laravel" else 0)


def test_a_call_to_another_host_is_left_alone(shop, usps, stranger):
    """What the caller put on stays on."""
    shop.ask("fetch", url=stranger.url + LABEL, headers={"Authorization": "Basic own"})
    [call] = stranger.calls
    assert call.headers["authorization"] == "Basic own"
    assert PAYMENT not in call.headers


def test_without_a_token_there_is_no_call(shop, usps, broker):
    """An error of the framework's own kind, with what to do."""
    broker.always = problem(403, "forbidden")
    if shop.name == "wordpress":
        said = shop.ask("fetch", url=usps.url + LABEL)
        assert said["status"] == "usps_token_forbidden"
        assert "the fix of forbidden" in said["text"]
    else:
        with pytest.raises(AssertionError, match=r"BrokerError: .*the fix of forbidden") as caught:
            shop.ask("fetch", url=usps.url + LABEL)
        assert "bearer-1" not in str(caught.value)
    assert not usps.calls


def test_a_site_that_calls_others_does_not_need_the_broker(broker, stranger):
    """WordPress asks the broker for calls of the one host alone."""
    broker.stop()
    url = stranger.url.replace("127.0.0.1", "localhost")
    with LanguageClient("wordpress", USPS_TOKEN_SOCKET=broker.path) as shop:
        assert shop.ask("fetch", url=url)["status"] == 200
    assert not broker.requests


@pytest.mark.parametrize("name", ["laravel", "psr18"])
def test_no_exception_of_a_library_has_a_token(broker, name):
    """It names the request, which the caller logs; and its frames have arguments."""
    with SpyingHost() as host:
        broker.base_url = host.url
    with LanguageClient(name, USPS_TOKEN_SOCKET=broker.path) as shop:
        shop.send("fetch", url=host.url + LABEL, method="POST", body="{}")
        with pytest.raises(AssertionError, match="ConnectException") as caught:
            shop.heard()
    assert "Request Object" in str(caught.value)
    assert "bearer-1" not in str(caught.value)
    assert "payment-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "known_by"), [("laravel", "Request Object"), ("wordpress", "[body] => {}")]
)
def test_what_a_framework_keeps_or_tells_of_a_call_has_no_token(broker, usps, name, known_by):
    """Statistics that name the request, in Laravel; what plugins are given, in WordPress."""
    with LanguageClient(name, USPS_TOKEN_SOCKET=broker.path) as shop:
        said = shop.ask("fetch", url=usps.url + LABEL, method="POST", body="{}", printed=True)
    assert usps.calls[0].headers[PAYMENT] == "payment-1"
    assert known_by in said["text"]
    assert "bearer-1" not in said["text"]
    assert "payment-1" not in said["text"]


def test_a_call_that_was_blocked_leaves_no_token_behind(broker, usps, stranger):
    """WordPress may refuse a call after the filters; the next one is somebody else's."""
    with LanguageClient("wordpress", USPS_TOKEN_SOCKET=broker.path) as shop:
        shop.ask("fetch", url=usps.url + LABEL, blocked=True)
        shop.ask("fetch", url=stranger.url + LABEL)
    assert not usps.calls
    [call] = stranger.calls
    assert "authorization" not in call.headers
    assert PAYMENT not in call.headers
