"""POST /oauth2/v3/token, the client_credentials grant (USPS OAuth 3.1.4)."""

import math
from typing import Final
from urllib.parse import parse_qsl

from usps_token_broker.core.values import Secret
from usps_token_broker.simulator import jwt
from usps_token_broker.simulator.desk import Desk
from usps_token_broker.simulator.grants import Granted, TokenKind
from usps_token_broker.simulator.messages import Answer, Request
from usps_token_broker.simulator.shapes import CLIENT_AUTHENTICATION, as_json, oauth_error
from usps_token_broker.simulator.twists import Twist

_OTHER_GRANTS: Final = frozenset({"authorization_code", "refresh_token"})

_MAILER_IDS: Final = tuple(str(900_012_345 + count) for count in range(8))
"""An app that is linked to a business has such in its token; they make it as long as real ones."""

_UNKNOWN_KEY: Final = (
    "InvalidApiKey: The client application credentials provided in the request are missing, "
    "invalid, inactive or not approved for access."
)
_REFUSALS: Final = {
    "unknown_key": _UNKNOWN_KEY,
    "wrong_secret": "Client authentication failed.",
    "other_product": _UNKNOWN_KEY.replace("InvalidApiKey", "InvalidApiKeyForGivenResource", 1),
}


def issue_bearer(desk: Desk) -> Answer:
    """Grant a bearer, or say in the real shape why not."""
    fields = form_of(desk.request)
    if fields is None:
        return oauth_error(
            400, "invalid_request", "The request body is neither valid JSON nor a form."
        )
    grant_type = fields.get("grant_type", "")
    if grant_type != "client_credentials":
        return _other_grant(grant_type)
    client_id = fields.get("client_id", "")
    secret = desk.settings.secret_of(client_id)
    if secret is None:
        return refuse_client("unknown_key")
    if secret != Secret(fields.get("client_secret", "")):
        return refuse_client("wrong_secret")
    return _grant(desk, client_id, fields.get("scope"))


def client_of(request: Request) -> str:
    """The client id that a request for a token names; empty when it names none."""
    return (form_of(request) or {}).get("client_id", "")


def refuse_client(why: str) -> Answer:
    """A 401 about the credentials: `unknown_key`, `wrong_secret` or `other_product`."""
    answer = oauth_error(401, "invalid_client", _REFUSALS[why], CLIENT_AUTHENTICATION)
    return answer.with_headers(("WWW-Authenticate", 'Bearer realm="https://api.usps.com"'))


def form_of(request: Request) -> dict[str, str] | None:
    """The fields of a JSON or form body that are texts; None when the body is neither."""
    if request.media_type == "application/x-www-form-urlencoded":
        try:
            return dict(parse_qsl(request.body.decode("ascii"), keep_blank_values=True))
        except (UnicodeDecodeError, ValueError):
            return None
    try:
        fields = request.json()
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _other_grant(grant_type: str) -> Answer:
    if not grant_type:
        return oauth_error(400, "invalid_request", "The grant_type is missing.")
    reason = "The grant_type is not supported."
    if grant_type in _OTHER_GRANTS:
        reason = "This simulator of USPS supports client_credentials only."
    return oauth_error(400, "unsupported_grant_type", reason)


def _grant(desk: Desk, client_id: str, asked: str | None) -> Answer:
    twist = desk.twist()
    scopes = _scopes(desk, asked, twist)
    about = " ".join(sorted(scopes))
    granted = None
    if twist.has("same_token"):
        granted = desk.grants.latest(TokenKind.BEARER, client_id, about)
    if granted is None:
        granted = _new(desk, client_id, scopes, about, twist)
    return as_json(200, _body(desk, granted, scopes, twist))


def _new(desk: Desk, client_id: str, scopes: tuple[str, ...], about: str, twist: Twist) -> Granted:
    life = twist.life(desk.settings.life_seconds)
    claims = _claims(desk, client_id, " ".join(scopes), life)
    if twist.has("revoke_on_renewal"):
        desk.grants.revoke((TokenKind.BEARER,), desk.now, client_id)
    granted = Granted(
        token=twist.token(desk.grants.sign(claims), desk.grants.opaque()),
        kind=TokenKind.BEARER,
        client_id=client_id,
        about=about,
        scopes=frozenset(scopes),
        issued_at=desk.now,
        ends_at=math.floor(desk.now) + life,
        revoked_at=desk.now + twist.dies_after(),
    )
    desk.grants.add(granted)
    return granted


def _scopes(desk: Desk, asked: str | None, twist: Twist) -> tuple[str, ...]:
    """What is granted: naming scopes gets less, and unknown names are passed over."""
    wanted = None if asked is None else asked.split()
    missing = twist.missing_scopes()
    return tuple(
        scope
        for scope in desk.settings.scopes
        if scope not in missing and (wanted is None or scope in wanted)
    )


def _claims(desk: Desk, client_id: str, scope: str, life: int) -> jwt.Claims:
    issued_at = math.floor(desk.written)
    return {
        "sub": "31415926",
        "azp": client_id,
        "iss": desk.settings.issuer,
        "scope": scope,
        "exp": issued_at + life,
        "iat": issued_at,
        "jti": desk.grants.opaque()[:36],
        "organization_id": "f1b2c3d4-0000-4000-8000-1234567890ab",
        "crid": "12345678",
        "sub_id": "27182818",
        "mail_owners": [{"crid": "12345678", "mids": ", ".join(_MAILER_IDS)}],
        "payment_accounts": {
            "accounts": [{"account_numbers": "1000000001, 1000000002", "source": "EPS"}],
            "permits": [{"permit_numbers": "42, 43", "permit_zip": "63155"}],
        },
        "contracts": {"paymentAccounts": {"1000000001": ["40012345", "40012346"]}, "permits": []},
        "fast": {"crid": "12345678", "scheduler_ids": "15926535, 89793238"},
    }


def _body(desk: Desk, granted: Granted, scopes: tuple[str, ...], twist: Twist) -> dict[str, object]:
    past_end = twist.number("past_end")
    left = int(granted.ends_at - math.floor(desk.now)) - 1 if past_end is None else int(past_end)
    issued_at = int((desk.written - desk.now + granted.issued_at) * 1000)
    as_text = twist.has("string_numbers")
    body: dict[str, object] = {
        "access_token": granted.token,
        "token_type": "Bearer",
        "issued_at": str(issued_at) if as_text else issued_at,
        "expires_in": str(left) if as_text else left,
        "status": "approved",
        # Two spaces after the second name, as USPS's own example has them.
        "scope": "  ".join((" ".join(scopes[:2]), " ".join(scopes[2:]))).strip(),
        "issuer": desk.settings.issuer,
        "client_id": granted.client_id,
        "application_name": "USPS simulator",
        "api_products": "[Public Access I]",
        "public_key": desk.grants.public_key,
    }
    if twist.has("no_token"):
        del body["access_token"]
    if twist.has("no_expires_in"):
        del body["expires_in"]
    return body
