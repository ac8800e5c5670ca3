"""The contract's exchanges, played to the Python client: what it asks, and what it makes of it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from contract_files import behaviour_of, exchanges

from usps_token_client import BrokerError, Headers, TokenClient

QUICK_SECONDS = 0.3
PLAYED = {
    name: exchange
    for name, exchange in exchanges().items()
    # Text is asked for by the commands alone, and a 304 answers who holds something.
    if ("gives" in exchange or "error" in exchange)
    and exchange["request"]["headers"]["Accept"] == "application/json"
}


def parts(target):
    """Path and query of a target."""
    split = urlsplit(target)
    return split.path, {key: values[0] for key, values in parse_qs(split.query).items()}


def call(client, request):
    """The call of the client that asks this."""
    path, query = parts(request["target"])
    if path.startswith("/v1/tokens/payment"):
        return client.payment(path.partition("payment")[2].removeprefix("-") or "default")
    if path == "/v1/headers":
        return client.headers(payment=query.get("payment", False))
    if path == "/v1/status":
        return client.status()
    if path == "/readyz":
        slots = [query["slot"]] if "slot" in query else []
        least = float(query["min_valid"]) if "min_valid" in query else None
        return client.ready(*slots, min_valid=least)
    if path == "/v1/answers":
        return report(client, request["json"])
    return client.bearer()


def report(client, said):
    """A report that says this."""
    used = said.get("serials", {"bearer": 1})
    if "payment" in said:
        used = Headers({}, serials=used, payment=said["payment"])
    answer = (said["status"], said["headers"], said["body"], said["path"], said.get("host"))
    return client.report(*answer, used=used)


def facts(kind, value):
    """What the contract says of such a value."""
    if kind == "token":
        names = ("slot", "app", "serial", "expires_at", "degraded", "value")
        scopes = None if value.scopes is None else list(value.scopes)
        return {name: getattr(value, name) for name in names} | {"scopes": scopes}
    if kind == "headers":
        names = ("serials", "app", "base_url", "degraded")
        return {name: getattr(value, name) for name in names} | {"values": dict(value)}
    if kind == "verdict":
        return {name: getattr(value, name) for name in ("code", "outcome", "retry")}
    return value


@pytest.mark.parametrize("name", [name for name, played in PLAYED.items() if "gives" in played])
def test_an_answer_gives_what_the_contract_says(broker, name):
    """The question as it is written there, and the value."""
    exchange = PLAYED[name]
    broker.always = behaviour_of(exchange["answer"])
    [(kind, wanted)] = exchange["gives"].items()
    assert facts(kind, call(TokenClient(broker.path), exchange["request"])) == wanted
    [asked] = broker.requests
    request = exchange["request"]
    assert (asked.method, asked.path, asked.query) == (
        request["method"],
        *parts(request["target"]),
    )
    for header, value in request["headers"].items():
        assert asked.headers[header.lower()] == value
    if "json" in request:
        assert asked.json() == request["json"]


@pytest.mark.parametrize("name", [name for name, played in PLAYED.items() if "error" in played])
def test_an_answer_is_the_error_the_contract_says(broker, name):
    """Its code, whether a person must act, and when to ask again."""
    exchange = PLAYED[name]
    broker.always = behaviour_of(exchange["answer"])
    client = TokenClient(broker.path, timeout=QUICK_SECONDS, wait=0)
    with pytest.raises(BrokerError) as caught:
        call(client, exchange["request"])
    error = caught.value
    wanted = exchange["error"]
    assert {name: getattr(error, name) for name in wanted} == wanted
    problem = exchange["answer"].get("json", {})
    if problem.get("code") == wanted["code"]:
        assert (error.detail, error.fix) == (problem["detail"], problem["fix"])


def test_a_held_token_is_confirmed_as_the_contract_says(broker, make, clock):
    """After `check_after` the ETag is sent; a 304 means that the held one is good."""
    held = exchanges()["the bearer as JSON"]
    confirmed = exchanges()["the bearer, still the same"]
    broker.script = [behaviour_of(held["answer"]), behaviour_of(confirmed["answer"])]
    tokens = make()
    first = tokens.bearer()
    clock.advance(held["answer"]["json"]["check_after"])
    assert tokens.bearer() == first
    asked = broker.requests[-1]
    assert (asked.path, asked.query) == parts(confirmed["request"]["target"])
    assert asked.headers["if-none-match"] == confirmed["request"]["headers"]["If-None-Match"]
