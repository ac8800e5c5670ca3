"""What workers say of refused tokens: whom to blame, and how often to believe it.

A report names serials, so a hundred reports of one dead token are one piece of news. The guard
holds back whoever reports one fresh token after another: 60 s, doubling to 15 minutes.
"""

from dataclasses import dataclass

from usps_token_broker.core import schedule


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
    payment serial is refused again beside another bearer is the payment token to blame.
    """

    payment_serial: int | None = None
    bearer_serial: int | None = None

    def falls_on_payment(self, payment_serial: int, bearer_serial: int) -> bool:
        """Whether this refusal is the payment token's; remembers it if not.

        Both serials must be those in use: what came late tells nothing of the pair there is now.
        """
        same_payment = self.payment_serial == payment_serial
        if same_payment and bearer_serial != self.bearer_serial:
            return True
        self.payment_serial = payment_serial
        self.bearer_serial = bearer_serial
        return False
