"""One broker after another on virtual time, through faults, kills, boots and reloads."""

import contextlib
import random
from collections.abc import Container
from typing import Self

import anyio
from tormented import BadUsps
from torments import BY_A_PERSON, CLOCKS, LIMITS, LIVES, PASSING, UNREAD, Configured
from virtual import DAY, HOUR, START_WALL, Shop, VirtualClock, running
from watched_shop import Watched

from usps_token_broker.core.budget import BUCKET_REFILL_SECONDS
from usps_token_broker.core.events import CredentialsSeen, Reloaded
from usps_token_broker.core.snapshot import SlotView
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Freshness, SlotId

MINUTE = 60.0
OUTLASTED_SECONDS = 80 * MINUTE
"""Lead and buffer, less ten minutes."""
RECOVERY_SECONDS = 10 * MINUTE + 20
WALL_ERRORS = (-365 * DAY, -DAY, -HOUR, HOUR, DAY, 365 * DAY)
COSTLY = (*LIVES, *UNREAD)
"""They take more calls than an hour has, so what comes after them waits for the next."""


class Weeks:
    """A shop that lives on, and the state that goes from each broker to the next."""

    def __init__(self, dice: random.Random, configured: Configured | None = None) -> None:
        self.dice = dice
        self.configured = configured or Configured()
        self.clock = VirtualClock()
        self.usps = BadUsps(self.clock)
        self.usps.reconfigured(self.configured, set())
        self.watched = Watched(self.usps, self.clock, dice)
        self.saved: SavedState | None = None
        self.secrets = 0
        self.boots = 1
        self.kills = 0
        self.floors_met = 0
        """Kills while a Retry-After stood."""
        self.recovered = 0
        """How often a slot was found fresh after a fault."""
        self.shop: Shop
        self._stack: contextlib.AsyncExitStack

    @property
    def checks(self) -> int:
        """How often it was looked whether a promise holds."""
        return self.usps.checks + self.watched.checks

    @property
    def slots(self) -> tuple[SlotId, ...]:
        """The bearer and the payment slots there are now."""
        return self.configured.slots

    @property
    def fingerprint(self) -> str:
        """The client secret in force."""
        return f"secret-{self.secrets} of {self.configured.account}"

    # -- brokers begin and end --------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.__aexit__(*raised)  # type: ignore[arg-type]

    async def _start(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        self.shop = await self._stack.enter_async_context(
            running(
                credentials=self.fingerprint,
                saved=self.saved,
                boot_id=f"boot-{self.boots}",
                clock=self.clock,
                usps=self.usps,
                draw=self.dice.random,
                plans=self.configured.plans,
            )
        )
        await anyio.sleep(0.001)  # it has read the state when it begins to listen

    async def kill(self) -> None:
        """A broker dies at some instant, mostly with a call under way; another one follows."""
        await self._die()
        await self._start()

    async def reboot(self, off_seconds: float, wall_error: float = 0.0) -> None:
        """The machine goes off, and comes up again with a wall clock that is so wrong."""
        await self._die()
        saved = self.saved
        assert saved is not None
        saved_true = self.clock.true - (self.clock().boot - saved.saved_at.boot)
        self.clock.reboot(off_seconds)
        self.clock.step(wall_error - self.clock.wall_error)
        self.boots += 1
        really = self.clock.true - saved_true
        seemingly = self.clock().wall - saved.saved_at.wall
        understated = really - max(0.0, seemingly)
        if understated < -0.01:
            self.usps.forget_the_hour()
        saved_error = saved.saved_at.wall - START_WALL - saved_true
        self.watched.booted(understated, saved_error, behind=seemingly < -MINUTE)
        await self._start()

    async def _die(self) -> None:
        async with anyio.create_task_group() as callers:
            if self.dice.random() < 0.7:
                callers.start_soon(self.watched.order, self.shop, self.dice.choice(self.slots))
            await anyio.sleep(self.dice.uniform(0, 0.4))
            callers.cancel_scope.cancel()
        self.floors_met += self.usps.held_until() > self.clock.true
        self.saved = self.shop.saver.saved() or self.saved
        self.kills += 1
        await self._stack.aclose()

    # -- what people do ---------------------------------------------------------------------------

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.clock.step(seconds)
        self.watched.wall_clock_lied()

    def reload(self, configured: Configured) -> None:
        """Another configuration is in force, all of it at once."""
        before, self.configured = self.configured, configured
        both = {*before.slots, *configured.slots}
        anew = {slot for slot in both if before.question(slot) != configured.question(slot)}
        self.usps.reconfigured(configured, anew)
        self.watched.forget(anew)
        apps, slots = configured.plans
        self.shop.loop.post(Reloaded(tuple(apps), tuple(slots)))
        self.shop.loop.post(CredentialsSeen("default", self.fingerprint))
        for slot in self.slots:
            self.watched.look(self.shop, slot)

    def change_secret(self) -> None:
        """A person writes another client secret."""
        self.secrets += 1
        self.shop.loop.post(CredentialsSeen("default", self.fingerprint))

    async def order_until_refused(self) -> None:
        """Somebody orders a renewal of each until USPS has said when to come back."""
        for slot in self.slots:
            before = self.usps.not_before.copy()
            while self.usps.not_before == before:
                await self.watched.order(self.shop, slot)
                if self.usps.not_before == before:
                    await anyio.sleep(MINUTE)

    async def put_right(self, fault: str) -> None:
        """A person does what this fault asks for."""
        if fault == "credentials refused":
            self.change_secret()
        elif fault in {"scope missing", "no scope"}:
            # While there is a token an order leaves the last two attempts alone.
            short = 3.0 - self.view(self.slots[0]).attempts_left
            if short > 0 and self.view(self.slots[0]).serial is not None:
                await self.live(short * 10 * MINUTE, calm=True)
            await self.watched.order(self.shop, self.slots[0])
        elif fault in BY_A_PERSON:
            await self.watched.order(self.shop, self.slots[1])

    # -- time -------------------------------------------------------------------------------------

    async def episode(self, fault: str) -> None:
        """A quiet while, a fault for a while, and what must be true once it is over."""
        await self.live(self.dice.uniform(0, 7 * HOUR))
        fresh = all(map(self.is_fresh, self.slots))
        lasts = self.dice.choice([MINUTE, 20 * MINUTE, OUTLASTED_SECONDS, 3 * HOUR, 9 * HOUR])
        before = self.watched.denied
        self.usps.fault = fault
        await self.live(lasts, kills=0.05)
        if fresh and fault in {*PASSING, *LIMITS, *CLOCKS} and lasts <= OUTLASTED_SECONDS:
            assert self.watched.denied == before, "a token was lost to a short outage"
            self.watched.checks += 1
        self.usps.fault = None
        await self.put_right(fault)
        await self.recover(costly=fault in COSTLY)

    async def recover(
        self, *, costly: bool = False, enough: Container[Freshness] = (Freshness.FRESH,)
    ) -> None:
        """Ten minutes after USPS wants to be asked again all is fresh.

        After what has used up the hour: ten minutes after there is room in it.
        """
        begin = max(self.clock.true, self.usps.held_until())
        if costly:
            begin = max(begin, self.usps.room_at())
        await self.live(begin + RECOVERY_SECONDS - self.clock.true, calm=True)
        for slot in self.slots:
            assert self.view(slot).freshness in enough, f"not fresh again: {self.view(slot)}"
            self.recovered += 1
            self.watched.checks += 1

    async def recover_from_doubt(self) -> None:
        """As `recover`; what is doubted for its clocks alone is served, and renewed when the bucket
        has calls to spare again: two beside its own, at one in ten minutes."""
        await self.recover(enough={Freshness.FRESH, Freshness.DUE})
        waits = max(self._planned_in(slot) for slot in self.slots)
        assert waits <= 2 * BUCKET_REFILL_SECONDS, f"its renewal is {waits} s away"
        await self.live(waits, calm=True)
        await self.recover()

    def _planned_in(self, slot: SlotId) -> float:
        """Seconds until the next attempt for what is doubted; none for what is fresh."""
        view = self.view(slot)
        if view.freshness is Freshness.FRESH or view.next_attempt_at is None:
            return 0.0
        assert view.expires_at is not None
        assert view.expires_in is not None
        return max(0.0, view.next_attempt_at - (view.expires_at - view.expires_in))

    async def live(
        self, seconds: float, *, calm: bool = False, kills: float = 0.0, pause_seconds: float = 300
    ) -> None:
        """Callers ask; now and then somebody reports a token or orders another."""
        end = self.clock.true + seconds
        while self.clock.true < end:
            async with anyio.create_task_group() as callers:
                for _ in range(self.dice.randint(1, 3)):
                    wanted = self.dice.choice([self.slots, self.slots[:1], self.slots[1:2]])
                    callers.start_soon(self.watched.ask, self.shop, *(wanted or self.slots))
                chance = 1.0 if calm else self.dice.random()
                if chance < 0.02:
                    callers.start_soon(self.watched.tell, self.shop, self.dice.choice(self.slots))
                elif chance < 0.03:
                    callers.start_soon(self.watched.order, self.shop, self.dice.choice(self.slots))
            if self.dice.random() < kills:
                await self.kill()
            for slot in self.slots:
                self.watched.look(self.shop, slot)
            await anyio.sleep(self.dice.uniform(10, pause_seconds))

    # -- what is so -------------------------------------------------------------------------------

    def view(self, slot: SlotId) -> SlotView:
        """What a person sees of it."""
        return self.shop.loop.broker.snapshot(self.clock()).slot(slot)

    def is_fresh(self, slot: SlotId) -> bool:
        """Whether its token is long before its renewal."""
        return self.view(slot).freshness is Freshness.FRESH
