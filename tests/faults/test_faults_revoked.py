"""Tokens that USPS ends early, on virtual time: workers tell, and the broker renews once."""

import anyio
import pytest
from torments import STILLBORN
from virtual import BEARER_SLOT, HOUR, PAYMENT_SLOT
from virtual_weeks import MINUTE, Weeks
from virtual_workers import Workers

pytestmark = pytest.mark.anyio

GUARD_SECONDS = 15 * MINUTE + 20
"""How long a report of one fresh token after another is held back at the most. Of a label call that
may be twice, since the bearer is tried first."""


async def calm_moment(weeks, dice):
    """Some hours later, nobody having reported anything, and with no renewal about to be made."""
    await weeks.live(dice.uniform(2 * HOUR, 9 * HOUR), calm=True, pause_seconds=900)
    while min(weeks.shop.left(slot) for slot in weeks.slots) < 2 * HOUR:
        await weeks.live(HOUR, calm=True, pause_seconds=900)


@pytest.mark.parametrize("slot", [BEARER_SLOT, PAYMENT_SLOT], ids=lambda slot: slot.name)
async def test_a_revoked_token_costs_one_call_however_many_workers_meet_it(
    slot, dice, rounds, tried
):
    """Of a label call the bearer is tried first. Then all of them have the new one."""
    times = rounds(3, 120)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await calm_moment(weeks, dice)
            workers, before = Workers(weeks, dice.randint(1, 40)), weeks.usps.sent.copy()
            weeks.usps.revoke(weeks.watched.look(weeks.shop, slot))
            assert not workers.all_can_work
            await workers.work()
            assert workers.all_can_work
            assert weeks.usps.sent[BEARER_SLOT] - before[BEARER_SLOT] == 1
            assert weeks.usps.sent[PAYMENT_SLOT] - before[PAYMENT_SLOT] == (slot != BEARER_SLOT)
            weeks.watched.checks += 3
    tried("token revoked early at USPS, virtual time", times, weeks.checks)


async def test_news_of_a_token_that_was_replaced_costs_nothing(dice, rounds, tried):
    """Workers that slept through a renewal or two tell of the old ones, in a crowd: of both, or of
    a bearer beside a payment token that is still the one."""
    times = rounds(4, 120)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await calm_moment(weeks, dice)
            sleepers, awake = Workers(weeks, 20), Workers(weeks, 5)
            for dead in dice.choice([[weeks.slots], [weeks.slots[:1]] * 2]):
                for slot in dead:
                    weeks.usps.revoke(weeks.watched.look(weeks.shop, slot))
                await awake.until_all_can_work(2 * GUARD_SECONDS)
                await anyio.sleep(dice.uniform(20 * MINUTE, HOUR))
            before = weeks.usps.sent.total()
            await sleepers.work()
            assert sleepers.all_can_work
            assert weeks.usps.sent.total() == before
            weeks.watched.checks += 2
    tried("token revoked early at USPS, virtual time", times, weeks.checks)


@pytest.mark.parametrize("run", range(2))
async def test_waves_of_revocations_are_outlived_within_the_budget(run, dice, rounds, tried):
    """One or both, again and again, faster than may be renewed; with kills and reboots."""
    times = rounds(3, 120)
    waves = 0
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await calm_moment(weeks, dice)
            workers = Workers(weeks, dice.randint(2, 10))
            for _ in range(dice.randint(2, 8)):
                for slot in dice.choice([weeks.slots, weeks.slots[:1], weeks.slots[1:]]):
                    value = weeks.watched.look(weeks.shop, slot)
                    if value is not None:
                        weeks.usps.revoke(value)
                waves += 1
                for _ in range(dice.choice([1, 2, 10, 60])):
                    await workers.work()
                    await anyio.sleep(55)
                if dice.random() < 0.2:
                    await weeks.kill()
                if dice.random() < 0.1:
                    await weeks.reboot(dice.uniform(10, HOUR))
            await workers.until_all_can_work(2 * GUARD_SECONDS)
    tried("token revoked early at USPS, in waves, virtual time", waves, weeks.checks)


@pytest.mark.parametrize("run", range(2))
async def test_tokens_that_are_dead_at_once_burn_no_quota(run, dice, rounds, tried):
    """However long that goes on; once it is over everybody works again, within the guards."""
    times = rounds(2, 60)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await calm_moment(weeks, dice)
            workers = Workers(weeks, dice.randint(2, 10))
            weeks.usps.fault = STILLBORN
            for slot in weeks.slots:
                weeks.usps.revoke(weeks.watched.look(weeks.shop, slot))
            for _ in range(dice.choice([1, 3])):
                before = weeks.usps.sent.copy()
                for _ in range(60):
                    await workers.work()
                    await anyio.sleep(55)
                    if dice.random() < 0.02:
                        await weeks.kill()
                # 60 s, doubling to a quarter of an hour.
                assert all(weeks.usps.sent[s] - before[s] <= 8 for s in weeks.slots)
                weeks.watched.checks += 2
            weeks.usps.fault = None
            await workers.until_all_can_work(2 * GUARD_SECONDS)
    tried("tokens dead at once, reported, virtual time", times, weeks.checks)
