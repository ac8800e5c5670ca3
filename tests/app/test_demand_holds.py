"""What `check` says of the calls an hour is what a running broker does."""

import random

import pytest
from virtual import DAY, DOWN, HOUR, PAYMENT_SLOT, running

from usps_token_broker.core.demand import Fit, demand
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import SlotId

pytestmark = pytest.mark.anyio

BUFFER_SECONDS = 1800


def slots_of(count):
    return [PAYMENT_SLOT, *(SlotId("default", f"payment-{n}") for n in range(1, count))]


def said_of(count, calls_per_hour):
    return demand(count, 0, calls_per_hour, LifePolicy())


async def least_left(shop, slots, seconds):
    """The least that any of these tokens has left within the next so many seconds."""
    least = float("inf")
    for _ in range(int(seconds / 300)):
        await shop.pass_time(300)
        least = min(least, *(shop.left(slot) or 0 for slot in slots))
    return least


@pytest.mark.parametrize(
    ("count", "calls_per_hour", "fit"),
    [(100, 30, Fit.ENOUGH), (38, 8, Fit.ENOUGH), (20, 30, Fit.ENOUGH), (50, 8, Fit.TIGHT)],
)
async def test_what_is_enough_renews_every_token_before_its_buffer(count, calls_per_hour, fit):
    """From a cold start on, through two renewals; also what is tight, while every call succeeds."""
    said = said_of(count, calls_per_hour)
    assert said.fit is fit
    slots = slots_of(count)
    async with running(count, calls_per_hour=calls_per_hour, draw=random.Random(7).random) as shop:
        await shop.pass_time(said.cold_start_seconds + 60)
        assert await least_left(shop, slots, 16 * HOUR) > BUFFER_SECONDS
        assert all(len(shop.usps.calls_of(slot)) >= 3 for slot in slots)
        assert shop.usps.most_in_an_hour(slots) == said.busiest_per_hour


@pytest.mark.parametrize(("count", "calls_per_hour"), [(100, 30), (20, 30), (17, 8)])
async def test_a_cold_start_takes_as_long_as_is_said(count, calls_per_hour):
    """To within the time that the calls take."""
    said = said_of(count, calls_per_hour)
    async with running(count, calls_per_hour=calls_per_hour) as shop:
        begun = shop.clock().boot
        await shop.pass_time(said.cold_start_seconds + 60)
        last = max(shop.usps.calls_of(slot)[0] for slot in slots_of(count))
        assert last - begun == pytest.approx(said.cold_start_seconds, abs=10)


async def test_a_day_of_renewals_costs_no_more_calls_than_is_said():
    """For a start, and for every day after it."""
    said = said_of(20, 30)
    async with running(20, draw=random.Random(7).random) as shop:
        await shop.pass_time(HOUR)
        for _ in range(3):
            before = len(shop.usps.calls)
            await shop.pass_time(DAY)
            # The bearer's own: four.
            assert len(shop.usps.calls) - before <= said.calls_per_day + 4 + 20


async def test_what_is_scarce_does_not_renew_every_token_in_time():
    """More comes due than may be renewed."""
    said = said_of(64, 8)
    assert said.fit is Fit.SCARCE
    async with running(64, calls_per_hour=8, draw=random.Random(7).random) as shop:
        await shop.pass_time(8 * HOUR)
        assert await least_left(shop, slots_of(64), 16 * HOUR) < BUFFER_SECONDS


@pytest.mark.parametrize(("count", "calls_per_hour"), [(8, 8), (5, 8)])
async def test_slots_that_fit_into_an_hour_are_in_time_though_every_fourth_call_fails(
    count, calls_per_hour
):
    """Retries find room before the buffer begins."""
    assert not said_of(count, calls_per_hour).retry_may_be_late
    dice = random.Random(99)

    def answers(command, _now):
        fails = not command.slot.is_bearer and dice.random() < 0.25
        return DOWN if fails else None

    async with running(count, calls_per_hour=calls_per_hour, draw=random.Random(7).random) as shop:
        shop.usps.answers = answers
        await shop.pass_time(3 * HOUR)
        assert await least_left(shop, slots_of(count), 2 * DAY) > BUFFER_SECONDS


@pytest.mark.parametrize(("count", "calls_per_hour", "share"), [(24, 8, 0.1), (24, 8, 0.2)])
async def test_no_token_is_late_though_full_hours_follow_each_other_and_calls_fail(
    count, calls_per_hour, share
):
    """Whose buffer begins first goes first, and retries have a quarter of each hour."""
    dice = random.Random(5)

    def answers(command, _now):
        fails = not command.slot.is_bearer and dice.random() < share
        return DOWN if fails else None

    async with running(count, calls_per_hour=calls_per_hour, draw=random.Random(7).random) as shop:
        shop.usps.answers = answers
        await shop.pass_time(6 * HOUR)
        assert await least_left(shop, slots_of(count), DAY) > BUFFER_SECONDS
        assert shop.usps.most_in_an_hour(slots_of(count)) <= calls_per_hour


@pytest.mark.parametrize("count", [24, 20])
async def test_a_renewal_that_fails_in_a_full_hour_waits_no_longer_than_is_said(count):
    """Though the others fill one hour after another, it has its turn in the next."""
    said = said_of(count, 8)
    async with running(count, calls_per_hour=8) as shop:
        await shop.pass_time(said.cold_start_seconds + 60)
        renewals = []

        def answers(command, now):
            if command.slot.is_bearer:
                return None
            renewals.append((command.slot, now.boot))
            return DOWN if len(renewals) == 8 else None

        shop.usps.answers = answers
        await shop.pass_time(12 * HOUR)
        slot, failed_at = renewals[7]
        again_at = next(at for name, at in renewals[8:] if name == slot)
        assert again_at - failed_at <= said.retry_wait_seconds + 60
