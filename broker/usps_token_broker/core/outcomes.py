"""How an attempt at USPS can end, as values: a grant or a failure."""

import enum
from dataclasses import dataclass

from usps_token_broker.core.values import Secret


class FailureKind(enum.StrEnum):
    """What a failure means for the next attempt."""

    UNREACHED = "unreached"
    """DNS, connect or TLS: USPS never saw the call, so it is not charged."""
    TRANSIENT = "transient"
    """Timeout, reset, 5xx, a cut or unusable answer: worth another try after a while."""
    RATE_LIMITED = "rate_limited"
    """429: worth another try, not before `retry_after_seconds`."""
    REFUSED = "refused"
    """USPS understood and said no (credentials, roles, account): a person must act."""
    SCOPE_MISSING = "scope_missing"
    """The bearer lacks a scope; another bearer may have it."""
    BEARER_REFUSED = "bearer_refused"
    """payment-authorization answered 401: the bearer it was called with may be dead."""
    UNCHANGED = "unchanged"
    """USPS granted nothing newer than what we have."""


class Code(enum.StrEnum):
    """The stable name of every error a caller can meet; `wire` gives each its HTTP status."""

    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    FORBIDDEN = "forbidden"
    SCOPE_MISSING = "scope_missing"
    UNKNOWN_APP = "unknown_app"
    UNKNOWN_SLOT = "unknown_slot"
    PAYMENT_NOT_CONFIGURED = "payment_not_configured"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFIG_INVALID = "config_invalid"
    TOO_MANY_REQUESTS = "too_many_requests"
    CREDENTIALS_REFUSED = "credentials_refused"
    PAYMENT_REFUSED = "payment_refused"
    NOT_READY = "not_ready"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    BUDGET_EXHAUSTED = "budget_exhausted"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class Grant:
    """A validated token as USPS gave it, before the core decides whether it gains anything."""

    value: Secret
    life_seconds: float
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750 token type
    scopes: tuple[str, ...] | None = None
    life_is_assumed: bool = False
    """Whether neither USPS nor the token itself tells how long it lives."""
    skew_seconds: float | None = None
    """USPS's `Date` less our wall clock; shown, never used."""
    asked_with: str | None = None
    """Fingerprint of the credentials it was asked with, where the fetcher knows: a secret may
    change under a flight."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt gave no token. `detail` and `fix` are for people and hold no secret."""

    kind: FailureKind
    code: Code
    detail: str
    fix: str
    upstream_status: int | None = None
    sub_code: str | None = None
    """USPS's own code, such as `invalid_client` or `160228`."""
    retry_after_seconds: float | None = None
    skew_seconds: float | None = None
    asked_with: str | None = None
    """As in a grant."""
    reason: str | None = None
    """The row of the catalogue, where it is more exact than `code`."""

    @property
    def secret_unread(self) -> bool:
        """Whether USPS was not asked since the client secret cannot be read: a person must act."""
        return self.kind is FailureKind.UNREACHED and self.code is Code.CREDENTIALS_REFUSED
