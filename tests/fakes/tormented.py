"""A USPS on virtual time that misbehaves, and keeps books that nobody can argue with.

Each broken promise raises at the moment it breaks. `checks` counts what was looked at. Everything
is in true time, so neither a boot nor a step of the wall clock gets into the books.
"""

from collections import Counter, deque
from dataclasses import dataclass, replace

import anyio
from torments import (
    BY_A_PERSON,
    CLOCK_LIFE_SECONDS,
    CLOCKS,
    LIMITS,
    LIVES,
    LONGEST_RETRY_AFTER_SECONDS,
    PASSING,
    STILLBORN,
    UNREAD,
    Configured,
    granted,
    limited,
)
from virtual import HOUR, START_WALL, VirtualUsps

from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import AccountId, Endpoint, Secret, SlotId

LAST_PART_SECONDS = 60.0
"""Of a life, or an eighth of it: never served."""
Quota = tuple[AccountId, Endpoint]
_OUTDATED = Failure(FailureKind.UNREACHED, Code.UPSTREAM_UNAVAILABLE, "reloaded", "nothing to do")


@dataclass(slots=True)
class Minted:
    """A token as USPS knows it; instants are true time."""

    question: object
    """What was asked for it: host, client id, slot and roles."""
    wall_error: float
    """How wrong our wall clock was when it was asked for."""
    spent_at: float
    """From when it must not be served: its end as it was told, less the last part."""
    real_end: float
    boots: int = 0
    """How many boots it has gone through."""
    understated: float = 0.0
    """By how much our clocks make it younger than it is."""
    unsure: bool = False
    """Whether our clocks may make it older than it is."""
    reported: bool = False
    """Whether a worker said that it is dead."""


@dataclass
class BadUsps(VirtualUsps):
    """USPS with one fault at a time."""

    def __post_init__(self) -> None:
        self.fault: str | None = None
        self.configured = Configured()
        self.minted: dict[str, Minted] = {}
        self.not_before: dict[Quota, float] = {}
        self.checks = 0
        self.cut_short = 0
        """Flights of brokers that were killed."""
        self.sent: Counter[SlotId] = Counter()
        self._last: dict[SlotId, Secret] = {}
        self._flying: Counter[tuple[SlotId, int]] = Counter()
        self._rounds: Counter[SlotId] = Counter()
        """How often a slot has begun anew; flights of before are nobody's."""
        self._hours: dict[Quota, deque[float]] = {}

    # -- what a broker does -----------------------------------------------------------------------

    async def fetch(self, command: Fetch) -> Grant | Failure:
        """Answer one attempt, after looking whether it may have been made at all."""
        if command.account != self.configured.account:
            return _OUTDATED  # as the app does, before anything is sent
        question = self.configured.question(command.slot)
        if question is None:
            return _OUTDATED
        flight, quota = self._begin(command)
        sent, error = self.clock.true, self.clock.wall_error
        # Decided and counted at once: a broker that dies meanwhile was seen by USPS all the same.
        fault, outcome = self.fault, self._outcome(command)
        if not (isinstance(outcome, Failure) and outcome.kind is FailureKind.UNREACHED):
            self._charge(quota, sent)
        self._flying[flight] += 1
        try:
            await anyio.sleep(7.9 if fault == "slow" else self.latency_seconds)
        except anyio.get_cancelled_exc_class():
            self.cut_short += 1
            raise
        finally:
            self._flying[flight] -= 1
        if isinstance(outcome, Failure):
            self.not_before[quota] = self.clock.true + _asked_wait(fault, outcome)
        else:
            life = self._told_life(fault)
            spent_at = sent + life - min(LAST_PART_SECONDS, life / 8)
            _, late = CLOCKS.get(fault or "", (0.0, 0.0))
            real_end = 0.0 if fault == STILLBORN else sent + life + late
            self._mint(command.slot, outcome.value, Minted(question, error, spent_at, real_end))
        return outcome

    def _told_life(self, fault: str | None) -> float:
        """What the answer says, whatever the broker understood."""
        if fault in CLOCKS:
            return CLOCK_LIFE_SECONDS
        name = (fault or "").removeprefix("unread ")
        return LIVES.get(name, self.life_seconds)

    def _begin(self, command: Fetch) -> tuple[tuple[SlotId, int], Quota]:
        slot = command.slot
        flight, quota = (slot, self._rounds[slot]), (command.account, command.endpoint)
        assert not self._flying[flight], f"two flights of {slot}"
        early = self.not_before.get(quota, 0.0) - self.clock.true
        assert early <= 0.001, f"{slot}: Retry-After undercut by {early} s"
        self.sent[slot] += 1
        self.checks += 2
        return flight, quota

    def _charge(self, quota: Quota, sent: float) -> None:
        hour = self._hours.setdefault(quota, deque())
        hour.append(sent)
        _forget_older(hour, sent - HOUR + 0.01)
        assert len(hour) <= self.configured.calls_per_hour, f"{len(hour)} calls in an hour"
        self.checks += 1

    def _mint(self, slot: SlotId, value: Secret, minted: Minted) -> None:
        # Of the same once more, life began the first time.
        before = self.minted.setdefault(value.reveal(), minted)
        before.spent_at = min(minted.spent_at, before.spent_at)
        before.real_end = min(minted.real_end, before.real_end)
        self._last[slot] = value

    def _outcome(self, command: Fetch) -> Grant | Failure:
        slot, fault = command.slot, self.fault
        if fault in PASSING:
            return PASSING[fault]
        if fault in LIMITS:
            return limited(command, LIMITS[fault])
        if fault in BY_A_PERSON and slot.is_bearer == (fault == "credentials refused"):
            return BY_A_PERSON[fault]
        if fault == "same token" and slot in self._last:
            return self._grant(command, self._last[slot])
        return self._new(command, fault)

    def _new(self, command: Fetch, fault: str | None) -> Grant | Failure:
        number, at = self.sent.total(), START_WALL + self.clock.true
        if fault in CLOCKS:
            return granted(command, number, at + CLOCKS[fault][0], CLOCK_LIFE_SECONDS)
        if fault in LIVES and LIVES[fault] <= 0:
            return granted(command, number, at, LIVES[fault])
        grant = self._grant(command, Secret(f"token-{command.slot}-{number}"))
        if fault in LIVES or fault in UNREAD:
            return replace(grant, life_seconds=LIVES[fault.removeprefix("unread ")])
        if fault == "no scope" and command.slot.is_bearer:
            return replace(grant, scopes=("addresses",))
        return grant

    def _grant(self, command: Fetch, value: Secret) -> Grant:
        scopes = self.scopes if command.endpoint is Endpoint.TOKEN else None
        return Grant(value, self.life_seconds, scopes=scopes)

    # -- what else happens ------------------------------------------------------------------------

    def revoke(self, value: str) -> None:
        """This token is dead from now on, whatever it was told to live."""
        self.minted[value].real_end = min(self.minted[value].real_end, self.clock.true)

    def is_alive(self, value: str) -> bool:
        """Whether a call with it would succeed."""
        return self.clock.true < self.minted[value].real_end

    def reconfigured(self, configured: Configured, anew: set[SlotId]) -> None:
        """Another configuration is in force; what is out for these slots is nobody's any more."""
        self.configured = configured
        self._rounds.update(anew)

    def forget_the_hour(self) -> None:
        """What was charged can no longer be known, since the wall clock lies about the time off."""
        self._hours.clear()
        self.not_before.clear()

    def room_at(self) -> float:
        """When every endpoint has room again for any kind of call."""
        most = self.configured.calls_per_hour * 3 // 4
        full = [hour[-most] + HOUR for hour in self._hours.values() if len(hour) >= most]
        return max(full, default=0.0)

    def held_until(self) -> float:
        """When the last Retry-After ends."""
        return max(self.not_before.values(), default=0.0)


def _asked_wait(fault: str | None, outcome: Failure) -> float:
    """How long USPS truly asks to be left alone, as far as that is obeyed."""
    if fault in LIMITS:
        return LIMITS[fault].seconds
    return min(outcome.retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS)


def _forget_older(hour: deque[float], than: float) -> None:
    while hour and hour[0] <= than:
        hour.popleft()
