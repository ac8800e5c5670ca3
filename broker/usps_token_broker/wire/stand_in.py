"""USPS's own two token calls, seen from their other side: requests taken apart, answers in shape.

Shapes are those of USPS OAuth 3.1.4 and Payments 3.1.20. A program that was written for USPS reads
a refusal of ours as it would read one of USPS's.
"""

import base64
import binascii
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from usps_token_broker.core.values import Secret
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.grants import issuer_of
from usps_token_broker.wire.replies import NO_HEADERS, Reply, json_reply

TOKEN_PATH: Final = "/oauth2/v3/token"  # noqa: S105 - a path
PAYMENT_PATH: Final = "/payments/v3/payment-authorization"
_PAYMENT_VERSION: Final = "/payments/v3"
_ERROR_URI: Final = "https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"
REALM: Final = 'realm="usps-token-broker"'
"""Of both 401s: by it they are told from USPS's own."""
OWN_NAME: Final = "the usps-token-broker of this host"
_UNKNOWN: Final = "one that this broker does not know"
OWN_WORDS: Final = (OWN_NAME, _UNKNOWN)
"""One of them stands in the body of both, since many a program logs no headers."""
_MOST_FIELDS: Final = 64


class UnreadableError(Exception):
    """A request that cannot be understood. The text says why, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request for a token came with."""

    grant_type: str
    client_id: str
    secret: Secret
    by_basic: bool
    """Whether they came by HTTP Basic."""


def read_credentials(headers: Mapping[bytes, bytes], body: bytes) -> Credentials:
    """The credentials in the body, JSON or a form, or in `Authorization: Basic`.

    By its first character and not by its Content-Type, which programs get wrong. Fields that are
    not known are passed over, `scope` too: USPS gives what the application has.
    Raises UnreadableError.
    """
    fields = _fields(body)
    basic = _basic(headers.get(b"authorization", b""))
    client_id, secret = basic or (fields.get("client_id", ""), fields.get("client_secret", ""))
    grant_type = fields.get("grant_type", "")
    return Credentials(grant_type, client_id, Secret(secret), by_basic=basic is not None)


def _fields(body: bytes) -> dict[str, str]:
    if body.lstrip()[:1] == b"{":
        value = _json(body)
        if not isinstance(value, dict):
            raise UnreadableError("the body is JSON, but no object")
        return {name: text for name, text in value.items() if isinstance(text, str)}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise UnreadableError("the body is neither valid JSON nor a form") from None


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise UnreadableError("the body is not valid JSON") from None


def _basic(authorization: bytes) -> tuple[str, str] | None:
    """Id and secret (RFC 7617); ours need no percent-encoding, so they are taken as they are."""
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        client_id, colon, secret = (
            base64.b64decode(value.strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, UnicodeDecodeError):
        raise UnreadableError("its Authorization header is not that of HTTP Basic") from None
    if not colon:
        raise UnreadableError("its Authorization header is not that of HTTP Basic")
    return client_id, secret


def read_bearer(headers: Mapping[bytes, bytes]) -> Secret | None:
    """The token of `Authorization: Bearer`, or None."""
    scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
    token = value.strip().decode("latin-1")
    return Secret(token) if scheme.lower() == b"bearer" and token else None


def read_roles(body: bytes) -> list[Mapping[str, Any]]:
    """The roles that a request for a payment token names. Raises UnreadableError."""
    value = _json(body)
    roles = value.get("roles") if isinstance(value, dict) else None
    if not isinstance(roles, list) or not roles:
        raise UnreadableError("roles is required")
    if not all(isinstance(role, dict) for role in roles):
        raise UnreadableError("roles must be an array of objects")
    return roles


@dataclass(frozen=True, slots=True)
class Granted:
    """A token on its way to a program. Instants are Unix seconds."""

    token: Secret
    now: float
    seconds: int
    """How long it may be used from now on."""
    slot: str
    """`app/slot`."""


def bearer_reply(
    granted: Granted, *, client_id: str, app: str, scopes: Iterable[str] | None
) -> Reply:
    """200 of the token call.

    `issued_at` is the instant of this answer and not that of the grant: programs add `expires_in`
    to either, and must come to the same. What USPS says of itself alone is left out.
    """
    token = granted.token.reveal()
    issuer = issuer_of(token)
    said: dict[str, object] = {
        "access_token": token,
        "token_type": "Bearer",
        "issued_at": math.floor(granted.now * 1000),
        "expires_in": granted.seconds,
        "status": "approved",
        "scope": " ".join(scopes or ()),
        **({"issuer": issuer} if issuer else {}),
        "client_id": client_id,
        "application_name": app,
    }
    return json_reply(200, to_json(said), _NO_CACHE, (granted.slot,))


def payment_reply(granted: Granted, roles: Iterable[Mapping[str, Any]]) -> Reply:
    """200 of the payment call, with the roles that the token is for.

    USPS names no lifetime, and its tokens are new; ours may be hours old, so ours says it.
    """
    said = {
        "paymentAuthorizationToken": granted.token.reveal(),
        "roles": [dict(role) for role in roles],
        "expires_in": granted.seconds,
    }
    return json_reply(200, to_json(said), _NO_CACHE, (granted.slot,))


_NO_CACHE: Final = {"Pragma": "no-cache"}
"""RFC 6749 5.1 asks for it beside Cache-Control."""


def oauth_error(
    status: int, error: str, description: str, headers: Mapping[str, str] = NO_HEADERS
) -> Reply:
    """A refusal of the token call (RFC 6749 5.2, USPS OAuth 3.1.4)."""
    said = {"error": error, "error_description": description, "error_uri": _ERROR_URI}
    return json_reply(status, to_json(said), headers)


def wrong_key(*, by_basic: bool) -> Reply:
    """401: the same for an id that there is not and for a wrong secret."""
    scheme = "Basic" if by_basic else "Bearer"
    return oauth_error(
        401,
        "invalid_client",
        f"Client authentication failed. This is {OWN_NAME} and not USPS: "
        "it takes the keys that `usps-token-broker key list` shows, each with its secret",
        {"WWW-Authenticate": f"{scheme} {REALM}"},
    )


def api_error(
    status: int, title: str, detail: str, headers: Mapping[str, str] = NO_HEADERS, source: str = ""
) -> Reply:
    """A refusal of the payment call: the ErrorMessage of every v3 API but OAuth."""
    item = {"title": title, "detail": detail, "source": {"parameter": source or "Authorization"}}
    error = {"code": str(status), "message": title, "errors": [item]}
    body = to_json({"apiVersion": _PAYMENT_VERSION, "error": error})
    return json_reply(status, body, headers)


def wrong_bearer() -> Reply:
    """401 of the payment call."""
    detail = (
        f"Missing or malformed access token, or {_UNKNOWN} (any more): get one from POST "
        f"{TOKEN_PATH} of the same address."
    )
    return api_error(401, "invalid_token", detail, {"WWW-Authenticate": f"Bearer {REALM}"})


def retry_after(seconds: float | None, otherwise: int = 60) -> Mapping[str, str]:
    """`Retry-After` in whole seconds, at least one; `otherwise` where nobody knows."""
    if seconds is None or not math.isfinite(seconds):
        return {"Retry-After": str(otherwise)}
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
