"""A month of a busy shop on virtual time."""

import anyio
import pytest
import trio
from virtual import DAY, HOUR
from virtual_weeks import MINUTE, Weeks

pytestmark = pytest.mark.anyio

CALLERS = 50
PAUSES = (15 * MINUTE, HOUR, 4 * HOUR, DAY)
"""Rhythms of callers, on average."""


async def caller(weeks, dice):
    """Asks for ever in a rhythm of its own, now and then in a burst, for one token or both."""
    wanted, pause = (
        dice.choice([weeks.slots, weeks.slots[:1], weeks.slots[1:]]),
        dice.choice(PAUSES),
    )
    at_once = dice.choice([1, 1, 1, 5])
    while True:
        await anyio.sleep(dice.expovariate(1 / pause))
        for _ in range(at_once):
            await weeks.watched.ask(weeks.shop, *wanted)


async def test_a_month_leaves_nothing_behind(dice, rounds, tried):
    """Fifty callers of mixed rhythms: no more tasks and no more in the core's hands than after a
    day."""
    days = rounds(4, 30)
    sizes = []
    async with Weeks(dice) as weeks, anyio.create_task_group() as tasks:
        await weeks.shop.pass_time(MINUTE)
        for _ in range(CALLERS):
            tasks.start_soon(caller, weeks, dice)
        for _day in range(days):
            await weeks.shop.pass_time(DAY)
            loop = weeks.shop.loop
            living = trio.lowlevel.current_statistics().tasks_living
            sizes.append((living, len(loop._questions), len(weeks.shop.saver.payload)))
        tasks.cancel_scope.cancel()
    assert weeks.watched.denied == 0
    assert {size[:2] for size in sizes} == {sizes[0][:2]}
    half = days // 2
    assert max(size[2] for size in sizes[half:]) <= max(size[2] for size in sizes[:half]) + 64
    tried("a day of fifty callers, virtual time", days, weeks.checks + 3)
