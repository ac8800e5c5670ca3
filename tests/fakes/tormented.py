"""A shop on virtual time whose USPS misbehaves, and everything it was promised, watched.

Each broken promise raises at the moment it breaks. `checks` counts what was looked at.
"""

import random
from collections import Counter
from dataclasses import dataclass, replace

import anyio
from virtual import (
    BEARER_SLOT,
    HOUR,
    INVALID_CLIENT,
    PAYMENT_SLOT,
    Call,
    Shop,
    VirtualClock,
    VirtualUsps,
)

from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import Endpoint, Secret, SlotId

SLOTS = (BEARER_SLOT, PAYMENT_SLOT)
CALLS_PER_HOUR = 20
LONGEST_RETRY_AFTER_SECONDS = 3600.0
LAST_PART_SECONDS = 60.0
"""Of a life: never served."""
ANSWER_SECONDS = 1.0
"""How much later than asked an answer may come: a token waits so long to be on record."""


def failure(
    kind: FailureKind, code: Code, status: int | None = None, retry_after: float | None = None
) -> Failure:
    """A failure as the driver would give it."""
    return Failure(
        kind, code, "USPS did it", "wait for USPS", status, retry_after_seconds=retry_after
    )


UNAVAILABLE, LIMITED = Code.UPSTREAM_UNAVAILABLE, Code.UPSTREAM_RATE_LIMITED
PASSING = {
    "down": failure(FailureKind.TRANSIENT, UNAVAILABLE, 503),
    "unreached": failure(FailureKind.UNREACHED, UNAVAILABLE),
    "come back soon": failure(FailureKind.TRANSIENT, UNAVAILABLE, 503, 30.0),
    "limited": failure(FailureKind.RATE_LIMITED, LIMITED, 429, 45.0),
    "limited for long": failure(FailureKind.RATE_LIMITED, LIMITED, 429, 1800.0),
    "limited for a day": failure(FailureKind.RATE_LIMITED, LIMITED, 429, 86_400.0),
}
BY_A_PERSON = {
    "credentials refused": INVALID_CLIENT,
    "payment refused": failure(FailureKind.REFUSED, Code.PAYMENT_REFUSED, 400),
    "scope missing": failure(FailureKind.SCOPE_MISSING, Code.SCOPE_MISSING, 401),
    "bearer refused": failure(FailureKind.BEARER_REFUSED, Code.PAYMENT_REFUSED, 401),
}
ODD_GRANTS = ("same token", "short life", "no scope", "slow")
FAULTS = (*PASSING, *BY_A_PERSON, *ODD_GRANTS)


@dataclass
class BadUsps(VirtualUsps):
    """USPS with one fault at a time, which keeps books that nobody can argue with."""

    def __post_init__(self) -> None:
        self.fault: str | None = None
        self.flying: Counter[SlotId] = Counter()
        self.ends: dict[str, float] = {}
        """When each token dies, on the boot clock."""
        self.last: dict[SlotId, Secret] = {}
        self.not_before: dict[SlotId, float] = {}
        self.checks = 0
        self.cut_short = 0
        """Flights of brokers that were killed."""

    async def fetch(self, command: Fetch) -> Grant | Failure:
        """Answer one attempt, after looking whether it may have been made at all."""
        slot, sent = command.slot, self.clock().boot
        assert not self.flying[slot], f"two flights of {slot}"
        floor = self.not_before.pop(slot, 0.0)
        assert sent >= floor - 0.001, f"{slot}: Retry-After undercut by {floor - sent} s"
        self.checks += 2
        # Decided and counted at once: a broker that dies meanwhile was seen by USPS all the same.
        slow, outcome = self.fault == "slow", self._outcome(command)
        if not (isinstance(outcome, Failure) and outcome.kind is FailureKind.UNREACHED):
            self._charge(slot, sent)
        self.flying[slot] += 1
        try:
            await anyio.sleep(7.9 if slow else self.latency_seconds)
        except anyio.get_cancelled_exc_class():
            self.cut_short += 1
            raise
        finally:
            self.flying[slot] -= 1
        if isinstance(outcome, Failure) and outcome.retry_after_seconds is not None:
            wait = min(outcome.retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)
            self.not_before[slot] = self.clock().boot + wait
        elif isinstance(outcome, Grant):
            end = sent + outcome.life_seconds
            self.ends[outcome.value.reveal()] = min(end, self.ends.get(outcome.value.reveal(), end))
            self.last[slot] = outcome.value
        return outcome

    def _charge(self, slot: SlotId, sent: float) -> None:
        self.calls.append(Call(sent, slot))
        recent = [
            call
            for call in self.calls[-3 * CALLS_PER_HOUR :]
            if call.at > sent - HOUR + 0.01 and call.slot.is_bearer == slot.is_bearer
        ]
        assert len(recent) <= CALLS_PER_HOUR, f"{len(recent)} calls in an hour"
        self.checks += 1

    def _outcome(self, command: Fetch) -> Grant | Failure:
        slot, fault = command.slot, self.fault
        if fault in PASSING:
            return PASSING[fault]
        if fault in BY_A_PERSON:
            if slot.is_bearer == (fault == "credentials refused"):
                return BY_A_PERSON[fault]
        elif fault == "same token" and slot in self.last:
            return self._grant(command, self.last[slot])
        grant = self._grant(command, Secret(f"token-{slot}-{len(self.calls)}-{len(self.ends)}"))
        if fault == "short life":
            return replace(grant, life_seconds=240.0)
        if fault == "no scope" and slot.is_bearer:
            return replace(grant, scopes=("addresses",))
        return grant

    def _grant(self, command: Fetch, value: Secret) -> Grant:
        scopes = self.scopes if command.endpoint is Endpoint.TOKEN else None
        return Grant(value, self.life_seconds, scopes=scopes)


class Watched:
    """Callers of a shop, and what they were promised."""

    def __init__(self, usps: BadUsps, clock: VirtualClock, dice: random.Random) -> None:
        self.usps, self.clock, self.dice = usps, clock, dice
        self.denied = 0
        self.checks = 0
        self._held: dict[SlotId, float] = {}

    async def ask(self, shop: Shop, *slots: SlotId) -> None:
        """One caller: answered in time, and with nothing past its life."""
        began, wait = self.clock().boot, self.dice.choice([0.0, 1.0, 5.0])
        denial = await shop.ask(*slots, wait=wait)
        now = self.clock()
        assert now.boot - began <= wait + ANSWER_SECONDS + 0.01, "answered too late"
        self.checks += 1
        if denial is not None:
            self.denied += 1
            assert denial.code
            assert denial.fix
        else:
            for slot in slots:
                self.look(shop, slot)

    def look(self, shop: Shop, slot: SlotId) -> None:
        """What would be served now is alive; what was good is not gone."""
        now = self.clock()
        serving = shop.loop.broker.serving(slot, now)
        if serving is None:
            held_until = self._held.get(slot, 0.0)
            assert held_until - LAST_PART_SECONDS <= now.boot + 0.01, f"{slot}: good one lost"
        else:
            end = self.usps.ends[serving.token.value.reveal()]
            assert now.boot < end, f"{slot} served {now.boot - end} s past its life"
            self._held[slot] = end
        self.checks += 1

    async def tell(self, shop: Shop, slot: SlotId) -> None:
        """A worker says that USPS refused the token as dead (which it may be wrong about)."""
        serial = shop.serial(slot)
        bearer, payment = shop.serial(BEARER_SLOT), None
        if slot == PAYMENT_SLOT:
            payment = serial
        began = self.clock().boot
        await shop.loop.report(
            "default",
            2.0,
            bearer_serial=bearer,
            payment=None if payment is None else slot,
            payment_serial=payment,
        )
        assert self.clock().boot - began <= 2.0 + ANSWER_SECONDS + 0.01, "report answered too late"
        self.checks += 1

    async def order(self, shop: Shop, slot: SlotId) -> None:
        """An administrator wants another one."""
        began = self.clock().boot
        await shop.loop.renew(slot, 2.0)
        assert self.clock().boot - began <= 2.0 + ANSWER_SECONDS + 0.01, "order answered too late"
        self.checks += 1
