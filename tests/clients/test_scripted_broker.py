"""The stand-in says what the real broker says, and the client knows every word of it."""

from __future__ import annotations

import json
import socket

import pytest
from scripted_broker import Request, ScriptedBroker, SteppedClock, problem

from usps_token_client import _checking, _exits

messages = pytest.importorskip("usps_token_broker.wire.messages")
standing = pytest.importorskip("usps_token_broker.wire.status")
problems = pytest.importorskip("usps_token_broker.wire.problems")


@pytest.fixture
def stand_in(silent_broker):
    return silent_broker


def ask(broker, target, **headers):
    return broker.answer(Request("GET", target, headers, b""))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/v1/tokens/bearer", messages.TokenMessage),
        ("/v1/headers", messages.HeadersMessage),
        ("/readyz", standing.ReadyMessage),
    ],
)
def test_its_answers_have_the_fields_of_the_real_ones(stand_in, target, message):
    """Neither a field too few nor one that the real broker does not have."""
    said = json.loads(ask(stand_in, target).body)
    assert set(said) == set(message.__struct_fields__)


def test_it_keeps_to_etags_and_plain_text(stand_in):
    """A known ETag gets 304; who accepts text gets the bare value."""
    assert ask(stand_in, "/v1/tokens/bearer", **{"if-none-match": '"1001"'}).status == 304
    assert ask(stand_in, "/v1/tokens/bearer", accept="text/plain").body == b"bearer-1"


def test_its_tokens_grow_old_on_its_clock():
    """`expires_in` counts down."""
    clock = SteppedClock()
    broker = ScriptedBroker(clock)
    try:
        broker.grant("bearer", "b", 1, life=100.0)
        clock.advance(30.0)
        assert json.loads(ask(broker, "/v1/tokens/bearer").body)["expires_in"] == 70.0
    finally:
        broker.close()


def test_it_serves_on_a_real_socket(broker):
    """What another client would see."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(broker.path)
        connection.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert broker.requests[0].path == "/readyz"


@pytest.mark.parametrize("code", sorted(problems.STATUS))
def test_the_client_knows_every_code_of_the_broker(code):
    """4xx but 429, and a refusal by USPS, are permanent; the rest is worth another try."""
    status = problems.STATUS[code]
    error = _checking.problem(problem(status, code))
    permanent = (400 <= status < 500 and status != 429) or status == 502
    if code in {"not_found", "method_not_allowed"}:
        assert _exits.of(error) == 76
    else:
        assert (error.code, error.permanent, error.status) == (code, permanent, status)
        assert _exits.of(error) != 75 or not permanent


def test_a_report_is_what_the_broker_decodes(tokens, broker):
    """The real decoder takes the client's report as it is."""
    broker.verdict = {
        "code": "c", "detail": "d", "fix": "f", "retry": False, "outcome": "failed",
    }  # fmt: skip
    used = tokens.headers(payment="east")
    tokens.report(401, {"A": "\u00e9"}, b"\xff", "/labels/v3/x?y", "apis.usps.com", used=used)
    report = messages.decode_report(broker.requests[-1].body)
    assert (report.status, report.path, report.host) == (401, "/labels/v3/x", "apis.usps.com")
    assert report.serials == {"bearer": 1001, "payment": 3001}
    assert report.payment == "east"
