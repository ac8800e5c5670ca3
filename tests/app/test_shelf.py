"""Answers that lie ready: until when, and what makes them anew."""

import json

import anyio
import pytest
from interface import open_interface
from virtual import BEARER_SLOT, PAYMENT_SLOT

pytestmark = pytest.mark.anyio

BOTH = (BEARER_SLOT, PAYMENT_SLOT)


async def test_there_is_none_while_a_token_is_missing():
    """Nor for a set of which one is missing."""
    async with open_interface(start=False) as broker:
        now = broker.clock().boot
        assert broker.shelf.token(BEARER_SLOT, now) is None
        assert broker.shelf.headers(BOTH, now) is None
        assert broker.shelf.header_set(BOTH) is None


async def test_it_lies_ready_until_the_seconds_left_fall():
    """The same object for all who ask in that second, another in the next."""
    async with open_interface() as broker:
        await broker.token()
        first = broker.shelf.token(BEARER_SLOT, broker.clock().boot)
        assert first.limit_boot_at - broker.clock().boot <= 1
        assert broker.shelf.token(BEARER_SLOT, first.limit_boot_at - 0.001) is first
        await anyio.sleep(first.limit_boot_at - broker.clock().boot + 0.001)
        second = broker.shelf.token(BEARER_SLOT, broker.clock().boot)
        assert second is not first
        told = [json.loads(ready.json.body)["expires_in"] for ready in (first, second)]
        assert told[0] - told[1] == 1


async def test_it_does_not_lie_ready_beyond_the_last_minute():
    """The limit is where the token is no longer served, when that is sooner than a second."""
    async with open_interface() as broker:
        broker.usps.life_seconds = 1.2
        ready = None
        while ready is None:
            await anyio.sleep(0.05)
            ready = broker.shelf.token(BEARER_SLOT, broker.clock().boot)
        assert ready.limit_boot_at <= ready.ends_boot_at - 1.2 / 8 + 0.001


async def test_dropping_a_slot_drops_every_set_it_is_in():
    """And nothing else."""
    async with open_interface() as broker:
        await broker.token("payment")
        now = broker.clock().boot
        bearer, payment = (broker.shelf.token(slot, now) for slot in BOTH)
        alone, both = broker.shelf.headers(BOTH[:1], now), broker.shelf.headers(BOTH, now)
        broker.shelf.drop(PAYMENT_SLOT)
        assert broker.shelf.token(BEARER_SLOT, now) is bearer
        assert broker.shelf.headers(BOTH[:1], now) is alone
        assert broker.shelf.token(PAYMENT_SLOT, now) is not payment
        assert broker.shelf.headers(BOTH, now) is not both


async def test_nothing_on_it_shows_a_token():
    """Replies, answers and the shelf itself may stand in a log."""
    async with open_interface() as broker:
        values = [(await broker.token(slot))["token"] for slot in ("bearer", "payment")]
        ready = broker.shelf.headers(BOTH, broker.clock().boot)
        answered = broker.shelf._headers_answer(BOTH, broker.shelf._servings(BOTH), 5)
        shown = [repr(ready), str(ready), f"{ready}", repr(answered), repr(broker.shelf)]
        shown += [
            repr(broker.shelf._servings(BOTH)),
            repr(broker.loop.broker.snapshot(broker.clock())),
        ]
        assert not any(value in text for value in values for text in shown)
