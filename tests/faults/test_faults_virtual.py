"""Virtual weeks with a USPS that misbehaves, clocks that step, restarts, reports and orders."""

import contextlib

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
RECOVERING = {
    **dict.fromkeys((*PASSING, "same token", "slow"), SLOTS),
    "credentials refused": SLOTS[:1],  # once they are others
}
"""What is fresh again ten minutes after. Roles and scopes wait for a person or a probe; lives of
minutes cost more calls than an hour has, so what comes after them waits for the next."""
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
        self.kills = 0
        self.floors_met = 0
        """Kills while a Retry-After stood."""
        self.recovered = 0
        self.excused = 0
        """Slots that a fault found halted, so that a person or a probe must come first."""

    @property
    def checks(self):
        return self.usps.checks + self.watched.checks

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *raised):
        await self.stack.__aexit__(*raised)

    async def start(self):
        """The next broker, with what the one before had saved."""
        self.stack = contextlib.AsyncExitStack()
        self.shop = await self.stack.enter_async_context(
            running(
                calls_per_hour=CALLS_PER_HOUR,
                credentials=f"secret-{self.secrets}",
                saved=self.saved,
                clock=self.clock,
                usps=self.usps,
                draw=self.dice.random,
            )
        )
        await anyio.sleep(0.001)  # it has read the state when it begins to listen

    async def kill(self):
        """At some instant, mostly with a call under way."""
        async with anyio.create_task_group() as callers:
            if self.dice.random() < 0.7:
                callers.start_soon(self.watched.order, self.shop, self.dice.choice(SLOTS))
            await anyio.sleep(self.dice.uniform(0, 0.4))
            callers.cancel_scope.cancel()
        now = self.clock().boot
        self.floors_met += any(floor > now for floor in self.usps.not_before.values())
        self.saved = self.shop.saver.saved() or self.saved
        self.kills += 1
        await self.stack.aclose()
        await self.start()

    async def order_until_refused(self):
        """Somebody orders a renewal of each until USPS has said when to come back."""
        for slot in SLOTS:
            while slot not in self.usps.not_before:
                await self.watched.order(self.shop, slot)
                if slot not in self.usps.not_before:
                    await anyio.sleep(MINUTE)

    async def episode(self, fault):
        """A quiet while, a fault for a while, and what must be true once it is over."""
        await self.live(self.dice.uniform(0, 7 * HOUR))
        fresh = all(map(self.is_fresh, SLOTS))
        halted = {slot for slot in SLOTS if self.view(slot).phase is Phase.HALTED}
        lasts = self.dice.choice([MINUTE, 20 * MINUTE, OUTLASTED_SECONDS, 3 * HOUR, 9 * HOUR])
        before = self.watched.denied
        self.usps.fault = fault
        await self.live(lasts, kills=0.05)
        if fresh and fault in PASSING and lasts <= OUTLASTED_SECONDS:
            assert self.watched.denied == before, "a token was lost to a short outage"
            self.watched.checks += 1
        self.usps.fault = None
        if fault in BY_A_PERSON:
            self.secrets += 1
            self.shop.loop.post(CredentialsSeen("default", f"secret-{self.secrets}"))
        await self.live(RECOVERY_SECONDS + LONGEST_FLOOR.get(fault, 0.0), calm=True)
        self.look_for_recovery(RECOVERING.get(fault, ()), halted)

    def look_for_recovery(self, slots, halted):
        """Those that a fault has let go are fresh again."""
        for slot in slots:
            if slot in halted:
                self.excused += 1
            else:
                assert self.is_fresh(slot), f"not fresh again: {self.view(slot)}"
                self.recovered += 1
                self.watched.checks += 1

    async def live(self, seconds, *, calm=False, kills=0.0, pause_seconds=300):
        """Callers ask; now and then somebody reports a token or orders another."""
        end = self.clock().boot + seconds
        while self.clock().boot < end:
            async with anyio.create_task_group() as callers:
                for _ in range(self.dice.randint(1, 3)):
                    wanted = self.dice.choice([SLOTS, SLOTS[:1], SLOTS[1:]])
                    callers.start_soon(self.watched.ask, self.shop, *wanted)
                chance = 1.0 if calm else self.dice.random()
                if chance < 0.02:
                    callers.start_soon(self.watched.tell, self.shop, self.dice.choice(SLOTS))
                elif chance < 0.03:
                    callers.start_soon(self.watched.order, self.shop, self.dice.choice(SLOTS))
            if self.dice.random() < kills:
                await self.kill()
            for slot in SLOTS:
                self.watched.look(self.shop, slot)
            await anyio.sleep(self.dice.uniform(10, pause_seconds))

    def view(self, slot):
        return self.shop.loop.broker.snapshot(self.clock()).slot(slot)

    def is_fresh(self, slot):
        return self.view(slot).freshness is Freshness.FRESH


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_alone_breaks_no_promise(fault, dice, rounds, tried):
    """Every kind that a broker can meet, some hours long, with kills in the middle."""
    times = rounds(2, 20)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.episode(fault)
            await weeks.kill()
    tried("fault at USPS, alone, virtual time", times, weeks.checks)
    tried("kill of a broker, virtual time", weeks.kills, 0)


@pytest.mark.parametrize("run", range(3))
async def test_weeks_of_faults_in_random_order_break_no_promise(run, dice, rounds, tried):
    """One after another, for weeks."""
    faults = dice.choices(FAULTS, k=rounds(15, 300))
    async with Weeks(dice) as weeks:
        for fault in faults:
            await weeks.episode(fault)
    # Else the promises about kills and about what comes after a fault were hardly looked at.
    assert weeks.usps.cut_short > 0
    assert weeks.recovered > weeks.excused
    tried("fault at USPS, in random order, virtual weeks", len(faults), weeks.checks)
    tried("kill of a broker, virtual time", weeks.kills, 0)


@pytest.mark.parametrize("fault", ["limited", "limited for long", "limited for a day"])
async def test_a_retry_after_outlives_any_number_of_kills(fault, dice, rounds, tried):
    """While it stands, brokers are killed one after another and people order renewals."""
    times = rounds(2, 30)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.live(HOUR, calm=True)
            weeks.usps.fault = fault
            await weeks.order_until_refused()
            await weeks.kill()
            await weeks.live(LONGEST_FLOOR.get(fault, 45.0), kills=0.7, pause_seconds=60)
            weeks.usps.fault = None
            await weeks.live(2 * HOUR, calm=True)
    assert weeks.floors_met >= times
    tried("kill while a Retry-After stands, virtual time", weeks.floors_met, weeks.checks)


@pytest.mark.parametrize("run", range(2))
async def test_clocks_that_step_and_nights_asleep_break_no_promise(run, dice, rounds, tried):
    """An hour, a day and a year both ways, or a suspend, in the middle of calm and of faults."""
    times = rounds(12, 200)
    async with Weeks(dice) as weeks:
        for _ in range(times):
            await weeks.live(dice.uniform(MINUTE, 3 * HOUR))
            weeks.usps.fault = dice.choice([None, None, "down"])
            if dice.random() < 0.3:
                weeks.clock.suspend(dice.uniform(MINUTE, 14 * HOUR))
            else:
                weeks.clock.step(dice.choice(STEPS))
            await weeks.live(30 * MINUTE, kills=0.05)
            weeks.usps.fault = None
            await weeks.live(RECOVERY_SECONDS, calm=True)
            weeks.look_for_recovery(SLOTS, ())
    tried("clock stepped, or machine suspended, virtual time", times, weeks.checks)


async def test_a_month_leaves_nothing_behind(dice, tried):
    """Thirty days of callers: no more tasks and no more in the core's hands than after one."""
    sizes = []
    async with Weeks(dice) as weeks:
        await weeks.shop.pass_time(MINUTE)
        for _day in range(30):
            await weeks.live(DAY, calm=True, pause_seconds=900)
            loop = weeks.shop.loop
            tasks = trio.lowlevel.current_statistics().tasks_living
            sizes.append((tasks, len(loop._questions), len(weeks.shop.saver.payload)))
    assert weeks.watched.denied == 0
    assert {size[:2] for size in sizes} == {sizes[0][:2]}
    assert max(size[2] for size in sizes[15:]) <= max(size[2] for size in sizes[:15]) + 64
    tried("a month of asking, virtual time", 1, weeks.checks + 3)
