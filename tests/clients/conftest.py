"""A scripted broker with both tokens, a clock that stands still, and clients of the two."""

from __future__ import annotations

import pytest
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
def make(silent_broker, clock):
    """Makes clients of the broker that read the stopped clock."""
    return lambda **options: _on(clock, TokenClient(silent_broker.path, **options))


@pytest.fixture
def make_async(silent_broker, clock):
    return lambda **options: _on(clock, AsyncTokenClient(silent_broker.path, **options))


@pytest.fixture
def tokens(make, broker):
    return make()
