"""A scripted broker with both tokens, a clock that stands still, and clients of the two."""

from __future__ import annotations

import socket

import pytest
from http_libraries import LIBRARIES, Asked
from loopback_world import World
from scripted_broker import ScriptedBroker, SteppedClock

from usps_token_client import AsyncTokenClient, TokenClient


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch):
    """No test meets a broker or a setting that lies around here."""
    for name in ("USPS_TOKEN_SOCKET", "USPS_TOKEN_STATIC", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
def silent_broker(clock):
    """A broker that does not listen yet."""
    broker = ScriptedBroker(clock)
    broker.grant("bearer", "bearer-1", 1001, scopes=["addresses", "labels"])
    broker.grant("payment", "payment-1", 2001)
    broker.grant("payment-east", "payment-east-1", 3001)
    yield broker
    broker.close()


@pytest.fixture
def broker(silent_broker):
    return silent_broker.start()


def _on(clock, client):
    client._now = clock
    return client


@pytest.fixture
def renewing(broker):
    """A broker that has a new bearer once it hears of a 401."""

    def verdict(request):
        used = request.json()["serials"]
        broker.grant("bearer", "bearer-2", 1002)
        headers = {"Authorization": "Bearer bearer-2"}
        serials = {"bearer": 1002}
        if "payment" in used:
            headers["X-Payment-Authorization-Token"] = "payment-1"
            serials["payment"] = 2001
        return {
            "code": "dead_token",
            "detail": "d",
            "fix": "f",
            "retry": used["bearer"] != 1002,
            "outcome": "renewed" if used["bearer"] != 1002 else "throttled",
            "headers": headers,
            "serials": serials,
        }

    plain = broker.answer

    def answer(request):
        if request.path == "/v1/answers":
            broker.verdict = verdict(request)
        return plain(request)

    broker.always = answer
    return broker


@pytest.fixture
def world(monkeypatch):
    """Every host there is, on this machine; names are looked up there."""
    made = World()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.close()


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.name)
def library(request):
    """An HTTP library with its line of ours."""
    return request.param


@pytest.fixture
def send(library, broker, world):
    """Sends one request with a client of this broker; what the worker sees of the answer."""

    def run(method, url, *, client=None, rules=None, **asked):
        tokens = client or library.client(broker.path)
        return library.send(tokens, Asked(method, url, **asked), **(rules or {}))

    return run


@pytest.fixture
def make(silent_broker, clock):
    """Makes clients of the broker that read the stopped clock."""
    return lambda **options: _on(clock, TokenClient(silent_broker.path, **options))


@pytest.fixture
def make_async(silent_broker, clock):
    return lambda **options: _on(clock, AsyncTokenClient(silent_broker.path, **options))


@pytest.fixture
def tokens(make, broker):
    return make()
