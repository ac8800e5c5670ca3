"""What USPS refuses, on virtual time: all is well again by itself, in the time that takes."""

import anyio
import pytest
from torments import BY_A_PERSON
from virtual import BEARER_SLOT, HOUR, PAYMENT_SLOT
from virtual_weeks import MINUTE, RECOVERY_SECONDS, Weeks

pytestmark = pytest.mark.anyio

LONGEST_WAIT_SECONDS = {
    "scope missing": 6.5 * HOUR,  # the next bearer
    "no scope": 6.5 * HOUR,
}
"""From the end of the fault to the next look at it; else the longest pause between probes."""


PROBES_AT = [minutes * MINUTE for minutes in (0, 15, 45, 105, 225, 465, 825, 1185, 1545)]
"""Doubling from 15 minutes to six hours."""


async def watch_calls(weeks, slot, seconds):
    """When USPS saw calls for it, in seconds from the first broker on."""
    begin, calls, seen = weeks.clock.true, [], 0
    while weeks.clock.true < begin + seconds:
        if weeks.usps.sent[slot] > seen:
            calls.append(weeks.clock.true - begin)
            seen = weeks.usps.sent[slot]
        await anyio.sleep(15)
    return calls


@pytest.mark.parametrize(
    ("fault", "slot"), [("credentials refused", BEARER_SLOT), ("payment refused", PAYMENT_SLOT)]
)
async def test_what_was_never_granted_is_probed_at_its_times_and_once_it_is_changed(
    fault, slot, dice, tried
):
    """26 hours of refusals, the first of them at the first call ever; then a person acts."""
    weeks = Weeks(dice)
    weeks.usps.fault = fault
    async with weeks:
        calls = await watch_calls(weeks, slot, 26 * HOUR)
        assert calls == pytest.approx(PROBES_AT, abs=20)
        weeks.usps.fault = None
        before = weeks.usps.sent[slot]
        await weeks.put_right(fault)
        await anyio.sleep(1)
        assert weeks.usps.sent[slot] == before + 1
        assert weeks.shop.left(slot)
    tried("refusal that a person ends, virtual time", 1, weeks.checks + len(calls) + 3)


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
            kills = weeks.kills
            await weeks.live(waits, calm=True, kills=0.01, pause_seconds=900)
            if weeks.kills > kills:
                # An attempt cut short puts the next one off, as one that USPS refused does.
                await weeks.live(waits, calm=True, pause_seconds=900)
            await weeks.live(RECOVERY_SECONDS, calm=True)
            for slot in weeks.slots:
                assert weeks.shop.left(slot), f"not well again: {weeks.view(slot)}"
                assert weeks.view(slot).trouble is None
    tried("refusal that ends though nobody acts, virtual time", times, weeks.checks)
