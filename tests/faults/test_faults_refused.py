"""What USPS refuses, on virtual time: all is well again by itself, in the time that takes."""

import pytest
from torments import BY_A_PERSON
from virtual import HOUR
from virtual_weeks import RECOVERY_SECONDS, Weeks

pytestmark = pytest.mark.anyio

LONGEST_WAIT_SECONDS = {
    "scope missing": 6.5 * HOUR,  # the next bearer
    "no scope": 6.5 * HOUR,
}
"""From the end of the fault to the next look at it; else the longest pause between probes."""


@pytest.mark.parametrize("fault", [*BY_A_PERSON, "no scope"])
async def test_what_was_refused_heals_though_nobody_acts(fault, dice, rounds, tried):
    """An account is topped up, a scope is granted, and nobody tells the broker."""
    times = rounds(1, 40)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.live(dice.uniform(0, 7 * HOUR))
            weeks.usps.fault = fault
            await weeks.live(dice.choice([HOUR, 9 * HOUR, 30 * HOUR]), kills=0.02)
            weeks.usps.fault = None
            waits = LONGEST_WAIT_SECONDS.get(fault, 6 * HOUR)
            await weeks.live(waits, calm=True, kills=0.01, pause_seconds=900)
            await weeks.live(RECOVERY_SECONDS, calm=True)
            for slot in weeks.slots:
                assert weeks.shop.left(slot), f"not well again: {weeks.view(slot)}"
                assert weeks.view(slot).trouble is None
    tried("refusal that ends though nobody acts, virtual time", times, weeks.checks)
