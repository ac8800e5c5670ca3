"""Virtual weeks with a USPS that misbehaves, clocks that step, restarts, reports and orders."""

import anyio
import pytest
import trio.testing
from tormented import BY_A_PERSON, CALLS_PER_HOUR, FAULTS, PASSING, SLOTS, BadUsps, Watched
from virtual import DAY, HOUR, VirtualClock, running

from usps_token_broker.core.events import CredentialsSeen
from usps_token_broker.core.values import Freshness, Phase

pytestmark = pytest.mark.anyio

MINUTE = 60.0
OUTLASTED_SECONDS = 80 * MINUTE
"""Lead and buffer, less ten minutes."""
RECOVERY_SECONDS = 10 * MINUTE + 20
LONGEST_FLOOR = {"limited for long": 1800.0, "limited for a day": 3600.0}
STEPS = (-365 * DAY, -DAY, -HOUR, HOUR, DAY, 365 * DAY)


@pytest.fixture
def anyio_backend():
    """Virtual time: it jumps when everybody sleeps."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Weeks:
    """One broker after another, and the state that goes from each to the next."""

    def __init__(self, dice):
        self.dice = dice
        self.clock = VirtualClock()
        self.usps = BadUsps(self.clock)
        self.watched = Watched(self.usps, self.clock, dice)
        self.saved = None
        self.secrets = 0

    @property
    def checks(self):
        return self.usps.checks + self.watched.checks

    async def run(self, episodes):
        """Episodes, some brokers' lives long; between two lives the broker is killed."""
        left = list(episodes)
        while left:
            async with running(
                calls_per_hour=CALLS_PER_HOUR,
                credentials=f"secret-{self.secrets}",
                saved=self.saved,
                clock=self.clock,
                usps=self.usps,
                draw=self.dice.random,
            ) as shop:
                for _ in range(min(len(left), self.dice.randint(1, 3))):
                    await self.episode(shop, left.pop(0))
                self.saved = shop.saver.saved()
            self.usps.flying.clear()

    async def episode(self, shop, fault):
        """A quiet while, a fault for a while, and what must be true once it is over."""
        await self.live(shop, self.dice.uniform(0, 7 * HOUR))
        fresh = all(self.is_fresh(shop, slot) for slot in SLOTS)
        halted = {slot for slot in SLOTS if self.view(shop, slot).phase is Phase.HALTED}
        lasts = self.dice.choice([MINUTE, 20 * MINUTE, OUTLASTED_SECONDS, 3 * HOUR, 9 * HOUR])
        before = self.watched.denied
        self.usps.fault = fault
        await self.live(shop, lasts)
        if fresh and fault in PASSING and lasts <= OUTLASTED_SECONDS:
            assert self.watched.denied == before, "a token was lost to a short outage"
            self.watched.checks += 1
        self.usps.fault = None
        if fault in BY_A_PERSON:
            self.secrets += 1
            shop.loop.post(CredentialsSeen("default", f"secret-{self.secrets}"))
        await self.live(shop, RECOVERY_SECONDS + LONGEST_FLOOR.get(fault, 0.0), calm=True)
        if fault in PASSING:
            for slot in set(SLOTS) - halted:  # those wait for a person, or for a probe
                assert self.is_fresh(shop, slot), f"not fresh again: {self.view(shop, slot)}"
                self.watched.checks += 1

    async def live(self, shop, seconds, *, calm=False, pause_seconds=300):
        """Callers ask; now and then somebody reports a token or orders another."""
        end = self.clock().boot + seconds
        while self.clock().boot < end:
            async with anyio.create_task_group() as callers:
                for _ in range(self.dice.randint(1, 3)):
                    wanted = self.dice.choice([SLOTS, SLOTS[:1], SLOTS[1:]])
                    callers.start_soon(self.watched.ask, shop, *wanted)
                chance = 1.0 if calm else self.dice.random()
                if chance < 0.02:
                    callers.start_soon(self.watched.tell, shop, self.dice.choice(SLOTS))
                elif chance < 0.03:
                    callers.start_soon(self.watched.order, shop, self.dice.choice(SLOTS))
            for slot in SLOTS:
                self.watched.look(shop, slot)
            await anyio.sleep(self.dice.uniform(10, pause_seconds))

    def view(self, shop, slot):
        return shop.loop.broker.snapshot(self.clock()).slot(slot)

    def is_fresh(self, shop, slot):
        return self.view(shop, slot).freshness is Freshness.FRESH


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_alone_breaks_no_promise(fault, dice, rounds, tried):
    """Every kind that a broker can meet, some hours long, with a restart in between."""
    weeks = Weeks(dice)
    times = rounds(2, 20)
    await weeks.run([fault] * times)
    tried("fault at USPS, alone, virtual time", times, weeks.checks)


@pytest.mark.parametrize("run", range(3))
async def test_weeks_of_faults_in_random_order_break_no_promise(run, dice, rounds, tried):
    """One after another, for weeks."""
    weeks = Weeks(dice)
    faults = dice.choices(FAULTS, k=rounds(15, 300))
    await weeks.run(faults)
    tried("fault at USPS, in random order, virtual weeks", len(faults), weeks.checks)


@pytest.mark.parametrize("run", range(2))
async def test_clocks_that_step_and_nights_asleep_break_no_promise(run, dice, rounds, tried):
    """An hour, a day and a year both ways, or a suspend, in the middle of calm and of faults."""
    weeks = Weeks(dice)
    times = rounds(12, 200)
    async with running(
        calls_per_hour=CALLS_PER_HOUR, clock=weeks.clock, usps=weeks.usps, draw=dice.random
    ) as shop:
        for _ in range(times):
            await weeks.live(shop, dice.uniform(MINUTE, 3 * HOUR), calm=True)
            weeks.usps.fault = dice.choice([None, None, "down"])
            if dice.random() < 0.3:
                weeks.clock.suspend(dice.uniform(MINUTE, 14 * HOUR))
            else:
                weeks.clock.step(dice.choice(STEPS))
            await weeks.live(shop, 30 * MINUTE, calm=True)
            weeks.usps.fault = None
    tried("clock stepped, or machine suspended, virtual time", times, weeks.checks)


async def test_a_month_leaves_nothing_behind(dice, rounds, tried):
    """Thirty days of callers: no more tasks and no more in the core's hands than after one."""
    weeks = Weeks(dice)
    sizes = []
    async with running(clock=weeks.clock, usps=weeks.usps, draw=dice.random) as shop:
        await shop.pass_time(MINUTE)
        for _day in range(30):
            await weeks.live(shop, DAY, calm=True, pause_seconds=900)
            tasks = trio.lowlevel.current_statistics().tasks_living
            sizes.append((tasks, len(shop.loop._questions), len(shop.saver.payload)))
    assert weeks.watched.denied == 0
    assert {size[:2] for size in sizes} == {sizes[0][:2]}
    assert max(size[2] for size in sizes[15:]) <= max(size[2] for size in sizes[:15]) + 64
    tried("a month of asking, virtual time", 1, weeks.checks + 3)
