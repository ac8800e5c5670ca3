"""Reads that nobody waits for keep a token alive that is kept only while in use."""

from dataclasses import replace

import anyio
import pytest
from interface import app, open_interface
from virtual import DAY, HOUR

from usps_token_broker.core.values import SlotId

pytestmark = pytest.mark.anyio

PAYMENT = SlotId("default", "payment")


def active():
    """An app whose payment token is kept only while it is in use."""
    plain = app()
    return replace(plain, payments=(replace(plain.payments[0], keep_active=True),))


async def test_a_worker_that_reads_now_and_then_never_waits():
    """Three days of a read every four hours: the token is renewed ahead of time, as any other."""
    async with open_interface(active()) as broker:
        await broker.token("payment")
        for _ in range(18):
            await anyio.sleep(4 * HOUR)
            answer = await broker.get("/v1/tokens/payment?wait=0")
            assert answer.status == 200
            assert answer.json["degraded"] is False


async def test_headers_count_as_a_read():
    """Label makers ask for both at once."""
    async with open_interface(active()) as broker:
        assert (await broker.get("/v1/headers?payment=default")).status == 200
        for _ in range(9):
            await anyio.sleep(DAY / 3)
            assert (await broker.get("/v1/headers?payment=default&wait=0")).status == 200


async def test_a_token_that_nobody_reads_is_let_go():
    """Four calls of the last day in use, and no more."""
    async with open_interface(active()) as broker:
        await broker.token("payment")
        await anyio.sleep(9 * DAY)
        assert len(broker.usps.calls_of(PAYMENT)) == 4
        assert (await broker.token("payment"))["degraded"] is False


async def test_a_crowd_of_reads_is_little_news_for_the_core():
    """One event in ten minutes, however many read."""
    async with open_interface(active()) as broker:
        await broker.token("payment")
        heard = []
        handle = broker.loop.broker.handle
        broker.loop.broker.handle = lambda event, now: heard.append(event) or handle(event, now)
        for _ in range(1300):
            await broker.token("payment")
            await anyio.sleep(1)
    assert sum(type(event).__name__ == "Used" for event in heard) == 2


async def test_other_slots_tell_the_core_nothing():
    """They are renewed whether anybody reads them or not."""
    async with open_interface() as broker:
        heard = []
        handle = broker.loop.broker.handle
        broker.loop.broker.handle = lambda event, now: heard.append(event) or handle(event, now)
        for _ in range(5):
            await broker.token("payment")
            await anyio.sleep(2 * HOUR)
    assert "Used" not in {type(event).__name__ for event in heard}
