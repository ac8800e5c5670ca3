"""What workers say of refused tokens: whom to blame, and how often to believe it.

A report names serials, so a hundred reports of one dead token are one piece of news. The guard
holds back whoever reports one fresh token after another: 60 s, doubling to 15 minutes.
"""

import math
from dataclasses import dataclass
from typing import Final

from usps_token_broker.core import schedule

SAME_NEWS_SECONDS: Final = schedule.GUARD_CEILING_SECONDS
"""How long after a refusal another one may have the same cause: as long as a guard may hold."""


@dataclass(slots=True)
class Guard:
    """Holds back renewals asked for by reports. Instants are boot seconds."""

    until_at: float = 0.0
    seconds: float = 0.0
    """The last span it held for; 0 when it never did."""

    def admit(self, now_boot: float, token_age_seconds: float, life_seconds: float) -> bool:
        """Whether a report of the current token may cause a renewal now; counts it if so."""
        if now_boot < self.until_at:
            return False
        first = schedule.scaled(schedule.GUARD_FIRST_SECONDS, life_seconds)
        ceiling = schedule.scaled(schedule.GUARD_CEILING_SECONDS, life_seconds)
        # Twice the span: a token that outlived that was good, and the news of its death is new.
        again = self.seconds > 0 and token_age_seconds < 2 * self.seconds
        self.seconds = min(ceiling, 2 * self.seconds) if again else first
        self.until_at = now_boot + self.seconds
        return True


@dataclass(slots=True)
class Blame:
    """Which bearer a payment serial was last refused together with.

    A refused label call may mean either token. The bearer is renewed first; only when the same
    payment serial is refused again beside another bearer is the payment token to blame. That must
    be soon after, or for the second time: hours later the bearer may have died as well.
    """

    payment_serial: int | None = None
    bearer_serial: int | None = None
    refused_at: float = -math.inf
    """When the payment serial was last refused, on the boot clock."""
    doubted: bool = False
    """Whether that payment serial was let off once, since the news came late."""

    def falls_on_payment(
        self, payment_serial: int | None, bearer_serial: int | None, now_boot: float
    ) -> bool:
        """Whether this refusal is the payment token's; remembers it if not.

        Both serials must be those in use: what came late tells nothing of the pair there is now.
        """
        is_soon = now_boot - self.refused_at <= SAME_NEWS_SECONDS
        self.refused_at = now_boot
        same_payment = self.payment_serial == payment_serial
        beside_another = same_payment and bearer_serial != self.bearer_serial
        if beside_another and (is_soon or self.doubted):
            return True
        self.doubted = same_payment and (self.doubted or beside_another)
        self.payment_serial = payment_serial
        self.bearer_serial = bearer_serial
        return False
