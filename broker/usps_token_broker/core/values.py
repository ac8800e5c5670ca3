"""The values everything else speaks in, with their invariants.

Instants are seconds. `Now.boot` counts on CLOCK_BOOTTIME, which neither steps nor stops in a
suspended machine; `Now.wall` is Unix time, which survives a reboot but may step.
"""

import enum
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

NOMINAL_LIFE_SECONDS: Final = 28_800.0
"""The life of both tokens, eight hours (USPS OAuth 3.1.4 and Payments 3.1.20)."""


class Secret:
    """A string that cannot be printed, formatted, pickled or compared in variable time.

    Only `reveal()` gives the value away, so a search for that word finds every use.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The bare value, for the one place that must send it."""
        return self._value

    def fingerprint(self, *context: str) -> str:
        """A short one-way name of this secret in this context, safe to store and to compare."""
        digest = hashlib.sha256()
        for part in (*context, self._value):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:24]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogatepass"),
            other._value.encode("utf-8", "surrogatepass"),
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied; pass the object itself")


class Now(NamedTuple):
    """Both clocks, read together."""

    boot: float
    wall: float


class SlotId(NamedTuple):
    """A token the broker keeps: which app, and `bearer`, `payment` or `payment-NAME`."""

    app: str
    name: str

    @property
    def is_bearer(self) -> bool:
        """Whether this is the app's OAuth token, which payment tokens are fetched with."""
        return self.name == BEARER

    def __str__(self) -> str:
        return f"{self.app}/{self.name}"


BEARER: Final = "bearer"
PAYMENT: Final = "payment"
PAYMENTS_SCOPE: Final = "payments"
"""The scope a bearer needs before payment-authorization answers (Payments 3.1.20)."""


class AccountId(NamedTuple):
    """One application as USPS knows it; names of apps are ours alone."""

    host: str
    client_id: str


class Endpoint(enum.StrEnum):
    """The two USPS calls that only the broker makes."""

    TOKEN = "token"  # noqa: S105 - the name of an endpoint
    PAYMENT_AUTHORIZATION = "payment-authorization"


class Phase(enum.StrEnum):
    """What a slot is doing about its next token."""

    IDLE = "idle"
    FETCHING = "fetching"
    WAITING = "waiting"
    HALTED = "halted"


class Freshness(enum.StrEnum):
    """How far through its life a token is; computed from token and now, never stored."""

    NONE = "none"
    FRESH = "fresh"
    DUE = "due"
    LATE = "late"
    SPENT = "spent"


@dataclass(frozen=True, slots=True)
class Token:
    """One granted token.

    `sent_at` is when the request left, on both clocks: a life counts from there, since USPS
    cannot have started it earlier than we asked.
    """

    value: Secret
    serial: int
    token_type: str
    sent_at: Now
    life_seconds: float
    renew_at: float
    """On the boot clock; drawn once, when the token was granted."""
    scopes: tuple[str, ...] | None = None
    by_wall: bool = False
    """Restored in another boot: its age comes from the wall clock, so that clock binds too."""
    life_is_assumed: bool = False
    """Nobody told how long it lives."""

    @property
    def end_at(self) -> float:
        """The end of its life on the boot clock."""
        return self.sent_at.boot + self.life_seconds
