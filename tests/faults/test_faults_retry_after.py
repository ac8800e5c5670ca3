"""A USPS that limits calls, on virtual time: its Retry-After outlives whatever happens to us."""

import pytest
from torments import LIMITS, PASSING
from virtual import HOUR
from virtual_weeks import MINUTE, Weeks

pytestmark = pytest.mark.anyio

STANDING = (
    *(name for name in PASSING if name.startswith("limited")),
    *(name for name, limit in LIMITS.items() if limit.seconds),
)
"""Those that stand for a while, whatever the header looks like."""


@pytest.mark.parametrize("fault", STANDING)
async def test_a_retry_after_outlives_any_number_of_kills(fault, dice, rounds, tried):
    """While it stands, brokers are killed, machines reboot, and people order renewals."""
    times = rounds(1, 20)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.live(HOUR, calm=True)
            weeks.usps.fault = fault
            await weeks.order_until_refused()
            await weeks.kill()
            lasts = max(45.0, weeks.usps.held_until() - weeks.clock.true)
            await weeks.live(lasts / 2, kills=0.7, pause_seconds=60)
            await weeks.reboot(dice.uniform(5, lasts / 2))
            await weeks.live(lasts / 2, kills=0.7, pause_seconds=60)
            weeks.usps.fault = None
            await weeks.live(2 * HOUR, calm=True)
    assert weeks.floors_met >= times
    tried("kill while a Retry-After stands, virtual time", weeks.floors_met, weeks.checks)


@pytest.mark.parametrize("fault", LIMITS)
async def test_whatever_a_429_says_calls_are_few_and_come_back(fault, dice, rounds, tried):
    """Nonsense is no reason to hurry, nor to stay away for longer than an hour."""
    times = rounds(1, 20)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.live(MINUTE, calm=True)
            before = weeks.usps.sent.total()
            weeks.usps.fault = fault
            await weeks.order_until_refused()
            await weeks.live(HOUR, kills=0.02)
            assert weeks.usps.sent.total() - before <= 2 * weeks.configured.calls_per_hour
            weeks.usps.fault = None
            await weeks.recover()
            await weeks.live(HOUR, calm=True)
            assert all(weeks.view(slot).trouble is None for slot in weeks.slots)
    tried("429 with an odd Retry-After, virtual time", times, weeks.checks)
