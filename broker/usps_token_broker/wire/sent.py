"""What is wrong with the headers of a request that USPS refused, where they are known."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Final

_BEARER: Final = re.compile(r"bearer +(.*)", re.IGNORECASE | re.DOTALL)
_JWT_PARTS: Final = 3
_SIGNATURE_CHARS: Final = {"RS256": 342, "RS512": 342, "ES256": 86}
"""Of a whole signature in base64url, the key of RSA being 2048 bits long (RFC 7518 3.1, 3.3)."""
_SHORTEST_SIGNATURE: Final = 43
"""Of any other (HS256)."""
_TEST_ISSUER: Final = re.compile(r"\bcat-keyc\b|-cat\.|\bcat-")
"""Of TEM, the test environment: `https://cat-keyc.usps.com/realms/USPS`."""
_TEST_HOST: Final = "apis-tem.usps.com"
_PRODUCTION_HOST: Final = "apis.usps.com"
PAYMENT_HEADER: Final = "x-payment-authorization-token"


def fault(sent: Mapping[str, str], host: str, now: float) -> str | None:
    """The code of what is wrong, or None. `sent` has lower-case names; `now` is Unix seconds."""
    authorization = sent.get("authorization", "").strip()
    if not authorization:
        return "authorization_missing"
    match = _BEARER.fullmatch(authorization)
    if match is None:
        return "bearer_prefix_missing"
    bearer, payment = match[1].strip(), sent.get(PAYMENT_HEADER, "").strip()
    return _of_bearer(bearer, host, now) or (_of_payment(payment, now) if payment else None)


def _of_bearer(token: str, host: str, now: float) -> str | None:
    shape = _shape(token)
    if shape is not None:
        return shape
    claims = _claims(token)
    if "roles" in claims and "scope" not in claims:
        return "payment_token_as_bearer"
    if _of_another_environment(claims, host):
        return "host_mismatch"
    return "token_dead" if _is_over(claims, now) else None


def _of_payment(token: str, now: float) -> str | None:
    if _shape(token) is not None:
        return "payment_token_malformed"
    claims = _claims(token)
    if "scope" in claims and "roles" not in claims:
        return "payment_token_as_bearer"
    return "payment_token_dead" if _is_over(claims, now) else None


def _shape(token: str) -> str | None:
    """What keeps these characters from being a JWT (RFC 7519 3, RFC 7515 3.1)."""
    if token[:1] in {"{", '"', "'"}:
        return "token_is_json"
    parts = token.split(".")
    if not token.startswith("eyJ"):
        return "token_malformed"
    if len(parts) != _JWT_PARTS:
        return "token_cut"
    algorithm = _decoded(parts[0]).get("alg")
    least = _SIGNATURE_CHARS.get(str(algorithm), _SHORTEST_SIGNATURE)
    return None if len(parts[2]) >= least else "token_cut"


def _claims(token: str) -> Mapping[str, object]:
    return _decoded(token.split(".")[1])


def _decoded(part: str) -> Mapping[str, object]:
    """The object in this part of a JWT; empty where there is none."""
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_over(claims: Mapping[str, object], now: float) -> bool:
    end = claims.get("exp")
    return isinstance(end, int | float) and not isinstance(end, bool) and end <= now


def _of_another_environment(claims: Mapping[str, object], host: str) -> bool:
    """Whether the issuer is that of the other one of USPS's two hosts."""
    issuer, name = claims.get("iss"), host.lower().partition(":")[0].rstrip(".")
    if not isinstance(issuer, str) or name not in {_TEST_HOST, _PRODUCTION_HOST}:
        return False
    return (_TEST_ISSUER.search(issuer) is not None) != (name == _TEST_HOST)
