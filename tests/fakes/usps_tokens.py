"""Tokens and answers as USPS makes them, without a signature that anybody could check."""

import base64
import json
from typing import Any

HEADER = {"typ": "JWT", "alg": "RS256", "kid": "a"}


def jwt(**claims: Any) -> str:
    """A JWT with these claims."""
    parts = [json.dumps(part).encode() for part in (HEADER, claims)]
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts]
    return ".".join((*encoded, "c2lnbmF0dXJl"))


LIVE = jwt(sub="1", iat=1_716_000_000, exp=1_716_028_800)


def token_answer(**changes: Any) -> dict[str, Any]:
    """A 200 of the token endpoint; None takes a field away."""
    fields = {
        "access_token": LIVE,
        "token_type": "Bearer",
        "issued_at": 1_716_000_000_412,
        "expires_in": 28_799,
        "status": "approved",
        "scope": "addresses  payments labels",
        "issuer": "https://keyc.usps.com/realms/USPS",
        "client_id": "an-id",
        "api_products": "[Public Access I]",
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


def payment_answer(**changes: Any) -> dict[str, Any]:
    """A 200 of payment-authorization; None takes a field away."""
    fields = {"paymentAuthorizationToken": LIVE, "roles": []} | changes
    return {name: value for name, value in fields.items() if value is not None}


def api_error(status: int, message: str, *items: dict[str, Any]) -> bytes:
    """An error of any API but OAuth, laid out as the gateway does."""
    errors = json.dumps(list(items))
    return (
        f'\n            {{\n                "apiVersion": "/labels/v3",\n'
        f'                "error": {{\n                    "code": "{status}",\n'
        f'                    "message": {json.dumps(message)},\n'
        f'                    "errors": {errors}\n                }}\n            }}\n        '
    ).encode()


def oauth_error(error: str, description: str) -> bytes:
    """An error of the token endpoint."""
    return json.dumps(
        {"error": error, "error_description": description, "error_uri": "https://example.org"}
    ).encode()


def fault(text: str, code: str) -> bytes:
    """A raw fault of the gateway."""
    return json.dumps({"fault": {"faultstring": text, "detail": {"errorcode": code}}}).encode()


PAGE = (
    b"<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\n"
    b"You don't have permission to access this resource.<P>Reference&#32;&#35;18&#46;0\n</BODY>"
)
