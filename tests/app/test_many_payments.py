"""Three hundred payment slots in one app."""

import anyio
import pytest
from virtual import BEARER_SLOT, DAY, HOUR, PAYMENT_SLOT, running

from usps_token_broker.core.values import SlotId

pytestmark = pytest.mark.anyio

SLOTS = [PAYMENT_SLOT, *(SlotId("default", f"payment-{n}") for n in range(1, 300))]


async def test_300_callers_at_a_cold_start_are_all_served_with_one_call_each():
    """Those who wait go first, eight at a time."""
    async with running(payments=300, calls_per_hour=400) as shop:
        denials = []

        async def caller(slot):
            denials.append(await shop.ask(slot, wait=60))

        async with anyio.create_task_group() as tasks:
            for slot in SLOTS:
                tasks.start_soon(caller, slot)
        assert denials == [None] * 300
        assert len(shop.usps.calls) == 301


async def test_300_renewals_are_spread_and_none_is_late():
    """Nine hours: one renewal a slot, never more than the budget, nobody inside the buffer."""
    async with running(payments=300, calls_per_hour=400) as shop:
        await shop.pass_time(HOUR)
        for _ in range(8 * 4):
            await shop.pass_time(HOUR / 4)
            for slot in SLOTS:
                assert shop.left(slot) > 1800
        assert shop.usps.most_in_an_hour(SLOTS) <= 310
        assert len(shop.usps.calls) == 301 * 2
        second = sorted(shop.usps.calls_of(slot)[1] for slot in SLOTS)
        assert second[-1] - second[0] >= 1500
        busiest = max(sum(1 for at in second if t <= at < t + 60) for t in second)
        assert busiest <= 300 / 25 + 4


async def test_spread_renewals_leave_every_worker_an_hour_before_the_end():
    """Half the lead is there for failures when the last of them is made, asked for every minute."""
    slots = SLOTS[:12]
    async with running(payments=len(slots)) as shop:
        await shop.pass_time(60)
        for _ in range(24 * 60):
            await shop.pass_time(60)
            assert all(shop.left(slot) > 3600 for slot in slots)
            assert shop.left(BEARER_SLOT) > 5300
        assert all(len(shop.usps.calls_of(slot)) == 4 for slot in slots)


async def test_a_scarce_hour_serves_those_who_wait_first():
    """Thirty calls an hour for three hundred slots: the one somebody waits for is among them."""
    async with running(payments=300, calls_per_hour=30) as shop:
        last = SLOTS[-1]
        assert await shop.ask(BEARER_SLOT, last, wait=60) is None
        await shop.pass_time(DAY / 4)
        assert shop.usps.most_in_an_hour(SLOTS) <= 30
