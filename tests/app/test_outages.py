"""Outages of USPS that begin at the worst moment: when the renewal is due, without any jitter."""

import itertools
import random

import anyio
import pytest
from virtual import BEARER_SLOT, DOWN, HOUR, PAYMENT_SLOT, UNREACHED, Shop, running

from usps_token_broker.core.outcomes import Code, Failure, FailureKind

pytestmark = pytest.mark.anyio

MINUTE = 60.0


class Watch:
    """What a caller who asks for both tokens every ten seconds saw."""

    def __init__(self) -> None:
        self.denied: list[tuple[float, Code]] = []
        self.least_left = float("inf")

    async def run(self, shop: Shop) -> None:
        while True:
            at = shop.clock().boot
            denial = await shop.ask(BEARER_SLOT, PAYMENT_SLOT, wait=5)
            if denial is not None:
                self.denied.append((at, denial.code))
                assert denial.next_attempt_at is not None
                assert denial.retry_after_seconds is not None
                assert denial.retry_after_seconds <= 600
            else:
                left = min(shop.left(BEARER_SLOT), shop.left(PAYMENT_SLOT))
                self.least_left = min(self.least_left, left)
            await anyio.sleep(10)


async def renewed_at(shop: Shop, serials: tuple[int | None, ...]) -> float:
    """When both tokens have been replaced, to the second."""
    for _ in range(3600):
        if shop.serial(BEARER_SLOT) not in serials and shop.serial(PAYMENT_SLOT) not in serials:
            break
        await shop.pass_time(1)
    return shop.clock().boot


async def outage(minutes: float, failure: Failure = DOWN) -> tuple[Shop, Watch, float, float]:
    """Run through one outage and an hour more: shop, watch, its end, when it was fresh again."""
    dice = itertools.chain([0.0, 0.0], iter(random.Random(20).random, None))
    async with (
        running(draw=lambda: next(dice)) as shop,
        anyio.create_task_group() as tasks,
    ):
        watch = Watch()
        tasks.start_soon(watch.run, shop)
        await shop.pass_time(HOUR)
        serials = shop.serial(BEARER_SLOT), shop.serial(PAYMENT_SLOT)
        slots = shop.loop.broker.snapshot(shop.clock()).apps[0].slots
        now = shop.clock()
        begin = min(view.renew_at for view in slots) - now.wall + now.boot - 1
        end = begin + minutes * MINUTE
        shop.usps.down(begin, end, failure)
        await shop.until(end)
        fresh = await renewed_at(shop, serials)
        await shop.pass_time(HOUR)
        tasks.cancel_scope.cancel()
        return shop, watch, end, fresh


async def test_ten_minutes_go_unseen():
    """A short outage: nobody is denied, and nobody sees the buffer."""
    shop, watch, end, fresh = await outage(10)
    assert watch.denied == []
    assert watch.least_left > 1800
    assert fresh - end <= 600 + 20
    assert len(shop.usps.calls) <= 2 + 2 + 10


async def test_thirty_minutes_go_unseen():
    """Half the lead: nobody is denied, and nobody sees the buffer."""
    shop, watch, end, fresh = await outage(30)
    assert watch.denied == []
    assert watch.least_left > 1800
    assert fresh - end <= 600 + 20
    assert len(shop.usps.calls) <= 2 + 2 + 16


async def test_an_hour_costs_no_caller_anything():
    """The whole lead: nobody is denied; at the most the first minutes of the buffer are seen."""
    shop, watch, end, fresh = await outage(60)
    assert watch.denied == []
    assert watch.least_left > 1800 - 600
    assert fresh - end <= 600 + 20
    assert len(shop.usps.calls) <= 2 + 2 + 22


async def test_eighty_minutes_cost_no_failed_call():
    """Lead plus buffer less ten minutes is the longest outage that nobody is denied in."""
    _, watch, _, _ = await outage(80)
    assert watch.denied == []
    assert watch.least_left > 60


async def test_ninety_minutes_are_said_and_are_over_ten_minutes_after():
    """Past the life callers are told what is wrong and when it is tried next, then served again."""
    shop, watch, end, fresh = await outage(90)
    assert {code for _, code in watch.denied} == {Code.UPSTREAM_UNAVAILABLE}
    assert min(at for at, _ in watch.denied) >= end - 90 * MINUTE + 5400 - 60 - 15
    assert max(at for at, _ in watch.denied) <= end + 600 + 20
    assert fresh - end <= 600 + 20
    assert shop.usps.most_in_an_hour([BEARER_SLOT]) <= 12
    assert watch.least_left > 59


async def test_a_network_that_is_gone_is_tried_each_minute():
    """What never reaches USPS costs no budget, so a minute after it is back, so are we."""
    _, watch, end, fresh = await outage(90, UNREACHED)
    assert fresh - end <= 60 + 20
    assert watch.least_left > 59


async def test_a_cold_start_in_an_outage_says_so_and_recovers():
    """With no token at all a caller is told at once what is wrong, and served after it ends."""
    async with running() as shop:
        shop.usps.down(0, shop.clock().boot + HOUR)
        await shop.pass_time(5 * MINUTE)
        before = shop.clock().boot
        denial = await shop.ask(BEARER_SLOT, wait=1)
        assert denial.code is Code.UPSTREAM_UNAVAILABLE
        assert denial.next_attempt_at > shop.clock().wall
        assert shop.clock().boot - before <= 1
        await shop.pass_time(HOUR + 600 - 5 * MINUTE)
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None


async def test_a_cold_start_in_an_outage_keeps_within_the_budget():
    """Four attempts at once and one each ten minutes, whatever callers do."""
    async with running() as shop:
        shop.usps.down(0, float("inf"))
        for _ in range(6 * 60):
            await shop.ask(BEARER_SLOT, wait=2)
            await shop.pass_time(MINUTE)
        assert shop.usps.most_in_an_hour() <= 4 + 6
        assert len(shop.usps.calls) >= 4 + 6 * 5


async def test_a_bogus_retry_after_of_a_day_costs_an_hour():
    """A Retry-After beyond an hour is capped: the lead outlasts it, so nobody notices."""
    bogus = Failure(
        FailureKind.RATE_LIMITED,
        Code.UPSTREAM_RATE_LIMITED,
        "USPS answered 429",
        "wait",
        429,
        retry_after_seconds=86_400.0,
    )
    async with running() as shop:
        await shop.pass_time(60)
        serial = shop.serial(BEARER_SLOT)
        view = shop.loop.broker.snapshot(shop.clock()).slot(BEARER_SLOT)
        due = shop.clock().boot + view.renew_at - shop.clock().wall
        shop.usps.answers = lambda command, now: (
            bogus if command.slot == BEARER_SLOT and now.boot < due + 60 else None
        )
        await shop.until(due + 3590)
        assert shop.serial(BEARER_SLOT) == serial
        await shop.until(due + 3620)
        assert shop.serial(BEARER_SLOT) != serial
        assert shop.left(BEARER_SLOT) > 28_000
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 3


async def test_a_retry_after_is_never_undercut():
    """Not even by a caller in need: USPS said when to come back."""
    busy = Failure(
        FailureKind.RATE_LIMITED,
        Code.UPSTREAM_RATE_LIMITED,
        "USPS answered 429",
        "wait",
        429,
        retry_after_seconds=1800.0,
    )
    async with running() as shop:
        start = shop.clock().boot
        shop.usps.down(0, start + 10, busy)
        await shop.pass_time(5)
        denial = await shop.ask(BEARER_SLOT, wait=60)
        assert denial.code is Code.UPSTREAM_RATE_LIMITED
        assert 1700 < denial.retry_after_seconds <= 1800
        await shop.pass_time(1900)
        first, second = shop.usps.calls_of(BEARER_SLOT)
        assert second - first >= 1800
