"""Machines that reboot, on virtual time: the boot clock begins again, the wall clock may be wrong.

The state lies in a directory that is kept (`state_dir`).
"""

import pytest
from torments import Configured
from virtual import DAY, HOUR
from virtual_weeks import MINUTE, WALL_ERRORS, Weeks

pytestmark = pytest.mark.anyio

OFF_SECONDS = (10.0, 5 * MINUTE, HOUR, 7 * HOUR, 9 * HOUR, 2 * DAY)
FAULTS = (None, None, "down", "limited for long", "unreached", "slow")
SHORT_FAULTS = (None, None, "down", "limited", "unreached", "slow")
"""Without a long Retry-After: for all we know none of it goes by while the clock stands still."""


@pytest.mark.parametrize("run", range(2))
async def test_reboots_with_a_right_clock_lose_and_overstay_nothing(run, dice, rounds, tried):
    """In calm and in faults; what was good before is good after, and an hour is still an hour."""
    times = rounds(5, 150)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.live(dice.choice([0.0, MINUTE, 3 * HOUR]))
            weeks.usps.fault = dice.choice(FAULTS)
            await weeks.live(dice.choice([0.0, 20 * MINUTE]), kills=0.05)
            await weeks.reboot(dice.choice(OFF_SECONDS))
            await weeks.live(20 * MINUTE, kills=0.1)
            weeks.usps.fault = None
            await weeks.recover()
    assert weeks.watched.excused == 0
    tried("change of boot, virtual time", times, weeks.checks)


@pytest.mark.parametrize("run", range(2))
async def test_a_boot_with_a_wrong_clock_serves_nothing_past_what_it_could_know(
    run, dice, rounds, tried
):
    """Wrong by an hour, a day or a year, or stopped while the machine was off; later somebody sets
    it right, or the next boot does."""
    times = rounds(8, 150)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.live(dice.choice([0.0, MINUTE, 3 * HOUR]))
            weeks.usps.fault = dice.choice(SHORT_FAULTS)
            off = dice.choice(OFF_SECONDS)
            await weeks.reboot(off, dice.choice([*WALL_ERRORS, -off, -off, -off - HOUR]))
            await weeks.live(dice.choice([0.0, 20 * MINUTE]), kills=0.1)
            if dice.random() < 0.7:
                weeks.step(-weeks.clock.wall_error)
                for slot in weeks.slots:
                    weeks.watched.look(weeks.shop, slot)
            weeks.usps.fault = None
            await weeks.recover_from_doubt()
    tried("change of boot with a wrong wall clock, virtual time", times, weeks.checks)


@pytest.mark.parametrize("boots", [False, True], ids=["kills", "boots"])
async def test_a_loop_of_kills_or_boots_keeps_the_budget(boots, dice, rounds, tried):
    """Under a USPS that is down, with fewer calls an hour than the slots alone would make."""
    times = rounds(2, 20)
    async with Weeks(dice, Configured(calls_per_hour=5)) as weeks:
        for _ in range(times):
            weeks.usps.fault = "down"
            for _ in range(20):
                await weeks.live(dice.uniform(5, 300), pause_seconds=60)
                await (weeks.reboot(dice.uniform(5, 60)) if boots else weeks.kill())
            weeks.usps.fault = None
            await weeks.recover(costly=True)
            await weeks.live(9 * HOUR, calm=True, pause_seconds=900)
    tried("kill or change of boot in a loop, virtual time", 20 * times, weeks.checks)
