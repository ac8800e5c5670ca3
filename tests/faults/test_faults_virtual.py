"""Virtual weeks with a USPS that misbehaves, clocks that step, restarts, reports and orders."""

import pytest
from torments import FAULTS
from virtual import HOUR
from virtual_weeks import MINUTE, WALL_ERRORS, Weeks

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_alone_breaks_no_promise(fault, dice, rounds, tried):
    """Every kind that a broker can meet, some hours long, with kills in the middle."""
    times = rounds(1, 20)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.episode(fault)
            await weeks.kill()
    tried("fault at USPS, alone, virtual time", times, weeks.checks)
    tried("kill of a broker, virtual time", weeks.kills, 0)


@pytest.mark.parametrize("run", range(3))
async def test_weeks_of_faults_in_random_order_break_no_promise(run, dice, rounds, tried):
    """One after another, for weeks."""
    faults = dice.choices(FAULTS, k=rounds(15, 200))
    async with Weeks(dice) as weeks:
        for fault in faults:
            await weeks.episode(fault)
    # Else the promises about kills and about what comes after a fault were hardly looked at.
    assert weeks.usps.cut_short > 0
    assert weeks.recovered >= 2 * len(faults)
    tried("fault at USPS, in random order, virtual weeks", len(faults), weeks.checks)
    tried("kill of a broker, virtual time", weeks.kills, 0)


@pytest.mark.parametrize("run", range(2))
async def test_clocks_that_step_and_nights_asleep_break_no_promise(run, dice, rounds, tried):
    """An hour, a day and a year both ways, or a suspend, in the middle of calm and of faults."""
    times = rounds(8, 200)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.live(dice.uniform(MINUTE, 3 * HOUR))
            weeks.usps.fault = dice.choice([None, None, "down"])
            if dice.random() < 0.3:
                weeks.clock.suspend(dice.uniform(MINUTE, 14 * HOUR))
            else:
                weeks.step(dice.choice(WALL_ERRORS))
            await weeks.live(30 * MINUTE, kills=0.05)
            weeks.usps.fault = None
            await weeks.recover_from_doubt()
    tried("clock stepped, or machine suspended, virtual time", times, weeks.checks)
