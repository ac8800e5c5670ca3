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

from usps_token_broker import catalogue
from usps_token_broker.catalogue import Row, of_calls
from usps_token_broker.wire import remedies
from usps_token_broker.wire.refusals import is_over, lacks_product, lacks_scope
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
    """What an answer is when `holds`: a verdict, and the row of the catalogue that explains it.

    `detail` and `fix` say it better than the row's cause and fix where the answer itself is known.
    """

    code: VerdictCode
    holds: Callable[[Seen], bool]
    row: Callable[[Seen], Row]
    detail: Text | None = None
    fix: Text | None = None


def said(text: Text | None, seen: Seen, otherwise: str) -> str:
    """A rule's text for this answer; without one, the row's."""
    if text is None:
        return otherwise
    return text if isinstance(text, str) else text(seen)


def _rule(
    code: VerdictCode,
    holds: Callable[[Seen], bool],
    *,
    reason: str = "",
    detail: Text | None = None,
    fix: Text | None = None,
) -> Rule:
    """A rule whose row does not depend on the answer."""
    row = catalogue.row(reason or code.value)
    return Rule(code, holds, lambda _seen: row, detail, fix)


def names_payment_token(seen: Seen) -> bool:
    """Whether the answer speaks of the payment token."""
    return _PAYMENT_TOKEN.search(seen.error.text) is not None


def _words(pattern: str) -> re.Pattern[str]:
    """For text in lower case: without flags a search of a long text is several times as fast."""
    return re.compile(pattern)


_PAYMENT_TOKEN: Final = _words(r"payment[-_ ]?auth(?:orization)?[-_ ]?token")
_MISSING: Final = _words(r"(?<!or )(?<!\w)(?:missing|must not be null|not present)\b(?! or)")
_MALFORMED: Final = _words(
    r"(?:(?<!\w)malformed\b|not a jwt|failed ?to ?resolve ?access ?token"
    r"|failed ?to ?decode)"
)
_DEAD: Final = _words(r"(?<!\w)(?:expired|revoked|invalid|not valid|no longer valid)")
_RATE: Final = _words(r"policies\.ratelimit|spikearrestviolation|quotaviolation")
_LIST_CODE: Final = re.compile(r"\d{6}")
_CONTRACT: Final = _words(r"contract(?<=\bcontract)\b")
_LICENCE: Final = _words(r"licen(?<=\blicen)[cs]")
_OLD_HOST: Final = _words(r"^(?:api\.usps\.com|[a-z0-9-]*-cat\.usps\.com)(?::\d+)?$")
"""Hosts of the platform before 2025 (USPS API Cloud Enrollment, 2024)."""

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
    return (_finds(_MALFORMED, seen) or _finds(_MISSING, seen)) and not is_over(seen.error)


def _is_payment_dead(seen: Seen) -> bool:
    return _refuses_payment_token(seen) and _finds(_DEAD, seen) and not _is_listed(seen)


def _is_invalid_client(seen: Seen) -> bool:
    codes = (seen.error.code, *seen.error.sub_codes)
    return any(code.lower() == "invalid_client" for code in codes)


def _is_contract(seen: Seen) -> bool:
    """Its words may name the payment token as well, whose contract it is."""
    is_dead = names_payment_token(seen) and is_over(seen.error)
    return _is_forbidden(seen) and _finds(_CONTRACT, seen) and not is_dead


def _dead_detail(seen: Seen) -> str:
    if _finds(_DEAD, seen):
        return "USPS no longer takes the token"
    return "USPS refused the token and did not say why, so it may be dead"


def _dead_fix(seen: Seen) -> str:
    fix = of_calls.SEND_AGAIN
    if seen.on_label and not seen.payment_sent:
        fix += f"; {of_calls.SEND_PAYMENT}"
    return fix


def is_old_host(host: str) -> bool:
    """Whether this host is of the platform before 2025."""
    return _OLD_HOST.search(host) is not None


def _mismatch_fix(seen: Seen) -> str:
    return (
        f"call {seen.own_host or 'the host of the app'}, which these tokens are for, or ask the "
        f"broker with app=NAME for the app whose host is {seen.called_host}"
    )


RULES: Final = (
    _rule(
        VerdictCode.NOT_AN_ERROR,
        lambda s: HTTPStatus.OK <= s.status < HTTPStatus.MULTIPLE_CHOICES,
    ),
    _rule(
        VerdictCode.TOKEN_ENDPOINT,
        lambda s: _is_client_error(s) and "oauth2" in s.segments,
    ),
    _rule(
        VerdictCode.RATE_LIMITED,
        lambda s: s.status == HTTPStatus.TOO_MANY_REQUESTS or _finds(_RATE, s),
    ),
    _rule(
        VerdictCode.SERVER_ERROR,
        lambda s: s.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
    ),
    _rule(
        VerdictCode.HOST_MISMATCH,
        lambda s: s.status in _AUTH and s.hosts_differ and is_old_host(s.called_host),
        reason="old_host",
    ),
    _rule(
        VerdictCode.HOST_MISMATCH,
        lambda s: s.status in _AUTH and s.hosts_differ,
        detail=lambda s: f"the tokens are for {s.own_host}, and the call went to {s.called_host}",
        fix=_mismatch_fix,
    ),
    Rule(
        VerdictCode.PAYMENT_ROLE,
        lambda s: _is_client_error(s) and remedies.is_about_payment(s.error),
        lambda s: remedies.payment_row(s.error, "payment_role"),
    ),
    _rule(VerdictCode.CONTRACT, _is_contract),
    _rule(
        VerdictCode.PAYMENT_TOKEN_MISSING,
        lambda s: _refuses_payment_token(s) and _is_missing(s),
    ),
    _rule(
        VerdictCode.TOKEN_MALFORMED,
        lambda s: _refuses_payment_token(s) and _is_malformed(s),
        reason="payment_token_malformed",
    ),
    _rule(VerdictCode.PAYMENT_TOKEN_DEAD, _is_payment_dead),
    _rule(
        VerdictCode.SCOPE_MISSING,
        lambda s: _is_unauthorized(s) and lacks_scope(s.error, s.headers),
    ),
    _rule(
        VerdictCode.PRODUCT_MISSING,
        lambda s: _is_unauthorized(s) and (lacks_product(s.error) or _is_invalid_client(s)),
    ),
    _rule(VerdictCode.TOKEN_MALFORMED, lambda s: _is_unauthorized(s) and _is_malformed(s)),
    _rule(VerdictCode.TOKEN_DEAD, _is_unauthorized, detail=_dead_detail, fix=_dead_fix),
    _rule(
        VerdictCode.SCOPE_MISSING,
        lambda s: _is_forbidden(s) and lacks_scope(s.error, s.headers),
    ),
    _rule(VerdictCode.PRODUCT_MISSING, lambda s: _is_forbidden(s) and lacks_product(s.error)),
    _rule(
        VerdictCode.BLOCKED,
        lambda s: _is_forbidden(s) and s.error.shape is Shape.HTML,
    ),
    _rule(
        VerdictCode.LICENCE,
        lambda s: _is_forbidden(s) and (_finds(_LICENCE, s) or "addresses" in s.segments),
    ),
    _rule(VerdictCode.ACCESS_CONTROL, _is_forbidden),
    _rule(
        VerdictCode.NOT_FOUND,
        lambda s: s.status == HTTPStatus.NOT_FOUND,
        detail="USPS does not know this path, or not the thing it names",
    ),
    _rule(VerdictCode.FORM_ERROR, lambda s: s.status in _FORM),
    _rule(VerdictCode.NOT_RECOGNISED, lambda _s: True),
)
"""In this order. What a status decides alone comes first, then the most telling words."""
