"""How many calls USPS may still get from us: charged before sending, given back if never sent.

Two limits. A `Bucket` per slot keeps one slot from eating the quota of the others. A `HourWindow`
per (host, client id, endpoint) keeps the sum under the configured calls per hour, which in turn
lies under USPS's own 60 an hour (developers.usps.com, getting started). Instants are boot seconds.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from usps_token_broker.core.schedule import scaled
from usps_token_broker.core.values import Endpoint

BUCKET_SIZE: Final = 4.0
BUCKET_REFILL_SECONDS: Final = 600.0
BUCKET_KEPT: Final = 2.0
"""What reports, probes and renewals by hand leave in a bucket for the planned renewal."""
HOUR_SECONDS: Final = 3600.0


class BudgetKey(NamedTuple):
    """Whose quota a call counts against."""

    host: str
    client_id: str
    endpoint: Endpoint


class Need(NamedTuple):
    """What a call must leave untouched: tokens in the bucket, a share of the hour."""

    bucket_kept: float
    hour_kept_share: float
    hour_own_share: float = 0.0
    """A share of the hour it may have whatever calls of other kinds have taken."""


FIRST = Need(0.0, 0.0)
"""A first attempt may use everything."""
RETRY = Need(0.0, 0.25, 0.25)
"""A retry leaves a quarter of the hour to first attempts of other slots, and has a quarter of its
own: where first attempts fill one hour after another, it would wait for the last of them."""
EXTRA = Need(BUCKET_KEPT, 0.25)
"""Reports, probes, proofs and renewals by hand are worth the least."""


@dataclass(slots=True)
class Bucket:
    """Attempts one slot may make: four, one back every ten minutes (shrinking with the life)."""

    level: float = BUCKET_SIZE
    filled_at: float = 0.0

    def _fill(self, now_boot: float, life_seconds: float) -> None:
        refill = scaled(BUCKET_REFILL_SECONDS, life_seconds)
        gained = max(0.0, now_boot - self.filled_at) / refill
        self.level = min(BUCKET_SIZE, self.level + gained)
        self.filled_at = now_boot

    def left(self, now_boot: float, life_seconds: float) -> float:
        """Attempts left now."""
        self._fill(now_boot, life_seconds)
        return self.level

    def ready_at(self, need: Need, now_boot: float, life_seconds: float) -> float:
        """When an attempt with this need may start."""
        self._fill(now_boot, life_seconds)
        missing = need.bucket_kept + 1.0 - self.level
        # A refill computed by floats may fall short by a hair; that must not cost a wake-up.
        if missing <= 1e-9:  # noqa: PLR2004 - rounding, not a rule
            return now_boot
        return now_boot + missing * scaled(BUCKET_REFILL_SECONDS, life_seconds)

    def charge(self, now_boot: float, life_seconds: float) -> None:
        """Take one attempt out."""
        self._fill(now_boot, life_seconds)
        self.level = max(0.0, self.level - 1.0)

    def refund(self) -> None:
        """Put back an attempt that never reached USPS."""
        self.level = min(BUCKET_SIZE, self.level + 1.0)


@dataclass(slots=True)
class HourWindow:
    """Calls to one endpoint in the last sliding hour, and until when USPS wants none at all."""

    limit: int
    sent_at: deque[float] = field(default_factory=deque)
    retried_at: deque[float] = field(default_factory=deque)
    """Those of them that were retries; not on record, so after a restart they are as the others."""
    floor_at: float = 0.0
    """The end of the latest Retry-After; it speaks of the endpoint, not of one slot."""

    def used(self, now_boot: float) -> int:
        """Calls charged in the hour before now."""
        for calls in (self.sent_at, self.retried_at):
            while calls and calls[0] <= now_boot - HOUR_SECONDS:
                calls.popleft()
        return len(self.sent_at)

    def allowed(self, need: Need) -> int:
        """How many calls an hour this kind of call may bring the total to."""
        return max(1, self.limit - int(self.limit * need.hour_kept_share))

    def ready_at(self, need: Need, now_boot: float) -> float:
        """When a call of this kind may be sent."""
        self.used(now_boot)
        shared_at = _room_at(self.sent_at, self.allowed(need), now_boot)
        own = int(self.limit * need.hour_own_share)
        if shared_at == now_boot or not own:
            return shared_at
        own_at = max(
            _room_at(self.sent_at, self.limit, now_boot),
            _room_at(self.retried_at, own, now_boot),
        )
        return min(shared_at, own_at)

    def charge(self, now_boot: float, *, is_retry: bool = False) -> None:
        """Count a call about to be sent."""
        self.used(now_boot)
        self.sent_at.append(now_boot)
        if is_retry:
            self.retried_at.append(now_boot)

    def hold(self, until_at: float) -> None:
        """Let nothing be sent before then."""
        self.floor_at = max(self.floor_at, until_at)

    def refund(self, charged_at: float, *, is_retry: bool = False) -> None:
        """Forget a call that never reached USPS; others may have been charged at that instant."""
        for calls in (self.sent_at, self.retried_at) if is_retry else (self.sent_at,):
            if charged_at in calls:
                calls.remove(charged_at)


def _room_at(calls: deque[float], most: int, now_boot: float) -> float:
    """When the last hour holds fewer of these calls than that."""
    excess = len(calls) - most
    return now_boot if excess < 0 else calls[excess] + HOUR_SECONDS
