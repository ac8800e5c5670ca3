"""Callers of a shop on virtual time, and everything they were promised, watched."""

import random
from collections.abc import Iterable

from tormented import BadUsps, Minted
from virtual import Shop, VirtualClock

from usps_token_broker.core.values import BEARER, SlotId

ANSWER_SECONDS = 1.0
"""How much later than asked an answer may come: a token waits so long to be on record."""
A_HAIR = 0.01


class Watched:
    """Each broken promise raises at the moment it breaks; `checks` counts what was looked at."""

    def __init__(self, usps: BadUsps, clock: VirtualClock, dice: random.Random) -> None:
        self.usps, self.clock, self.dice = usps, clock, dice
        self.denied = 0
        self.dead = 0
        """How often something was served that USPS would refuse."""
        self.checks = 0
        self.excused = 0
        """Tokens that no clock of the machine could tell the age of."""
        self._held: dict[SlotId, Minted] = {}

    async def ask(self, shop: Shop, *slots: SlotId, wait: float | None = None) -> None:
        """One caller: answered in time, and with nothing past its life."""
        wait = self.dice.choice([0.0, 1.0, 5.0]) if wait is None else wait
        began = self.clock.true
        denial = await shop.ask(*slots, wait=wait)
        self._in_time(began, wait, "an answer")
        if denial is not None:
            self.denied += 1
            assert denial.code
            assert denial.fix
        else:
            for slot in slots:
                self.look(shop, slot)

    def look(self, shop: Shop, slot: SlotId) -> str | None:
        """What would be served now is alive and the right one; what was good is not gone."""
        true = self.clock.true
        serving = shop.loop.broker.serving(slot, self.clock())
        self.checks += 1
        if serving is None:
            held = self._held.get(slot)
            if held is not None and held.reported:
                # Something of a shorter life may have come in its place, and be spent by now.
                held = self._present(shop, slot) or held
            if held is not None and not held.unsure:
                assert held.spent_at <= true + A_HAIR, f"{slot}: good one lost"
            return None
        value = serving.token.value.reveal()
        minted = self.usps.minted[value]
        late = true - minted.spent_at
        assert late < self._untold(minted) + A_HAIR, f"{slot} served {late} s past its life"
        longer = serving.spent_boot_at - self.clock().boot + late
        assert longer < self._untold(minted) + A_HAIR, f"{slot} is held for {longer} s too long"
        self.excused += late >= A_HAIR
        asked = self.usps.configured.question(slot)
        assert minted.question == asked, f"{slot}: granted for {minted.question}, not for {asked}"
        held = self._held.get(slot, minted)
        if not held.reported and not held.unsure:
            assert minted.spent_at >= held.spent_at - A_HAIR, f"{slot}: replaced by a worse one"
        self._held[slot] = minted
        self.dead += not self.usps.is_alive(value)
        self.checks += 1
        return value

    def _present(self, shop: Shop, slot: SlotId) -> Minted | None:
        token = shop.loop.broker._slots[slot].token
        return None if token is None else self.usps.minted[token.value.reveal()]

    def _untold(self, minted: Minted) -> float:
        """By how much a token may outlive its end, since every clock there is says it has not."""
        if not minted.boots:
            return 0.0
        by_wall = max(0.0, minted.wall_error - self.clock.wall_error)
        return min(minted.understated, by_wall)

    def forget(self, slots: Iterable[SlotId]) -> None:
        """These slots begin anew."""
        for slot in slots:
            self._held.pop(slot, None)

    def wall_clock_lied(self) -> None:
        """It was set while tokens were there whose age is told by it."""
        for minted in self.usps.minted.values():
            minted.unsure = minted.unsure or minted.boots > 0

    def booted(self, understated: float, saved_error: float, *, behind: bool) -> None:
        """Another boot; the time off seems shorter by `understated` seconds than it was.

        A clock that is `behind` what was saved is known to be wrong, and so excuses nothing.
        """
        for minted in self.usps.minted.values():
            minted.boots += 1
            minted.understated = 0.0 if behind else minted.understated + max(0.0, understated)
            errors = {round(e, 3) for e in (minted.wall_error, saved_error, self.clock.wall_error)}
            minted.unsure = minted.unsure or len(errors) > 1

    async def tell(self, shop: Shop, slot: SlotId) -> None:
        """A worker says that USPS refused the token as dead (which it may be wrong about)."""
        bearer = SlotId(slot.app, BEARER)
        payment = None if slot.is_bearer else slot
        of_payment = None if payment is None else shop.serial(payment)
        await self.report(shop, bearer, shop.serial(bearer), payment, of_payment)

    async def report(
        self,
        shop: Shop,
        bearer: SlotId,
        bearer_serial: int | None,
        payment: SlotId | None,
        payment_serial: int | None,
    ) -> None:
        """A worker tells what it was refused with; the outcome comes in time."""
        for slot in filter(None, (bearer, payment)):
            self._note_report(shop, slot)
        began = self.clock.true
        await shop.loop.report(
            bearer.app,
            2.0,
            bearer_serial=bearer_serial,
            payment=None if payment_serial is None else payment,
            payment_serial=payment_serial,
        )
        self._in_time(began, 2.0, "the outcome of a report")

    def _note_report(self, shop: Shop, slot: SlotId) -> None:
        minted = self._present(shop, slot)
        if minted is not None:
            minted.reported = True

    async def order(self, shop: Shop, slot: SlotId) -> None:
        """An administrator wants another one."""
        began = self.clock.true
        await shop.loop.renew(slot, 2.0)
        self._in_time(began, 2.0, "the outcome of an order")

    def _in_time(self, began: float, wait: float, what: str) -> None:
        late = self.clock.true - began - wait - ANSWER_SECONDS
        assert late <= A_HAIR, f"{what} came {late} s too late"
        self.checks += 1
