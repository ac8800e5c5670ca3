"""One configuration after another, on virtual time: what USPS is asked the same for goes on."""

from dataclasses import replace

import anyio
import pytest
from torments import CALLS_PER_HOUR
from virtual import HOUR, PAYMENT_SLOT
from virtual_weeks import MINUTE, Weeks

from usps_token_broker.core.values import Freshness, SlotId

pytestmark = pytest.mark.anyio

MOST_PAYMENTS = 3
FAULTS = (None, None, None, "down", "limited", "limited for long", "slow")


def other_client(configured, dice):
    """Another application of USPS, or one that there was before."""
    return replace(configured, client_id=dice.choice(["client", "client-2", "client-3"]))


def other_host(configured, dice):
    """The test environment, or back."""
    return replace(configured, host=dice.choice(["apis.usps.com", "apis-tem.usps.com"]))


def other_roles(configured, dice):
    """Some slot gets other roles, or those it had before."""
    roles = dict(configured.roles)
    if roles:
        roles[dice.choice(list(roles))] = f"roles-{dice.randrange(4)}"
    return replace(configured, roles=tuple(roles.items()))


def more_or_fewer_slots(configured, dice):
    """One payment slot more, or one less."""
    roles = list(configured.roles)
    names = [PAYMENT_SLOT, *(SlotId("default", f"payment-{n}") for n in range(1, MOST_PAYMENTS))]
    absent = [name for name in names if name not in dict(roles)]
    if roles and (not absent or dice.random() < 0.5):
        roles.remove(dice.choice(roles))
    else:
        roles.append((dice.choice(absent), "roles"))
    return replace(configured, roles=tuple(roles))


def other_spans(configured, dice):
    """Renewed sooner or later."""
    return replace(
        configured,
        buffer_seconds=dice.choice([60.0, 1800.0, 7200.0]),
        lead_seconds=dice.choice([60.0, 3600.0, 7200.0]),
    )


def other_budget(configured, dice):
    """More calls, or fewer than were made in this hour already."""
    return replace(configured, calls_per_hour=dice.choice([6, 10, CALLS_PER_HOUR, 60]))


CHANGES = (
    other_client,
    other_host,
    other_roles,
    more_or_fewer_slots,
    other_spans,
    other_budget,
)


async def reload_and_recover(weeks, dice, changes):
    """Reload at some instant, in calm or in a fault, and wait until all is well."""
    await weeks.live(dice.choice([0.0, MINUTE, 3 * HOUR]), pause_seconds=120)
    weeks.usps.fault = dice.choice(FAULTS)
    await weeks.live(dice.choice([0.0, 10 * MINUTE]), kills=0.05)
    configured = weeks.configured
    for change in changes:
        configured = change(configured, dice)
    weeks.reload(configured)
    if dice.random() < 0.3:
        weeks.change_secret()
    await weeks.live(dice.choice([0.0, 10 * MINUTE]), kills=0.1)
    weeks.usps.fault = None
    if configured.calls_per_hour < CALLS_PER_HOUR:
        await weeks.live(HOUR, calm=True)  # what the hour had no room for
    await weeks.recover(costly=True, enough={Freshness.FRESH, Freshness.DUE})


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_reloads_of_one_kind_break_no_promise(change, dice, rounds, tried):
    """What stays the same keeps its token; what is another question never gets the old answer."""
    times = rounds(4, 60)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await reload_and_recover(weeks, dice, [change])
    tried("reload to another configuration, virtual time", times, weeks.checks)


@pytest.mark.parametrize("run", range(2))
async def test_reloads_of_many_kinds_at_once_break_no_promise(run, dice, rounds, tried):
    """With kills and reboots, which find the state of a configuration before."""
    times = rounds(6, 200)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await reload_and_recover(weeks, dice, dice.sample(CHANGES, dice.randint(1, 4)))
            if dice.random() < 0.3:
                await weeks.reboot(dice.uniform(10, 9 * HOUR))
    tried("reload to another configuration, virtual time", times, weeks.checks)


async def test_an_answer_to_the_question_before_is_nobodys(dice, rounds, tried):
    """It comes while the next question is out, or a third, or the first once more."""
    times = rounds(4, 60)
    async with Weeks(dice) as weeks:
        await weeks.live(MINUTE, calm=True)
        for _ in range(times):
            await weeks.live(HOUR, calm=True, pause_seconds=900)
            weeks.usps.fault = "slow"
            async with anyio.create_task_group() as callers:
                callers.start_soon(weeks.watched.order, weeks.shop, PAYMENT_SLOT)
                for _ in range(dice.randint(1, 3)):
                    await anyio.sleep(dice.uniform(0.5, 3))
                    weeks.reload(other_roles(weeks.configured, dice))
                for _ in range(30):
                    await anyio.sleep(1)
                    weeks.watched.look(weeks.shop, PAYMENT_SLOT)
            weeks.usps.fault = None
            await weeks.live(HOUR, calm=True)
            assert weeks.shop.left(PAYMENT_SLOT)
    tried("answer to a question that a reload replaced, virtual time", times, weeks.checks + times)


async def test_a_budget_lowered_below_what_is_used_holds_at_once(dice, rounds, tried):
    """Under tokens of seconds, which want more calls than any budget has."""
    times = rounds(2, 30)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            weeks.reload(replace(weeks.configured, calls_per_hour=CALLS_PER_HOUR))
            weeks.usps.fault = "life of seconds"
            await weeks.live(dice.uniform(5 * MINUTE, 30 * MINUTE), pause_seconds=60)
            weeks.reload(replace(weeks.configured, calls_per_hour=dice.choice([4, 6, 10])))
            await weeks.live(90 * MINUTE, kills=0.05, pause_seconds=60)
            weeks.usps.fault = None
            await weeks.live(HOUR, calm=True)
            await weeks.recover(costly=True)
            await weeks.live(2 * HOUR, calm=True)
    tried("reload to another configuration, virtual time", times, weeks.checks)
