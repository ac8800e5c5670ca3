"""One slot: its token, its phase, and when it wants its next attempt.

Rules of this file: every change of phase goes through `phases.MOVES`; freshness is never stored;
a deadline is a plain field on the boot clock; chance comes in as `draw` and becomes a deadline at
once. The good token is no part of the phase: whatever that is, the token is served until it is
spent.
"""

import math
from dataclasses import dataclass, field, replace

from usps_token_broker.core import schedule
from usps_token_broker.core.budget import EXTRA, FIRST, Bucket
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.phases import MOVES, NEEDS, Cause, Move, Wanted
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
    asked_with: str = ""
    """The basis when the running flight was started."""
    bearer_serial: int | None = None
    """Which bearer a payment slot last asked with, or found wanting."""
    bearer_scopes: tuple[str, ...] | None = None
    refused_bearer: int | None = None
    """The bearer that payment-authorization answered 401 to, until a grant."""
    failures: int = 0
    retry_at: float = 0.0
    probes: int = 0
    probe_at: float = math.inf
    refused: str | None = None
    proven: str | None = None
    reported: bool = False
    suspect: bool = False
    guard: Guard = field(default_factory=Guard)
    trouble: Trouble | None = None
    in_vain: Failure | None = None
    """What kept the last probe from USPS, until the next attempt: no answer to what it asked."""
    bucket: Bucket = field(default_factory=Bucket)
    keep_active: bool = False
    """Whether it is renewed only while somebody asks for it."""
    asked_at: float | None = None
    """When it was last asked for; kept for slots that are renewed only while in use."""
    ordered: bool = False
    """Whether a person wants another token, and no flight has begun since."""

    # -- what is so, now ------------------------------------------------------------------------

    def freshness(self, now: Now) -> Freshness:
        """How far through its life the token is."""
        return schedule.freshness(self.policy, self.token, now)

    def servable(self, now: Now) -> bool:
        """Whether the token may be handed out at all."""
        return self.token is not None and now.boot < schedule.spent_at(self.token, now)

    def late_at(self, now: Now) -> float:
        """When the buffer of its token begins; long ago where there is none to serve."""
        if self.token is None or not self.servable(now):
            return -math.inf
        return schedule.late_at(self.policy, self.token, now)

    def good_for(self, min_valid_seconds: float | None, now: Now) -> bool:
        """Whether the token may be handed out and lives that much longer."""
        if self.token is None or not self.servable(now):
            return False
        left = schedule.remaining_seconds(self.token, now)
        return min_valid_seconds is None or left >= min_valid_seconds

    def degraded(self, freshness: Freshness, now: Now) -> bool:
        """Whether a token of this freshness is served although it should have been renewed."""
        if self.token is None:
            return False
        late = freshness in {Freshness.LATE, Freshness.SPENT}
        return late or self.suspect or schedule.clocks_disagree(self.token, now)

    def proof_pending(self) -> bool:
        """Whether a changed secret has not been tried yet."""
        return self.id.is_bearer and self.proven not in {None, self.basis}

    def dormant(self, now: Now) -> bool:
        """Whether nobody has asked for it in a day, and it is kept for those who ask."""
        if not self.keep_active:
            return False
        return self.asked_at is None or now.boot - self.asked_at > schedule.ACTIVE_SECONDS

    def halted(self) -> bool:
        """Whether a person must act."""
        return self.phase is Phase.HALTED

    def halted_for_scope(self) -> bool:
        """Whether this slot waits for a bearer with more scopes."""
        return self.halted() and self._lacks_scope()

    def _lacks_scope(self) -> bool:
        return not self.id.is_bearer and self._troubled_by(FailureKind.SCOPE_MISSING)

    def _troubled_by(self, kind: FailureKind) -> bool:
        return self.trouble is not None and self.trouble.kind is kind

    # -- what it wants --------------------------------------------------------------------------

    def wanted(self, now: Now) -> Wanted | None:
        """The next attempt this slot wants by itself, or None while a flight is out."""
        if self.phase is Phase.FETCHING or self.dormant(now):
            return None
        if self.phase is Phase.HALTED:
            return self._wanted_halted(now)
        if self.phase is Phase.WAITING:
            return self._wanted_again(now)
        return self._wanted_idle(now)

    def wanted_anyway(self, now: Now) -> Wanted | None:
        """The retry that is planned beside the one that a person ordered, if there are both."""
        is_both = self.phase is Phase.WAITING and self.ordered and not self.dormant(now)
        return self._retried(now) if is_both else None

    def _wanted_halted(self, now: Now) -> Wanted:
        if not self.ordered:
            return _want(self.probe_at, Cause.PROBE)
        # What is kept in the bucket is for a planned renewal, and a slot without a token has none.
        return Wanted(now.boot, Cause.PROBE, EXTRA if self.servable(now) else FIRST)

    def _wanted_again(self, now: Now) -> Wanted:
        return Wanted(now.boot, Cause.RETRY, EXTRA) if self.ordered else self._retried(now)

    def _retried(self, now: Now) -> Wanted:
        if self.token is not None and now.boot < self.token.renew_at and self.servable(now):
            # The attempt that failed was a report, a proof or a doubt; so is the next one.
            return Wanted(self.retry_at, Cause.RETRY, EXTRA)
        return _want(self.retry_at, Cause.RETRY)

    def _wanted_idle(self, now: Now) -> Wanted:
        if self.token is None or not self.servable(now):
            return _want(now.boot, Cause.MISSING)
        if now.boot >= self.token.renew_at:
            return _want(self.token.renew_at, Cause.DUE)
        early = self._early_cause(self.token, now)
        return _want(self.token.renew_at, Cause.DUE) if early is None else _want(now.boot, early)

    def _early_cause(self, token: Token, now: Now) -> Cause | None:
        """Why a token is renewed before its time."""
        if self.ordered:
            return Cause.ORDERED
        if self.reported:
            return Cause.REPORTED
        if self.proof_pending():
            return Cause.PROOF
        return Cause.CLOCK if schedule.clocks_disagree(token, now) else None

    # -- what happens to it ---------------------------------------------------------------------

    def _move(self, move: Move) -> None:
        self.phase = MOVES[self.phase, move]

    def asked(self, now: Now) -> None:
        """Somebody wants this token."""
        self.asked_at = now.boot

    def order(self, now: Now) -> int:
        """A person wants another token: by this attempt. A flight that is out already will do."""
        self.asked(now)
        self.ordered = self.phase is not Phase.FETCHING
        return self.attempt + self.ordered

    def forget(self) -> None:
        """Drop the token, and what is known against asking for another. A flight goes on."""
        self.token = None
        self.trouble = None
        self.reported = self.suspect = False
        self.refused_bearer = None
        self.plan_anew()
        self._forget_hold_off()
        if self.cause is Cause.PROBE:
            # No refusal is left for it to test, nor to fall back to.
            self.cause = Cause.MISSING

    def report(self, now: Now) -> bool:
        """The current token is said to be dead. False where the guard holds a renewal back."""
        if self.phase is Phase.IDLE and not self.reported and self.token is not None:
            age = now.boot - self.token.sent_at.boot
            if not self.guard.admit(now.boot, age, self.life_seconds):
                return False
        self.reported = True
        self.suspect = self.suspect or self.halted()
        return True

    def start(self, cause: Cause, bearer: Token | None, now: Now) -> None:
        """Begin a flight; what it costs is charged here, before anything is sent."""
        self._move(Move.START)
        self.attempt += 1
        self.ordered = False
        self.in_vain = None
        self.cause = cause
        self.asked_with = self.basis
        self._note_bearer(bearer)
        self.charged_at = now.boot
        self.bucket.charge(now.boot, self.life_seconds)

    def _note_bearer(self, bearer: Token | None) -> None:
        self.bearer_serial = bearer.serial if bearer else None
        self.bearer_scopes = bearer.scopes if bearer else None

    def gains(self, grant: Grant, sent_at: Now, now: Now) -> bool:
        """Whether this grant is worth more than the token we have."""
        end_at = sent_at.boot + grant.life_seconds
        # Past its life on arrival (a suspended machine), or a life that is no number.
        if not now.boot < end_at - schedule.check_after_seconds(grant.life_seconds):
            return False
        if self.token is None:
            return True
        if self.token.value == grant.value:
            return False
        # The end of a token that does not tell its life is a guess, and outlasts no known one.
        is_better_known = self.token.life_is_assumed and not grant.life_is_assumed
        return self.reported or is_better_known or end_at > schedule.end_at(self.token, now)

    def granted(self, token: Token) -> None:
        """The flight brought a token worth having: it replaces the one before."""
        self.token = token
        self.life_seconds = token.life_seconds
        self.reported = self.suspect = False
        self.fulfilled()

    def fulfilled(self) -> None:
        """The flight brought what it was for: nothing is wrong any more."""
        self._move(Move.GRANTED)
        self._forget_hold_off()
        self.refused_bearer = None
        self.trouble = None
        self.cause = None

    def prove(self, asked_with: str) -> bool:
        """USPS accepted these credentials. Whether that answers a pending proof."""
        pending = self.proof_pending()
        self.proven = asked_with
        return pending and not self.proof_pending()

    def failed(self, failure: Failure, asked_with: str, draw: float, now: Now) -> None:
        """The flight brought nothing. The token we have stays."""
        was_probe = self.cause is Cause.PROBE
        self.cause = None
        self.suspect = self.suspect or self.reported
        again_at = now.boot + self._back_off(failure, draw)
        final = self._is_final(failure, asked_with, now)
        if failure.kind is FailureKind.BEARER_REFUSED and self.refused_bearer is None:
            self.refused_bearer = self.bearer_serial
        if was_probe and not final and not _is_an_answer(failure):
            self._probed_in_vain(failure, again_at, now)
            return
        if not final and failure.kind is FailureKind.BEARER_REFUSED:
            # Another bearer may cure it, so it is no refusal of this token yet.
            failure = replace(failure, code=Code.NOT_READY)
        self.trouble = Trouble.after(self.trouble, failure, now.wall)
        if final:
            self.refused = asked_with
            self._halt(now)
            return
        self.retry_at = again_at
        self._move(Move.PASSED)

    def _back_off(self, failure: Failure, draw: float) -> float:
        ceiling = schedule.BACKOFF_CEILING_SECONDS
        if failure.kind is FailureKind.UNREACHED:
            self.bucket.refund()
            ceiling = schedule.UNREACHED_CEILING_SECONDS
        span = schedule.backoff_seconds(self.failures, draw, self.life_seconds, ceiling)
        self.failures += 1
        return span

    def _is_final(self, failure: Failure, asked_with: str, now: Now) -> bool:
        match failure.kind:
            case FailureKind.SCOPE_MISSING:
                return True
            case FailureKind.BEARER_REFUSED:
                return self.refused_bearer not in {None, self.bearer_serial}
            case FailureKind.REFUSED if asked_with == self.basis:
                return self.proven != self.basis or not self.servable(now)
            case _:
                return False

    def _probed_in_vain(self, failure: Failure, again_at: float, now: Now) -> None:
        """A fault on the way to USPS does not undo the refusal that the probe was to test."""
        self._halt(now)
        self.in_vain = failure
        if failure.kind is FailureKind.UNREACHED:
            # It was no probe: USPS never saw it.
            self.probes -= 1
            self.probe_at = again_at

    def _halt(self, now: Now) -> None:
        self._move(Move.REFUSED)
        if self._lacks_scope():
            self.probe_at = math.inf
            return
        self.probe_at = now.boot + schedule.probe_seconds(self.probes, self.life_seconds)
        self.probes += 1

    def give_up(self, now: Now) -> bool:
        """Halt a proven slot that was refused, once its token is spent. Whether it did."""
        if self.phase is not Phase.WAITING or not self._troubled_by(FailureKind.REFUSED):
            return False
        if self.servable(now):
            return False
        self.refused = self.basis
        self._halt(now)
        return True

    def miss_scope(self, failure: Failure, bearer: Token, now: Now) -> None:
        """Halt without a call: the bearer is known to lack what this slot needs."""
        self.trouble = Trouble.after(self.trouble, failure, now.wall)
        self._note_bearer(bearer)
        self.ordered = False
        self._halt(now)

    def plan_anew(self) -> None:
        """What stood in the way has changed: forget the hold-off. A flight that is out goes on."""
        if self.phase is not Phase.FETCHING:
            self._move(Move.CHANGED)
            self._forget_hold_off()

    def _forget_hold_off(self) -> None:
        self.failures = self.probes = 0
        self.in_vain = None
        self.retry_at = 0.0
        self.probe_at = math.inf
        self.refused = None


def _is_an_answer(failure: Failure) -> bool:
    """Whether a probe has ended in something that a person must know in place of the refusal."""
    return failure.kind is FailureKind.UNCHANGED or failure.secret_unread


def _want(at: float, cause: Cause) -> Wanted:
    return Wanted(at, cause, NEEDS[cause])
