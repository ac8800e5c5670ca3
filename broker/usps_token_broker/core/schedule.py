"""Arithmetic of token life: when to renew, how long to hold off. Functions of numbers only.

Spans are seconds. A life of eight hours is the measure of all other spans: with shorter lives
they shrink in proportion, so that a token of twenty seconds goes through the same story.
"""

from dataclasses import dataclass
from typing import Final

from usps_token_broker.core.values import NOMINAL_LIFE_SECONDS, Freshness, Now, Token

BACKOFF_FIRST_SECONDS: Final = 5.0
BACKOFF_CEILING_SECONDS: Final = 600.0
"""Ten minutes after USPS is back, so are we."""
UNREACHED_CEILING_SECONDS: Final = 60.0
"""What never reached USPS costs no quota, so it may be tried again sooner."""
RETRY_AFTER_CEILING_SECONDS: Final = 3600.0
"""USPS quotas are per hour; a longer Retry-After is taken for a mistake."""
PROBE_FIRST_SECONDS: Final = 900.0
PROBE_CEILING_SECONDS: Final = 21_600.0
GUARD_FIRST_SECONDS: Final = 60.0
GUARD_CEILING_SECONDS: Final = 900.0
CLOCK_TOLERANCE_SECONDS: Final = 60.0
"""How far the two clocks may differ over one life before the token is looked at again."""
COLD_PACE_SECONDS: Final = 1.0
"""Between first calls of many payment slots that nobody waits for."""
CHECK_AFTER_SECONDS: Final = 60.0
ACTIVE_SECONDS: Final = 86_400.0
"""How long after it was last asked for a token with `keep = "active"` is still renewed."""
SMALLEST_SPAN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class LifePolicy:
    """The two spans an administrator may choose, as configured."""

    buffer_seconds: float = 1800.0
    lead_seconds: float = 3600.0


def buffer_seconds(policy: LifePolicy, life_seconds: float) -> float:
    """The last part of a life, in which a token should no longer be in use.

    It holds the end that is never served, so that no renewal is planned for after that.
    """
    return max(check_after_seconds(life_seconds), min(policy.buffer_seconds, life_seconds / 4))


def lead_seconds(policy: LifePolicy, life_seconds: float) -> float:
    """How long before the buffer the renewal starts, without jitter."""
    return min(policy.lead_seconds, life_seconds / 4)


def check_after_seconds(life_seconds: float) -> float:
    """How long a client may use a token unasked; also the end of a life that is never served."""
    return min(CHECK_AFTER_SECONDS, life_seconds / 8)


def renew_at(policy: LifePolicy, end_at: float, life_seconds: float, draw: float) -> float:
    """When to renew a token that ends at `end_at`; `draw` in [0, 1) is drawn once per grant."""
    lead = lead_seconds(policy, life_seconds)
    return end_at - buffer_seconds(policy, life_seconds) - lead * (1 + draw / 10)


def scaled(span_seconds: float, life_seconds: float) -> float:
    """A span of back-off or guard, shrunk with the life, never under a second."""
    share = min(1.0, life_seconds / NOMINAL_LIFE_SECONDS)
    return max(SMALLEST_SPAN_SECONDS, span_seconds * share)


def backoff_seconds(failures: int, draw: float, life_seconds: float, ceiling: float) -> float:
    """Full jitter: `draw` of a span that doubles with each failure up to the ceiling."""
    span = min(ceiling, BACKOFF_FIRST_SECONDS * 2.0 ** min(failures, 16))
    return max(SMALLEST_SPAN_SECONDS, draw * scaled(span, life_seconds))


def probe_seconds(probes: int, life_seconds: float) -> float:
    """How long a refused slot waits before it asks again, after so many probes."""
    return scaled(
        min(PROBE_CEILING_SECONDS, PROBE_FIRST_SECONDS * 2.0 ** min(probes, 16)), life_seconds
    )


def obeyed_retry_after(retry_after_seconds: float | None) -> float:
    """The part of a Retry-After that is obeyed."""
    # The comparison is false for NaN as well.
    if retry_after_seconds is None or not retry_after_seconds > 0:
        return 0.0
    return min(retry_after_seconds, RETRY_AFTER_CEILING_SECONDS)


def end_at(token: Token, now: Now) -> float:
    """The end of a token's life on the boot clock; the sooner of both clocks where both bind."""
    if token.by_wall:
        by_wall = now.boot + token.sent_at.wall + token.life_seconds - now.wall
        return min(token.end_at, by_wall)
    return token.end_at


def remaining_seconds(token: Token, now: Now) -> float:
    """What is left of a token's life; negative when it is past."""
    return end_at(token, now) - now.boot


def clocks_disagree(token: Token, now: Now) -> bool:
    """Whether the two clocks tell a different age of this token (a step, a lost battery)."""
    by_boot = now.boot - token.sent_at.boot
    by_wall = now.wall - token.sent_at.wall
    return abs(by_boot - by_wall) > CLOCK_TOLERANCE_SECONDS


def late_at(policy: LifePolicy, token: Token, now: Now) -> float:
    """When the buffer begins."""
    return end_at(token, now) - buffer_seconds(policy, token.life_seconds)


def spent_at(token: Token, now: Now) -> float:
    """From when a token is never served."""
    return end_at(token, now) - check_after_seconds(token.life_seconds)


def freshness(policy: LifePolicy, token: Token | None, now: Now) -> Freshness:
    """How far through its life the token is."""
    if token is None:
        return Freshness.NONE
    if now.boot >= spent_at(token, now):
        return Freshness.SPENT
    if now.boot >= late_at(policy, token, now):
        return Freshness.LATE
    if now.boot >= token.renew_at or clocks_disagree(token, now):
        return Freshness.DUE
    return Freshness.FRESH


def next_edge_at(policy: LifePolicy, token: Token | None, now: Now) -> float | None:
    """When the freshness changes next by time alone."""
    if token is None:
        return None
    edges = (token.renew_at, late_at(policy, token, now), spent_at(token, now))
    return min((edge for edge in edges if edge > now.boot), default=None)
