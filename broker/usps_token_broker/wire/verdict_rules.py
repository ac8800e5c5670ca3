"""The table behind `verdicts.judge`: the first rule that holds for an answer names what it is.

The words come from what USPS documents (OAuth 3.1.4, Labels 3.9.13, API Error Consolidated List of
2025-10-30), from recorded answers, and from Apigee, USPS's gateway, whose faults leak through.
What USPS says of an expired payment token was never seen in public.
"""

import enum
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from usps_token_broker.wire import remedies
from usps_token_broker.wire.refusals import lacks_product, lacks_scope
from usps_token_broker.wire.usps import Shape, UspsError


class VerdictCode(enum.StrEnum):
    """The stable name of every verdict."""

    NOT_AN_ERROR = "not_an_error"
    TOKEN_DEAD = "token_dead"  # noqa: S105 - the name of a verdict, as are the next four
    PAYMENT_TOKEN_DEAD = "payment_token_dead"  # noqa: S105
    PAYMENT_TOKEN_MISSING = "payment_token_missing"  # noqa: S105
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105
    TOKEN_ENDPOINT = "token_endpoint"  # noqa: S105
    SCOPE_MISSING = "scope_missing"
    PRODUCT_MISSING = "product_missing"
    HOST_MISMATCH = "host_mismatch"
    PAYMENT_ROLE = "payment_role"
    CONTRACT = "contract"
    LICENCE = "licence"
    ACCESS_CONTROL = "access_control"
    BLOCKED = "blocked"
    RATE_LIMITED = "rate_limited"
    FORM_ERROR = "form_error"
    NOT_FOUND = "not_found"
    SERVER_ERROR = "server_error"
    NOT_RECOGNISED = "not_recognised"


class Seen(NamedTuple):
    """An answer that a worker got, as the rules look at it."""

    status: int
    headers: Mapping[str, str]
    error: UspsError
    segments: frozenset[str]
    """Of the path, in lower case."""
    own_host: str
    called_host: str
    """For people, as is `own_host`; empty when the worker does not say."""
    hosts_differ: bool
    payment_sent: bool
    on_label: bool
    """Whether the path is one of those that need the payment token."""


Text = str | Callable[[Seen], str]


class Rule(NamedTuple):
    """What an answer is when `holds`, and what to say of it."""

    code: VerdictCode
    holds: Callable[[Seen], bool]
    detail: Text
    fix: Text


def said(text: Text, seen: Seen) -> str:
    """A rule's text for this answer."""
    return text if isinstance(text, str) else text(seen)


def names_payment_token(seen: Seen) -> bool:
    """Whether the answer speaks of the payment token."""
    return _PAYMENT_TOKEN.search(seen.error.text) is not None


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_PAYMENT_TOKEN: Final = _words(r"payment[-_ ]?auth(?:orization)?[-_ ]?token")
_MISSING: Final = _words(r"(?<!or )\b(?:missing|must not be null|not present)\b(?! or)")
_MALFORMED: Final = _words(r"\bmalformed\b|not a jwt|failed ?to ?resolve ?access ?token")
_OVER: Final = _words(r"\bexpired|\brevoked|no longer valid")
_DEAD: Final = _words(r"\bexpired|\brevoked|\binvalid|\bnot valid|no longer valid")
_RATE: Final = _words(r"policies\.ratelimit|SpikeArrestViolation|QuotaViolation")
_LIST_CODE: Final = re.compile(r"\d{6}")
_CONTRACT: Final = _words(r"\bcontract\b")
_LICENCE: Final = _words(r"\blicen[cs]")

_AUTH: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_REFUSED: Final = _AUTH | {HTTPStatus.BAD_REQUEST}
_FORM: Final = frozenset({400, 405, 406, 409, 410, 411, 413, 414, 415, 422, 428, 431})


def _finds(pattern: re.Pattern[str], seen: Seen) -> bool:
    return pattern.search(seen.error.text) is not None


def _is_unauthorized(seen: Seen) -> bool:
    return seen.status == HTTPStatus.UNAUTHORIZED


def _is_forbidden(seen: Seen) -> bool:
    return seen.status == HTTPStatus.FORBIDDEN


def _is_client_error(seen: Seen) -> bool:
    return HTTPStatus.BAD_REQUEST <= seen.status < HTTPStatus.INTERNAL_SERVER_ERROR


def _refuses_payment_token(seen: Seen) -> bool:
    return seen.status in _REFUSED and names_payment_token(seen)


def _is_missing(seen: Seen) -> bool:
    """Said to be missing; `missing or invalid` says so only of a token that was not sent."""
    return _finds(_MISSING, seen) or not (seen.payment_sent or _is_listed(seen))


def _is_listed(seen: Seen) -> bool:
    """Whether it has a code of USPS's list, all of which are about the request."""
    return any(_LIST_CODE.fullmatch(code) for code in seen.error.sub_codes)


def _is_malformed(seen: Seen) -> bool:
    return (_finds(_MALFORMED, seen) or _finds(_MISSING, seen)) and not _finds(_OVER, seen)


def _is_payment_dead(seen: Seen) -> bool:
    return _refuses_payment_token(seen) and _finds(_DEAD, seen) and not _is_listed(seen)


def _is_invalid_client(seen: Seen) -> bool:
    return "invalid_client" in (seen.error.code, *seen.error.sub_codes)


def _dead_detail(seen: Seen) -> str:
    if seen.error.message:
        return "USPS no longer takes the token"
    return "USPS refused the token and did not say why, so it may be dead"


def _dead_fix(seen: Seen) -> str:
    fix = "send the call again with the headers that the broker gives"
    if seen.on_label and not seen.payment_sent:
        fix += f"; {_SEND_PAYMENT}"
    return fix


def _mismatch_fix(seen: Seen) -> str:
    return (
        f"call {seen.own_host or 'the host of the app'}, which these tokens are for, or ask the "
        f"broker with app=NAME for the app whose host is {seen.called_host}"
    )


_SEND_PAYMENT: Final = (
    "send the payment token in the header X-Payment-Authorization-Token, not in the body: the "
    "broker gives both headers at /v1/headers?payment=default"
)
_AFTER_GRANT: Final = (
    "once it is granted, `usps-token-broker renew`: a bearer token from before does not have it"
)
_NEW_PRODUCT: Final = f"ask USPS for access to this API ({remedies.SUPPORT}); {_AFTER_GRANT}"

RULES: Final = (
    Rule(
        VerdictCode.NOT_AN_ERROR,
        lambda s: HTTPStatus.OK <= s.status < HTTPStatus.MULTIPLE_CHOICES,
        "this answer is no error",
        "nothing to do",
    ),
    Rule(
        VerdictCode.RATE_LIMITED,
        lambda s: s.status == HTTPStatus.TOO_MANY_REQUESTS or _finds(_RATE, s),
        "too many calls to this API",
        "call less often, and not before Retry-After; USPS allows 60 calls per hour and API unless "
        f"it granted more ({remedies.SUPPORT}), and new tokens do not change that",
    ),
    Rule(
        VerdictCode.SERVER_ERROR,
        lambda s: s.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
        "USPS itself failed",
        "try again after a while; the tokens have nothing to do with it",
    ),
    Rule(
        VerdictCode.TOKEN_ENDPOINT,
        lambda s: _is_client_error(s) and "oauth2" in s.segments,
        "this call asked USPS for a token, which is what the broker is for",
        "take tokens from the broker, and do not call /oauth2 from a worker",
    ),
    Rule(
        VerdictCode.HOST_MISMATCH,
        lambda s: s.status in _AUTH and s.hosts_differ,
        lambda s: f"the tokens are for {s.own_host}, and the call went to {s.called_host}",
        _mismatch_fix,
    ),
    Rule(
        VerdictCode.PAYMENT_ROLE,
        lambda s: _is_client_error(s) and remedies.is_about_payment(s.error),
        "the roles, the account or the enrolment behind the payment token do not allow this call",
        lambda s: remedies.payment_fix(s.error),
    ),
    Rule(
        VerdictCode.PAYMENT_TOKEN_MISSING,
        lambda s: _refuses_payment_token(s) and _is_missing(s),
        "USPS did not find a payment token in this call",
        _SEND_PAYMENT,
    ),
    Rule(
        VerdictCode.TOKEN_MALFORMED,
        lambda s: _refuses_payment_token(s) and _is_malformed(s),
        "the payment token did not arrive whole",
        "send the bare payment token of the broker in X-Payment-Authorization-Token: not the JSON "
        "around it, not cut, no quotes",
    ),
    Rule(
        VerdictCode.PAYMENT_TOKEN_DEAD,
        _is_payment_dead,
        "USPS no longer takes the payment token",
        "send the call again with the headers that the broker gives",
    ),
    Rule(
        VerdictCode.SCOPE_MISSING,
        lambda s: _is_unauthorized(s) and lacks_scope(s.error, s.headers),
        "the bearer token lacks a scope that this API wants",
        _NEW_PRODUCT,
    ),
    Rule(
        VerdictCode.PRODUCT_MISSING,
        lambda s: _is_unauthorized(s) and (lacks_product(s.error) or _is_invalid_client(s)),
        "the application does not have the product that this API belongs to",
        _NEW_PRODUCT,
    ),
    Rule(
        VerdictCode.TOKEN_MALFORMED,
        lambda s: _is_unauthorized(s) and _is_malformed(s),
        "the bearer token did not arrive, or not whole",
        "send `Authorization: Bearer ` and the bare token of the broker: not the JSON around it, "
        "not cut, no quotes, not the payment token",
    ),
    Rule(VerdictCode.TOKEN_DEAD, _is_unauthorized, _dead_detail, _dead_fix),
    Rule(
        VerdictCode.CONTRACT,
        lambda s: _is_forbidden(s) and _finds(_CONTRACT, s),
        "the price type or account of this call is not the application's to use",
        "check priceType, account number and CRID of the request, and ask USPS to link the "
        f"contract to the application ({remedies.SUPPORT})",
    ),
    Rule(
        VerdictCode.SCOPE_MISSING,
        lambda s: _is_forbidden(s) and lacks_scope(s.error, s.headers),
        "the bearer token lacks a scope that this API wants",
        _NEW_PRODUCT,
    ),
    Rule(
        VerdictCode.PRODUCT_MISSING,
        lambda s: _is_forbidden(s) and lacks_product(s.error),
        "the application does not have the product that this API belongs to",
        _NEW_PRODUCT,
    ),
    Rule(
        VerdictCode.BLOCKED,
        lambda s: _is_forbidden(s) and s.error.shape is Shape.HTML,
        "something in front of USPS, such as its CDN or a proxy, refused the call",
        "look at URL, method and User-Agent of the call and at the address it comes from; USPS "
        "itself did not see it",
    ),
    Rule(
        VerdictCode.LICENCE,
        lambda s: _is_forbidden(s) and (_finds(_LICENCE, s) or "addresses" in s.segments),
        "the application may lack the licence of this API",
        f"accept the licence of the API in {remedies.PORTAL}, as USPS wants it for Addresses since "
        "August 2026",
    ),
    Rule(
        VerdictCode.ACCESS_CONTROL,
        _is_forbidden,
        "the application may not use this API, or not for this account",
        f"check in {remedies.PORTAL} that the application has the product of this API and is "
        f"linked to the account; {_AFTER_GRANT}",
    ),
    Rule(
        VerdictCode.NOT_FOUND,
        lambda s: s.status == HTTPStatus.NOT_FOUND,
        "USPS does not know this path, or not the thing it names",
        "check the path and the id in it; the tokens have nothing to do with it",
    ),
    Rule(
        VerdictCode.FORM_ERROR,
        lambda s: s.status in _FORM,
        "the request itself is wrong, and would be with any token",
        "mend the request as USPS says",
    ),
    Rule(
        VerdictCode.NOT_RECOGNISED,
        lambda _s: True,
        "this answer is none that the broker knows to be about a token",
        "look at the answer itself; if it is about a token after all, report it to the makers of "
        "the broker",
    ),
)
"""In this order. What a status decides alone comes first, then the most telling words."""
