"""Answers of the two token endpoints: a validated grant, or why there is none."""

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from usps_token_broker import catalogue
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import NOMINAL_LIFE_SECONDS, Secret
from usps_token_broker.wire.disguises import holds
from usps_token_broker.wire.redaction import redact
from usps_token_broker.wire.refusals import payment_failure, token_failure
from usps_token_broker.wire.usps import Shape, error_of

MAX_TOKEN_CHARS: Final = 16_384
"""USPS's are about 1,600 long; servers refuse headers far below this."""

_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]+")
_SCOPE_NAME: Final = re.compile(r"[\x21-\x7e]{1,128}")
_MAX_SCOPES: Final = 500
_DECIMAL: Final = re.compile(r"\s*[0-9]{1,15}(?:\.[0-9]{1,9})?\s*")
_JWT_PARTS: Final = 3

Fields = Mapping[str, object]


class _UnusableError(Exception):
    """The answer holds no token that can be used; the text ends a sentence about it."""


def read_token_answer(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret] = ()
) -> Grant | Failure:
    """What `POST /oauth2/v3/token` answered.

    The life is the shorter of `expires_in` and the token's own `exp - iat`, at most eight hours.
    `secrets` is what may be echoed and must not be told: neither to people nor, as a token or a
    scope, to workers.
    """
    known = tuple(secrets)
    if status != HTTPStatus.OK:
        return token_failure(status, headers, body, known)
    return _read(headers, body, known, lambda fields: _bearer(fields, known))


def read_payment_answer(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret] = ()
) -> Grant | Failure:
    """What `POST /payments/v3/payment-authorization` answered.

    USPS names no lifetime: it is the token's own `exp - iat`, at most eight hours, and eight hours
    when the token does not tell (USPS Payments 3.1.20: valid eight hours after issuance).
    """
    if status != HTTPStatus.OK:
        return payment_failure(status, headers, body, secrets)
    return _read(headers, body, secrets, _payment)


def _read(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Iterable[Secret],
    read: Callable[[Fields], Grant],
) -> Grant | Failure:
    try:
        return read(_fields(headers, body))
    except _UnusableError as problem:
        return Failure(
            kind=FailureKind.TRANSIENT,
            code=Code.UPSTREAM_UNAVAILABLE,
            detail=redact(f"USPS answered 200 without a usable token: {problem}", secrets),
            fix=catalogue.row("token_unusable").fix,
            upstream_status=HTTPStatus.OK.value,
            reason="token_unusable",
        )


def _fields(headers: Mapping[str, str], body: bytes) -> Fields:
    shape = error_of(headers, body).shape
    problem = _NO_FIELDS.get(shape)
    if problem is not None:
        raise _UnusableError(problem)
    try:
        fields = msgspec.json.decode(body.lstrip(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        raise _UnusableError("its body is not valid JSON in UTF-8") from None
    if not isinstance(fields, dict):
        raise _UnusableError("its body is JSON, but no object")
    return fields


_NO_FIELDS: Final = {
    Shape.EMPTY: "its body is empty",
    Shape.HTML: "its body is a page, not JSON",
    Shape.CUT: "its body is not valid JSON",
    Shape.GARBAGE: "its body is not valid JSON",
    Shape.COMPRESSED: "its body is compressed, though no compression was asked for",
    Shape.TOO_LARGE: "its body is far too large",
}


def _bearer(fields: Fields, secrets: tuple[Secret, ...]) -> Grant:
    token = _token(fields, "access_token")
    if holds(token, secrets):
        raise _UnusableError("access_token holds the client secret, which is for no worker")
    kind, status = fields.get("token_type"), fields.get("status")
    if kind is not None and (not isinstance(kind, str) or kind.strip().lower() != "bearer"):
        raise _UnusableError("token_type is not Bearer")
    if isinstance(status, str) and status.strip().lower() == "revoked":
        raise _UnusableError("its status is revoked")
    lives = [life for life in (_expires_in(fields), _life_of_jwt(token)) if life is not None]
    if not lives:
        raise _UnusableError("expires_in is missing, and the token does not tell its life either")
    return Grant(
        value=Secret(token),
        life_seconds=min(NOMINAL_LIFE_SECONDS, *lives),
        scopes=_scopes(fields.get("scope"), secrets),
    )


def _payment(fields: Fields) -> Grant:
    token = _token(fields, "paymentAuthorizationToken")
    life = _life_of_jwt(token)
    return Grant(
        value=Secret(token),
        life_seconds=NOMINAL_LIFE_SECONDS if life is None else min(NOMINAL_LIFE_SECONDS, life),
        life_is_assumed=life is None,
    )


def _token(fields: Fields, name: str) -> str:
    token = fields.get(name)
    if token is None:
        raise _UnusableError(f"{name} is missing")
    if not isinstance(token, str):
        raise _UnusableError(f"{name} is not a string")
    if not token:
        raise _UnusableError(f"{name} is empty")
    if len(token) > MAX_TOKEN_CHARS:
        raise _UnusableError(f"{name} is longer than {MAX_TOKEN_CHARS} characters")
    if not _HEADER_SAFE.fullmatch(token):
        raise _UnusableError(f"{name} holds a character that may not stand in a header")
    return token


def _expires_in(fields: Fields) -> float | None:
    """A number, or a number in quotes as USPS's README has it."""
    value = fields.get("expires_in")
    if value is None:
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    seconds = _number(value)
    if seconds is None:
        raise _UnusableError("expires_in is not a number of seconds")
    if seconds <= 0:
        raise _UnusableError(f"expires_in is {seconds:g}, so the token is past its life")
    return seconds


def _life_of_jwt(token: str) -> float | None:
    """`exp - iat` of a JWT that has both; None for any other token. The signature is USPS's own."""
    claims = _claims(token)
    expires_at, issued_at = _number(claims.get("exp")), _number(claims.get("iat"))
    if expires_at is None or issued_at is None:
        return None
    life = expires_at - issued_at
    if not 0 < life < math.inf:
        raise _UnusableError("the token's own exp is not after its iat, so it is past its life")
    return life


def issuer_of(token: str) -> str | None:
    """The `iss` of a JWT, unverified; None for any other token."""
    issuer = _claims(token).get("iss")
    return issuer if isinstance(issuer, str) else None


def _claims(token: str) -> Fields:
    """The claims of a JWT (RFC 7519), unverified; none for any other token."""
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return {}
    try:
        claims = msgspec.json.decode(
            base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        )
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _scopes(value: object, secrets: tuple[Secret, ...]) -> tuple[str, ...] | None:
    """The scope names, each once, in USPS's order; None when it names none at all."""
    if not isinstance(value, str):
        return None
    names = dict.fromkeys(name for name in value.split() if _SCOPE_NAME.fullmatch(name))
    few = tuple(names)[:_MAX_SCOPES]
    # All at once: looking for a secret in hundreds of names takes a while.
    if not holds(" ".join(few), secrets):
        return few
    return tuple(name for name in few if not holds(name, secrets))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
