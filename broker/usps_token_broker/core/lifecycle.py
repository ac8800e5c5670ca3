"""One slot: what its phase is, what moves it, and when it wants its next attempt.

Rules of this file: every change of phase goes through `MOVES`, a pair that is absent is not
allowed; freshness is never stored; a deadline is a plain field on the boot clock; chance comes in
as `draw` and becomes a deadline at once.

    IDLE      nothing under way; wants an attempt when the token is missing, due, reported,
              doubted by the clocks, or when a changed secret wants proof
    FETCHING  one flight, by the number `attempt`; a result with another number is void
    WAITING   the last attempt failed and another is worth it, not before `retry_at`
    HALTED    USPS said no and a person must act; asked again at `probe_at`, or at once when
              what was refused has changed

The good token is not part of this: whatever the phase, it is served until it is spent. What the
table cannot say: a payment slot also needs a bearer, and every start needs budget. `broker.py`
looks after both.
"""

import enum
import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from usps_token_broker.core import schedule
from usps_token_broker.core.budget import EXTRA, FIRST, RETRY, Bucket, Need
from usps_token_broker.core.outcomes import Failure, FailureKind, Grant
from usps_token_broker.core.reports import Guard
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import (
    NOMINAL_LIFE_SECONDS,
    Freshness,
    Now,
    Phase,
    SlotId,
    Token,
)


class Move(enum.Enum):
    """What can happen to a phase."""

    START = enum.auto()
    GRANTED = enum.auto()
    PASSED = enum.auto()
    """A failure that may pass by itself."""
    REFUSED = enum.auto()
    CHANGED = enum.auto()
    """What stood in the way has changed: plan anew."""


MOVES: Final = {
    (Phase.IDLE, Move.START): Phase.FETCHING,
    (Phase.WAITING, Move.START): Phase.FETCHING,
    (Phase.HALTED, Move.START): Phase.FETCHING,
    (Phase.FETCHING, Move.GRANTED): Phase.IDLE,
    (Phase.FETCHING, Move.PASSED): Phase.WAITING,
    (Phase.FETCHING, Move.REFUSED): Phase.HALTED,
    (Phase.IDLE, Move.REFUSED): Phase.HALTED,
    (Phase.WAITING, Move.REFUSED): Phase.HALTED,
    (Phase.IDLE, Move.CHANGED): Phase.IDLE,
    (Phase.WAITING, Move.CHANGED): Phase.IDLE,
    (Phase.HALTED, Move.CHANGED): Phase.IDLE,
}


class Cause(enum.StrEnum):
    """Why a slot wants an attempt."""

    MISSING = "missing"
    DUE = "due"
    RETRY = "retry"
    REPORTED = "reported"
    CLOCK = "clock"
    PROOF = "proof"
    PROBE = "probe"


NEEDS: Final = {
    Cause.MISSING: FIRST,
    Cause.DUE: FIRST,
    Cause.RETRY: RETRY,
    Cause.REPORTED: EXTRA,
    Cause.CLOCK: EXTRA,
    Cause.PROOF: EXTRA,
    Cause.PROBE: EXTRA,
}


class Wanted(NamedTuple):
    """An attempt a slot wants: not before `at`, on the boot clock."""

    at: float
    cause: Cause

    @property
    def need(self) -> Need:
        """What the attempt must leave in the budget."""
        return NEEDS[self.cause]


@dataclass(slots=True)
class Slot:
    """The state of one token's keeping."""

    id: SlotId
    policy: schedule.LifePolicy
    basis: str = ""
    """Fingerprint of what it is asked with: the credentials of a bearer, the roles of a payment."""
    phase: Phase = Phase.IDLE
    token: Token | None = None
    life_seconds: float = NOMINAL_LIFE_SECONDS
    attempt: int = 0
    cause: Cause | None = None
    """Why the running flight was started."""
    charged_at: float = 0.0
    bearer_serial: int | None = None
    """Which bearer a payment slot last asked with, or found wanting."""
    failures: int = 0
    retry_at: float = 0.0
    floor_at: float = 0.0
    probes: int = 0
    probe_at: float = math.inf
    refused: str | None = None
    proven: str | None = None
    reported: bool = False
    suspect: bool = False
    bearer_renewed: bool = False
    guard: Guard = field(default_factory=Guard)
    trouble: Trouble | None = None
    bucket: Bucket = field(default_factory=Bucket)

    def _move(self, move: Move) -> None:
        self.phase = MOVES[self.phase, move]

    def freshness(self, now: Now) -> Freshness:
        """How far through its life the token is."""
        return schedule.freshness(self.policy, self.token, now)

    def servable(self, now: Now) -> bool:
        """Whether the token may be handed out at all."""
        return self.token is not None and self.freshness(now) is not Freshness.SPENT

    def good_for(self, min_valid_seconds: float | None, now: Now) -> bool:
        """Whether the token may be handed out and lives that much longer."""
        if self.token is None or not self.servable(now):
            return False
        left = schedule.remaining_seconds(self.token, now)
        return min_valid_seconds is None or left >= min_valid_seconds

    def degraded(self, now: Now) -> bool:
        """Whether the token is served although it should have been renewed by now."""
        if self.token is None:
            return False
        late = self.freshness(now) in {Freshness.LATE, Freshness.SPENT}
        return late or self.suspect or schedule.clocks_disagree(self.token, now)

    def proof_pending(self) -> bool:
        """Whether a changed secret has not been tried yet."""
        return self.id.is_bearer and self.proven not in {None, self.basis}

    def wanted(self, now: Now) -> Wanted | None:
        """The next attempt this slot wants by itself, or None while a flight is out."""
        match self.phase:
            case Phase.FETCHING:
                return None
            case Phase.HALTED:
                want = Wanted(self.probe_at, Cause.PROBE)
            case Phase.WAITING:
                want = Wanted(self.retry_at, Cause.RETRY)
            case Phase.IDLE:
                want = self._wanted_idle(now)
        return Wanted(max(want.at, self.floor_at), want.cause)

    def _wanted_idle(self, now: Now) -> Wanted:
        if self.token is None or not self.servable(now):
            return Wanted(now.boot, Cause.MISSING)
        if now.boot >= self.token.renew_at:
            return Wanted(self.token.renew_at, Cause.DUE)
        if self.reported:
            return Wanted(now.boot, Cause.REPORTED)
        if self.proof_pending():
            return Wanted(now.boot, Cause.PROOF)
        if schedule.clocks_disagree(self.token, now):
            return Wanted(now.boot, Cause.CLOCK)
        return Wanted(self.token.renew_at, Cause.DUE)

    def start(self, cause: Cause, bearer_serial: int | None, now: Now) -> None:
        """Begin a flight; what it costs is charged here, before anything is sent."""
        self._move(Move.START)
        self.attempt += 1
        self.cause = cause
        self.bearer_serial = bearer_serial
        self.charged_at = now.boot
        self.bucket.charge(now.boot, self.life_seconds)

    def gains(self, grant: Grant, sent_at: Now, now: Now) -> bool:
        """Whether this grant is worth more than the token we have."""
        if self.token is None:
            return True
        if self.token.value == grant.value:
            return False
        if self.reported or schedule.clocks_disagree(self.token, now):
            return True
        return sent_at.boot + grant.life_seconds > schedule.end_at(self.token, now)

    def granted(self, token: Token) -> None:
        """The flight brought a token worth having: it replaces the one before."""
        self._move(Move.GRANTED)
        self.token = token
        self.life_seconds = token.life_seconds
        self.reported = self.suspect = False
        self.bearer_renewed = False
        self._clear(self.basis)

    def proved(self) -> None:
        """The flight showed that the credentials work, although it brought nothing newer."""
        self._move(Move.GRANTED)
        self._clear(self.basis)

    def _clear(self, proven: str) -> None:
        self.proven = proven
        self.refused = None
        self.failures = self.probes = 0
        self.retry_at = self.floor_at = 0.0
        self.probe_at = math.inf
        self.trouble = None
        self.cause = None

    def failed(self, failure: Failure, draw: float, now: Now) -> None:
        """The flight brought nothing. The token we have stays."""
        was_probe = self.cause is Cause.PROBE
        self.cause = None
        if self.reported:
            self.suspect = True
        floor = schedule.obeyed_retry_after(failure.retry_after_seconds)
        if floor > 0:
            self.floor_at = now.boot + floor
        if failure.kind is FailureKind.UNREACHED:
            self.bucket.refund()
        final = self._is_final(failure, now)
        if was_probe and not final:
            # A fault on the way to USPS does not undo the refusal that the probe was to test.
            self._halt(now)
            return
        self.trouble = Trouble.after(self.trouble, failure, now.wall)
        if final:
            self.refused = self.basis
            self._halt(now)
            return
        ceiling = schedule.BACKOFF_CEILING_SECONDS
        if failure.kind is FailureKind.UNREACHED:
            ceiling = schedule.UNREACHED_CEILING_SECONDS
        span = schedule.backoff_seconds(self.failures, draw, self.life_seconds, ceiling)
        self.retry_at = now.boot + span
        self.failures += 1
        self._move(Move.PASSED)

    def _is_final(self, failure: Failure, now: Now) -> bool:
        match failure.kind:
            case FailureKind.SCOPE_MISSING:
                return True
            case FailureKind.BEARER_REFUSED:
                return self.bearer_renewed
            case FailureKind.REFUSED:
                return self.proven != self.basis or not self.servable(now)
            case _:
                return False

    def _halt(self, now: Now) -> None:
        self._move(Move.REFUSED)
        if self.trouble and self.trouble.kind is FailureKind.SCOPE_MISSING:
            self.probe_at = math.inf
            return
        self.probe_at = now.boot + schedule.probe_seconds(self.probes, self.life_seconds)
        self.probes += 1

    def give_up(self, now: Now) -> bool:
        """Halt a proven slot that was refused, once its token is spent. Whether it did."""
        refused = self.trouble is not None and self.trouble.kind is FailureKind.REFUSED
        if self.phase is Phase.WAITING and refused and not self.servable(now):
            self.refused = self.basis
            self._halt(now)
            return True
        return False

    def miss_scope(self, failure: Failure, bearer_serial: int, now: Now) -> None:
        """Halt without a call: the bearer is known to lack what this slot needs."""
        self.trouble = Trouble.after(self.trouble, failure, now.wall)
        self.bearer_serial = bearer_serial
        self._halt(now)

    def halted(self) -> bool:
        """Whether a person must act."""
        return self.phase is Phase.HALTED

    def halted_for_scope(self) -> bool:
        """Whether this slot waits for a bearer with more scopes."""
        missing = self.trouble is not None and self.trouble.kind is FailureKind.SCOPE_MISSING
        return self.phase is Phase.HALTED and missing

    def plan_anew(self) -> None:
        """What stood in the way has changed: forget the hold-off, keep USPS's own Retry-After."""
        if self.phase is Phase.FETCHING:
            return
        self._move(Move.CHANGED)
        self.failures = self.probes = 0
        self.retry_at = 0.0
        self.probe_at = math.inf
        self.refused = None
