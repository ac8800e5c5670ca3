"""What the slots of one endpoint need of its budget, and whether it gives that.

Functions of numbers only, told before anything runs. Spans are seconds; a life is the eight hours
that USPS gives. What they say was held against a running broker on a virtual clock: renewals that
need at most three quarters of the limit are all made before the buffer begins; between that and
the whole limit they still are while every call succeeds; beyond it tokens end.
"""

import enum
import math
from dataclasses import dataclass
from typing import Final

from usps_token_broker.core import schedule
from usps_token_broker.core.budget import HOUR_SECONDS, RETRY
from usps_token_broker.core.values import NOMINAL_LIFE_SECONDS

DAY_SECONDS: Final = 86_400.0
_PLANNED_SHARE: Final = 1.0 - RETRY.hour_kept_share
"""What planned renewals may take on average, so that retries have as much as they leave."""


class Fit(enum.Enum):
    """How a limit stands to the renewals it has to carry."""

    ENOUGH = enum.auto()
    """A quarter and more is left for retries."""
    TIGHT = enum.auto()
    """Every renewal fits, but not what failures add."""
    SCARCE = enum.auto()
    """More comes due than may be renewed."""


@dataclass(frozen=True, slots=True)
class Demand:
    """The slots that share one endpoint's calls per hour."""

    always: int
    """Slots that are renewed whether anybody asks or not."""
    active: int
    """Slots that are renewed only while in use; what they need depends on the day."""
    calls_per_hour: int
    period_seconds: float
    """The shortest time from one renewal of a slot to the next."""
    lead_seconds: float
    """What a renewal has before the buffer begins, at the least."""

    @property
    def calls_per_day(self) -> int:
        """Planned calls of those always kept, rounded up."""
        return math.ceil(round(self.always * DAY_SECONDS / self.period_seconds, 6))

    @property
    def average_per_hour(self) -> float:
        """Planned calls an hour, over a whole life."""
        return self.always * HOUR_SECONDS / self.period_seconds

    @property
    def busiest_per_hour(self) -> int:
        """Calls of the fullest hour: slots that were granted together are renewed together."""
        return min(self.always, self.calls_per_hour)

    @property
    def fit(self) -> Fit:
        """Whether the limit carries the slots that are always kept."""
        if self.always <= carried(self.calls_per_hour, self.period_seconds):
            return Fit.ENOUGH
        if self.average_per_hour <= self.calls_per_hour:
            return Fit.TIGHT
        return Fit.SCARCE

    @property
    def cold_start_seconds(self) -> float:
        """From nothing saved to the last grant, those that are always kept."""
        hours, after = divmod(max(0, self.always - 1), self.calls_per_hour)
        return hours * HOUR_SECONDS + after * schedule.COLD_PACE_SECONDS

    @property
    def retry_wait_seconds(self) -> float:
        """How long a renewal that failed may have to wait for room.

        After a cold start renewals come as its grants did, one full hour after another; of the
        next one, retries have a part of their own.
        """
        return HOUR_SECONDS if self.always >= self.calls_per_hour else 0.0

    @property
    def retry_may_be_late(self) -> bool:
        """Whether that is longer than renewals have before the buffer begins."""
        return self.retry_wait_seconds > self.lead_seconds

    @property
    def needed_per_hour(self) -> int:
        """The least limit that is enough."""
        return math.ceil(round(self.average_per_hour / _PLANNED_SHARE, 6))

    @property
    def room(self) -> int:
        """How many of the slots kept while in use may be in use at once."""
        return max(0, carried(self.calls_per_hour, self.period_seconds) - self.always)


def demand(always: int, active: int, calls_per_hour: int, policy: schedule.LifePolicy) -> Demand:
    """The demand of so many slots under this policy."""
    lead = schedule.lead_seconds(policy, NOMINAL_LIFE_SECONDS)
    return Demand(always, active, calls_per_hour, _period_seconds(policy), lead)


def carried(calls_per_hour: int, period_seconds: float) -> int:
    """How many slots a limit is enough for."""
    return math.floor(round(calls_per_hour * _PLANNED_SHARE * period_seconds / HOUR_SECONDS, 6))


def _period_seconds(policy: schedule.LifePolicy) -> float:
    return schedule.renew_at(policy, NOMINAL_LIFE_SECONDS, NOMINAL_LIFE_SECONDS, 1.0)
