"""A day in the life of the loop, on virtual time."""

import anyio
import pytest
from virtual import BEARER_SLOT, DAY, PAYMENT_SLOT, running

pytestmark = pytest.mark.anyio


async def test_a_day_of_renewals_costs_four_calls_an_endpoint():
    """Tokens of eight hours, renewed 93 minutes early: the first call and three more."""
    async with running() as shop:
        await shop.pass_time(DAY)
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 4
        assert len(shop.usps.calls_of(PAYMENT_SLOT)) == 4


async def test_no_caller_ever_sees_the_last_half_hour():
    """Asked every minute for a day, the token served has always more than its buffer left."""
    async with running() as shop:
        await anyio.sleep(1)
        least = float("inf")
        for _ in range(24 * 60):
            assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None
            least = min(least, shop.left(BEARER_SLOT), shop.left(PAYMENT_SLOT))
            await shop.pass_time(60)
        assert least > 1800
