"""Why a program gets no token at USPS's own two calls, in the forms that USPS has for it.

Each says what happened here and what to do, since nobody can look it up at USPS.
"""

from typing import Final

from usps_token_broker.core.commands import Denial
from usps_token_broker.wire import stand_in
from usps_token_broker.wire.local_keys import LocalKey
from usps_token_broker.wire.replies import Reply

_UNUSABLE: Final = "The broker cannot read its local keys. Its log says why."
_MOVED: Final = "The broker's configuration changed meanwhile. Ask again."
_LOOK_AGAIN_SECONDS: Final = 60

# -- POST /oauth2/v3/token ------------------------------------------------------------------------


def unreadable_token_call(error: stand_in.UnreadableError) -> Reply:
    """It is not what USPS would read either."""
    return stand_in.oauth_error(400, "invalid_request", f"{error}.")


def other_grant(grant_type: str) -> Reply:
    """It wants a token by another way than the credentials."""
    if not grant_type:
        return stand_in.oauth_error(400, "invalid_request", "The grant_type is missing.")
    return stand_in.oauth_error(
        400,
        "unsupported_grant_type",
        "The usps-token-broker of this host knows client_credentials only: ask for another token "
        "with the key, there is no other way to refresh one.",
    )


def not_for_slot(key: LocalKey, slot: str) -> Reply:
    """The key is right, and not for this token."""
    return stand_in.oauth_error(
        400,
        "unauthorized_client",
        f"The key {key.name} is not for the token {key.app}/{slot}, or there is none of that name: "
        f"it is for {', '.join(key.slots)} of the app {key.app}.",
    )


def key_too_often(key: LocalKey, per_minute: int, seconds: int) -> Reply:
    """A key asks as if tokens could not be kept."""
    return stand_in.oauth_error(
        429,
        "invalid_request",
        f"SpikeArrestViolation: the key {key.name} asks more than {per_minute} times a minute. "
        "Keep a token for as long as its expires_in says.",
        stand_in.retry_after(seconds),
    )


def wrong_key_too_often(seconds: int) -> Reply:
    """Somebody guesses, or does not notice."""
    return stand_in.oauth_error(
        429,
        "invalid_request",
        "SpikeArrestViolation: too many requests with wrong keys from this address.",
        stand_in.retry_after(seconds),
    )


def no_bearer(denial: Denial) -> Reply:
    """The broker has none, and why."""
    return stand_in.oauth_error(
        503, "invalid_request", _why(denial), stand_in.retry_after(denial.retry_after_seconds)
    )


def bearer_moved() -> Reply:
    """Another configuration is in force than when it was asked for."""
    return stand_in.oauth_error(503, "invalid_request", _MOVED, stand_in.retry_after(1))


def keys_unusable_for_bearer() -> Reply:
    """Nobody can be told from anybody."""
    after = stand_in.retry_after(_LOOK_AGAIN_SECONDS)
    return stand_in.oauth_error(503, "invalid_request", _UNUSABLE, after)


# -- POST /payments/v3/payment-authorization ------------------------------------------------------


def unreadable_payment_call(error: stand_in.UnreadableError) -> Reply:
    """It is not what USPS would read either."""
    return stand_in.api_error(400, "Bad Request", f"{error}.", source="roles")


def payments_too_often(app: str, per_minute: int, seconds: int) -> Reply:
    """An app asks as if tokens could not be kept."""
    return stand_in.api_error(
        429,
        "Too Many Requests",
        f"App {app} asks for payment tokens more than {per_minute} times a minute.",
        stand_in.retry_after(seconds),
    )


def wrong_bearer_too_often(seconds: int) -> Reply:
    """Somebody guesses, or does not notice."""
    return stand_in.api_error(
        429,
        "Too Many Requests",
        "Too many requests with wrong access tokens from this address.",
        stand_in.retry_after(seconds),
    )


def no_key_for_payment(app: str) -> Reply:
    """What opens this call is a bearer of an app that has a key with a payment slot."""
    return stand_in.api_error(
        403,
        "Insufficient OAuth scope",
        f"No local key of the app {app} may have a payment token. Make one that may: "
        f"usps-token-broker key add NAME --app {app} --slots bearer,payment",
    )


def other_roles(reasons: list[str]) -> Reply:
    """It asks for the payment token of others than are configured."""
    return stand_in.api_error(
        400,
        "Bad Request",
        "The broker gives the payment token of the roles in its configuration, and these are "
        f"others ({'; '.join(reasons)}). Set the program to the same CRID and account, or make "
        "a key for a payment slot that has them.",
        source="roles",
    )


def no_payment(denial: Denial) -> Reply:
    """The broker has none, and why."""
    return stand_in.api_error(
        503,
        "Service Unavailable",
        _why(denial),
        stand_in.retry_after(denial.retry_after_seconds),
    )


def payment_moved() -> Reply:
    """Another configuration is in force than when it was asked for."""
    return stand_in.api_error(503, "Service Unavailable", _MOVED, stand_in.retry_after(1))


def keys_unusable_for_payment() -> Reply:
    """Nobody can be told from anybody."""
    after = stand_in.retry_after(_LOOK_AGAIN_SECONDS)
    return stand_in.api_error(503, "Service Unavailable", _UNUSABLE, after)


def _why(denial: Denial) -> str:
    """The reason by its name, for who looks it up; then what happened, and what to do."""
    return f"{denial.reason or denial.code.value}: {denial.detail}. {denial.fix}"
