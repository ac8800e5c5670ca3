"""What a client keeps, when it asks again, and what it never hands out."""

from __future__ import annotations

import json
import threading
import time

import pytest
from scripted_broker import HangUp, Held, Reply, Silence, json_reply, problem

from usps_token_client import BrokerError, ProtocolMismatch, TokenClient, TokenDenied


def test_a_token_comes_with_all_that_is_known_of_it(tokens):
    """The value, its serial, end, slot, app and scopes are there."""
    token = tokens.bearer()
    assert (token.value, token.serial, token.slot, token.app) == (
        "bearer-1", 1001, "bearer", "default",
    )  # fmt: skip
    assert token.scopes == ("addresses", "labels")
    assert not token.degraded


def test_a_warm_read_asks_nobody(tokens, broker, clock):
    """Until `check_after` the same object is handed out without a request."""
    first = tokens.bearer()
    clock.advance(59.9)
    assert tokens.bearer() is first
    assert len(broker.requests) == 1


def test_after_check_after_it_asks_by_etag(tokens, broker, clock):
    """Past `check_after` it asks whether the serial is still the one, and does not wait for it."""
    tokens.bearer()
    clock.advance(60.0)
    tokens.bearer()
    assert broker.requests[1].headers["if-none-match"] == '"1001"'
    assert broker.requests[1].query["wait"] == "0"


def test_a_304_lets_the_token_live_on(tokens, broker, clock):
    """After a 304 the same token is used for another `check_after`."""
    first = tokens.bearer()
    clock.advance(60.0)
    assert tokens.bearer() is first
    clock.advance(59.0)
    assert tokens.bearer() is first
    assert len(broker.requests) == 2


def test_a_newer_token_takes_over_at_the_next_check(tokens, broker, clock):
    """A rotation is seen at the next check, not before."""
    tokens.bearer()
    broker.grant("bearer", "bearer-2", 1002)
    assert tokens.bearer().value == "bearer-1"
    clock.advance(60.0)
    assert tokens.bearer().value == "bearer-2"


def test_a_304_does_not_lengthen_a_life(tokens, broker, clock):
    """However often the broker says 304, the token is spent `check_after` before its end."""
    broker.grant("bearer", "short", 5, life=100.0, check_after=10.0)
    tokens.bearer()
    broker.always = Reply(304)
    for _ in range(8):
        clock.advance(10.0)
        tokens.bearer()
    clock.advance(10.0)
    broker.always = problem(503, "not_ready")
    with pytest.raises(TokenDenied):
        tokens.bearer()


def test_a_token_that_is_spent_while_it_is_checked_is_not_handed_out(tokens, broker, clock):
    """The check fails, and meanwhile the end came: then a patient question is asked."""
    broker.grant("bearer", "short", 5, life=100.0, check_after=10.0)
    tokens.bearer()
    broker.grant("bearer", "fresh", 6, life=28_800.0)

    def slow_failure(_request):
        clock.advance(1.5)
        return problem(503, "restarting")

    broker.script = [slow_failure]
    clock.advance(89.0)
    assert tokens.bearer().value == "fresh"
    assert "if-none-match" not in broker.requests[-1].headers


def test_a_token_in_its_last_check_after_is_never_handed_out(tokens, broker, clock):
    """From `check_after` before its end a token is not used, whatever the broker does."""
    broker.grant("bearer", "short", 5, life=100.0, check_after=10.0)
    tokens.bearer()
    broker.always = HangUp()
    clock.advance(89.9)
    assert tokens.bearer().value == "short"
    broker.always = problem(503, "upstream_unavailable")
    clock.advance(0.1)
    with pytest.raises(TokenDenied):
        tokens.bearer()


def test_the_broker_going_away_changes_nothing_while_the_token_is_good(tokens, broker, clock):
    """Nobody listening: the kept token goes on being used."""
    first = tokens.bearer()
    broker.stop()
    clock.advance(3600.0)
    assert tokens.bearer() is first


@pytest.mark.parametrize(
    "trouble",
    [
        HangUp(),
        Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
        Reply(200, b"not json"),
        problem(500, "not_ready"),
        problem(502, "credentials_refused"),
        problem(503, "restarting"),
        problem(429, "too_many_requests"),
        problem(404, "not_found"),
        Reply(500, b"<html>"),
    ],
)
def test_a_broker_in_trouble_changes_nothing_while_the_token_is_good(
    tokens, broker, clock, trouble
):
    """5xx, a cut or a senseless answer: the kept token goes on being used."""
    first = tokens.bearer()
    broker.always = trouble
    clock.advance(60.0)
    assert tokens.bearer() is first


def test_a_broker_in_trouble_is_not_hammered(tokens, broker, clock):
    """With a good token at hand the next question comes after 2, 4, 8… seconds, then each 60."""
    tokens.bearer()
    broker.always = problem(503, "restarting")
    asked_at = []
    clock.advance(60.0)
    for tenth in range(4000):
        before = len(broker.requests)
        tokens.bearer()
        if len(broker.requests) > before:
            asked_at.append(tenth / 10)
        clock.advance(0.1)
    gaps = [round(asked_at[n + 1] - at) for n, at in enumerate(asked_at[:-1])]
    assert gaps == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


def test_a_recovered_broker_is_asked_at_the_old_pace(tokens, broker, clock):
    """After trouble is over, checks come every `check_after` again."""
    tokens.bearer()
    broker.script = [HangUp()]
    clock.advance(60.0)
    tokens.bearer()
    clock.advance(2.0)
    tokens.bearer()
    count = len(broker.requests)
    clock.advance(59.0)
    tokens.bearer()
    assert len(broker.requests) == count


@pytest.mark.parametrize(
    ("status", "code"), [(403, "forbidden"), (404, "unknown_slot"), (404, "unknown_app")]
)
def test_a_refused_caller_loses_its_token(tokens, broker, clock, status, code):
    """An administrator who takes a right away is obeyed at the next check."""
    tokens.bearer()
    broker.always = problem(status, code)
    clock.advance(60.0)
    for _ in range(2):
        with pytest.raises(BrokerError) as caught:
            tokens.bearer()
        assert caught.value.code == code


def test_a_spent_token_is_fetched_anew_and_waited_for(tokens, broker, clock):
    """With nothing good at hand the broker is asked without an ETag, and may wait for USPS."""
    tokens.bearer()
    broker.grant("bearer", "bearer-2", 1002)
    clock.advance(28_800.0)
    broker.grant("bearer", "bearer-3", 1003)
    assert tokens.bearer().value == "bearer-3"
    assert "if-none-match" not in broker.requests[-1].headers
    assert broker.requests[-1].query["wait"] == "10"


def test_a_token_without_life_left_is_asked_for_again(make, broker):
    """An answer that is spent on arrival is no token; the next one may be."""
    broker.grant("bearer", "stale", 5, life=60.0, check_after=60.0)
    fresh = broker.grants["bearer"]

    def renew(request):
        stale = broker.answer(request)
        fresh.life, fresh.value = 28_800.0, "fresh"
        return stale

    broker.script = [renew]
    assert make().bearer().value == "fresh"


def test_a_broker_that_only_has_spent_tokens_is_an_error(broker):
    """When no better one comes before the deadline, nothing is handed out."""
    broker.grant("bearer", "stale", 5, life=50.0, check_after=60.0)
    with pytest.raises(ProtocolMismatch, match="too little life"):
        TokenClient(broker.path, timeout=0.2).bearer()


def test_age_counts_from_sending(tokens, broker, clock):
    """Time that passes between question and answer belongs to the token's age."""
    broker.grant("bearer", "short", 5, life=100.0, check_after=10.0)

    def slow(request):
        answer = broker.answer(request)
        clock.advance(8.0)
        return answer

    broker.script = [slow]
    tokens.bearer()
    clock.advance(2.0)
    tokens.bearer()
    assert len(broker.requests) == 2


def test_check_after_can_be_made_shorter(make, broker, clock):
    """`check_after=5` asks every five seconds."""
    tokens = make(check_after=5)
    tokens.bearer()
    clock.advance(5.0)
    tokens.bearer()
    assert len(broker.requests) == 2


def test_check_after_cannot_be_made_longer(make, broker, clock):
    """The broker's 60 s bind, whatever the caller would like."""
    tokens = make(check_after=3600)
    tokens.bearer()
    clock.advance(60.0)
    tokens.bearer()
    assert len(broker.requests) == 2


def test_check_after_zero_asks_every_time(make, broker):
    """`check_after=0` never trusts its memory."""
    tokens = make(check_after=0)
    tokens.bearer()
    tokens.bearer()
    assert len(broker.requests) == 2


def test_a_late_token_says_so_even_when_the_broker_only_says_304(tokens, broker, clock):
    """`degraded` turns true in the last half hour though a 304 has no body."""
    broker.grant("bearer", "b", 5, life=4000.0)
    assert not tokens.bearer().degraded
    clock.advance(2201.0)
    assert tokens.bearer().degraded
    assert broker.requests[-1].headers["if-none-match"] == '"5"'


def test_late_headers_say_so_too(tokens, broker, clock):
    """`degraded` of headers follows the same rule."""
    broker.grant("bearer", "b", 5, life=4000.0)
    assert not tokens.headers().degraded
    clock.advance(2201.0)
    assert tokens.headers().degraded


def test_payment_tokens_are_kept_apart_by_name(tokens):
    """`default` is the slot `payment`, another name is `payment-NAME`."""
    assert tokens.payment().value == "payment-1"
    assert tokens.payment("east").value == "payment-east-1"
    assert tokens.payment().slot == "payment"
    assert tokens.payment("east").slot == "payment-east"


def test_a_payment_name_is_encoded_in_the_path(tokens, broker):
    """A name with odd characters asks for exactly that slot."""
    broker.grant("payment-a b?c&d%", "odd", 9)
    assert tokens.payment("a b?c&d%").value == "odd"


@pytest.mark.parametrize("name", ["", "a/b", "../bearer"])
def test_a_name_no_slot_can_have_is_a_value_error(tokens, broker, name):
    """Nothing is asked for a name that cannot be."""
    with pytest.raises(ValueError, match="name"):
        tokens.payment(name)
    with pytest.raises(ValueError, match="name"):
        tokens.headers(payment=name)
    assert broker.requests == []


def test_the_app_is_asked_for_and_checked(make, broker):
    """`app=` goes into the query; an answer for another app is refused."""
    broker.app = "shop"
    assert make(app="shop").bearer().app == "shop"
    assert broker.requests[-1].query["app"] == "shop"
    with pytest.raises(ProtocolMismatch, match="app shop"):
        make(app="other").bearer()


def test_an_answer_for_another_slot_is_refused(tokens, broker):
    """The payment token is not taken for the bearer."""
    wrong = broker.answer
    broker.always = lambda request: wrong(
        type(request)("GET", "/v1/tokens/payment", request.headers, b"")
    )
    with pytest.raises(ProtocolMismatch, match="asked for the bearer"):
        tokens.bearer()


def test_headers_are_one_snapshot(tokens, broker):
    """Both headers and their serials come from one question."""
    headers = tokens.headers(payment=True)
    assert headers == {
        "Authorization": "Bearer bearer-1",
        "X-Payment-Authorization-Token": "payment-1",
    }
    assert headers.serials == {"bearer": 1001, "payment": 2001}
    assert headers.base_url == "https://apis.usps.com"
    assert len(broker.requests) == 1


def test_headers_without_payment_have_no_payment_header(tokens):
    """By default only Authorization is there."""
    assert list(tokens.headers()) == ["Authorization"]


def test_headers_name_another_payment_token(tokens, broker):
    """`payment="east"` takes that token."""
    headers = tokens.headers(payment="east")
    assert headers["X-Payment-Authorization-Token"] == "payment-east-1"
    assert headers.payment == "east"
    assert broker.requests[-1].query["payment"] == "east"


def test_headers_are_the_callers_to_change(tokens):
    """What a caller does to its headers does not reach the next caller."""
    for _ in range(3):
        mine = tokens.headers()
        assert mine["Authorization"] == "Bearer bearer-1"
        assert mine.serials == {"bearer": 1001}
        mine["Authorization"] = "spoilt"
        mine.serials.clear()


def test_headers_are_checked_by_both_serials(tokens, broker, clock):
    """Headers with payment are asked for with the ETag of both; either rotation is seen."""
    tokens.headers(payment=True)
    clock.advance(60.0)
    assert tokens.headers(payment=True)["X-Payment-Authorization-Token"] == "payment-1"
    assert broker.requests[-1].headers["if-none-match"] == '"1001.2001"'
    broker.grant("payment", "payment-2", 2002)
    clock.advance(60.0)
    assert tokens.headers(payment=True)["X-Payment-Authorization-Token"] == "payment-2"


def _with(**changes):
    """A token answer with some fields changed; None leaves a field out."""

    def answer(broker, request):
        data = {**json.loads(broker.answer(request).body), **changes}
        return json_reply({name: value for name, value in data.items() if value is not None})

    return answer


@pytest.mark.parametrize(
    "changes",
    [
        {"token": None},
        {"token": ""},
        {"token": "two\r\nX-Evil: 1"},
        {"token": "caf\u00e9"},
        {"token": 7},
        {"serial": "1001"},
        {"serial": 1.5},
        {"serial": True},
        {"serial": None},
        {"expires_in": "28800"},
        {"expires_in": None},
        {"expires_in": float("nan")},
        {"expires_in": float("inf")},
        {"expires_in": 10**400},
        {"expires_at": None},
        {"check_after": "60"},
        {"check_after": True},
        {"slot": None},
        {"app": None},
        {"scopes": "addresses"},
        {"scopes": [1]},
    ],
)
def test_a_broken_token_answer_is_no_token(tokens, broker, changes):
    """A field of the wrong kind, or a byte that may not stand in a header, is refused."""
    broker.always = lambda request: _with(**changes)(broker, request)
    with pytest.raises(ProtocolMismatch):
        tokens.bearer()


@pytest.mark.parametrize("changes", [{"unknown": {"a": [1]}}, {"check_after": None}])
def test_a_newer_or_older_broker_is_understood(tokens, broker, changes):
    """Unknown fields are ignored; without `check_after` it is a minute."""
    broker.always = lambda request: _with(**changes)(broker, request)
    assert tokens.bearer().value == "bearer-1"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b"{"])
def test_an_answer_that_is_no_json_object_is_refused(tokens, broker, body):
    """Whatever the body is, the error is ours."""
    broker.always = Reply(200, body)
    with pytest.raises(ProtocolMismatch):
        tokens.bearer()


@pytest.mark.parametrize(
    "answer",
    [
        {"headers": {"Authorization": "Bearer b"}},
        {"headers": {}, "serials": {"bearer": 1}},
        {"headers": {"Authorization": "a\nb"}, "serials": {"bearer": 1}},
        {"headers": ["Authorization"], "serials": {"bearer": 1}},
        {"headers": {"Authorization": "Bearer b"}, "serials": {"bearer": None}},
    ],
)
def test_broken_headers_are_refused(tokens, broker, answer):
    """Headers without a serial, or with a value that is none, are refused."""
    whole = {"app": "default", "base_url": "https://x", "expires_in": 900.0, **answer}
    broker.always = json_reply(whole)
    with pytest.raises(ProtocolMismatch):
        tokens.headers()


def test_only_the_two_headers_are_taken(tokens, broker):
    """A header that nobody asked for does not get into the caller's requests."""
    broker.always = json_reply(
        {
            "app": "default",
            "base_url": "https://x",
            "expires_in": 9000.0,
            "headers": {"Authorization": "Bearer b", "Host": "evil", "X-Payment": "x"},
            "serials": {"bearer": 1, "payment": 2},
        }
    )
    headers = tokens.headers()
    assert (dict(headers), headers.serials) == ({"Authorization": "Bearer b"}, {"bearer": 1})


def test_another_user_does_not_get_what_was_kept(tokens, broker, clock, monkeypatch):
    """After setuid the next question is asked as the new user, without the old one's token."""
    tokens.bearer()
    monkeypatch.setattr("os.geteuid", lambda: 4321)
    broker.always = problem(403, "forbidden")
    clock.advance(60.0)
    with pytest.raises(BrokerError) as caught:
        tokens.bearer()
    assert caught.value.code == "forbidden"
    assert "if-none-match" not in broker.requests[-1].headers


def test_another_user_without_a_broker_gets_nothing(make, broker, clock, monkeypatch):
    """A broker that is away is no reason to go on with another user's token."""
    tokens = make(timeout=0.2)
    tokens._now = clock
    tokens.bearer()
    broker.close()
    broker.folder.mkdir()
    monkeypatch.setattr("os.getegid", lambda: 4321)
    clock.advance(60.0)
    with pytest.raises(BrokerError):
        tokens.bearer()


def test_a_good_token_is_not_held_up_by_a_hung_broker_for_long(tokens, broker, clock, monkeypatch):
    """A recheck gives up after a short while of its own, and the kept token is used."""
    monkeypatch.setattr("usps_token_client._obtaining.RECHECK_SECONDS", 0.1)
    first = tokens.bearer()
    clock.advance(60.0)
    broker.always = Silence()
    begin = time.perf_counter()
    assert tokens.bearer() is first
    assert time.perf_counter() - begin < 5.0
    assert len(broker.requests) == 2


def test_others_go_on_while_one_asks(tokens, broker, clock):
    """While one thread asks whether a good token is still the one, nobody else waits."""
    first = tokens.bearer()
    clock.advance(60.0)
    held = Held()
    broker.always = held
    got = []
    asker = threading.Thread(target=lambda: got.append(tokens.bearer()))
    asker.start()
    assert held.arrived.wait(20)
    assert tokens.bearer() is first
    assert not got
    held.released.set()
    asker.join(20)
    assert got == [first]
    assert len(broker.requests) == 2


def test_true_and_default_are_the_same_payment_token(tokens, broker):
    """Headers asked for in either way are kept once."""
    tokens.headers(payment=True)
    tokens.headers(payment="default")
    assert len(broker.requests) == 1
