"""A USPS whose clock is wrong by ten minutes, on virtual time; lives are spans, so nobody minds."""

import pytest
from torments import CLOCKS
from virtual import HOUR
from virtual_weeks import MINUTE, OUTLASTED_SECONDS, Weeks

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("fault", CLOCKS)
async def test_a_usps_clock_that_is_wrong_costs_no_call(fault, dice, rounds, tried):
    """Tokens of another clock, some of which end ten minutes early; then USPS is down for as long
    as may be, less those ten minutes."""
    times = rounds(2, 40)
    async with Weeks(dice) as weeks:
        await weeks.live(MINUTE, calm=True)
        weeks.watched.denied = 0  # whoever came before the first grant
        for _ in range(times):
            weeks.usps.fault = fault
            await weeks.live(dice.uniform(7 * HOUR, 15 * HOUR), kills=0.01)
            assert weeks.watched.dead == weeks.watched.denied == 0
            weeks.usps.fault = dice.choice(["down", "unreached", "limited"])
            await weeks.live(OUTLASTED_SECONDS - 10 * MINUTE, kills=0.05)
            assert weeks.watched.dead == weeks.watched.denied == 0
            weeks.usps.fault = fault
            await weeks.recover()
    tried("USPS's clock wrong by ten minutes, virtual time", times, weeks.checks)
