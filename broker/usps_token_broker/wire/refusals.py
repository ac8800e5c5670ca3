"""An answer of the two token endpoints that is no grant, as a failure: status first, body second.

A 429 of the token endpoint says `invalid_request` in its body (USPS OAuth 3.1.4), so a body is
never believed against its status.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from usps_token_broker import catalogue
from usps_token_broker.catalogue import Row
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.core.values import Secret
from usps_token_broker.wire import remedies
from usps_token_broker.wire.redaction import redact
from usps_token_broker.wire.usps import USPS_SHAPES, Shape, UspsError, error_of, header
from usps_token_broker.wire.usps_dates import retry_after_seconds

_QUOTED_CHARS: Final = 180
_NOT_A_REFUSAL: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
_REFUSALS: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
)
"""What the API answers when it says no, also without a body."""
_NO_SUCH_PATH: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
_SCOPE: Final = re.compile(
    r"insufficient[_ ](?:oauth[_ ])?scope|scopes?(?<!\wscope)(?<!\wscopes)\b"
)
_SCOPE_CHALLENGE: Final = re.compile(r"\berror\s*=\s*\"?insufficient_scope\b", re.IGNORECASE)
_OVER: Final = re.compile(r"(?<!\w)(?:expired|revoked|no longer valid)")
"""As `_SCOPE`, for text in lower case."""
_PRODUCT: Final = re.compile(
    # The first is what USPS says, the others are what Apigee, its gateway, says to the same end.
    r"client application identifier is invalid|invalidapikeyforgivenresource"
    r"|no apiproduct match|apiresource_doesnot_exist",
)
"""As `_SCOPE`, for text in lower case."""


def lacks_scope(error: UspsError, headers: Mapping[str, str]) -> bool:
    """Whether this refusal is about a scope that the bearer does not have.

    Not where it calls the token dead in the same breath: only another one will tell.
    """
    if is_over(error):
        return False
    challenge = header(headers, "www-authenticate")
    return bool(_SCOPE.search(error.text) or _SCOPE_CHALLENGE.search(challenge))


def is_over(error: UspsError) -> bool:
    """Whether this refusal says that a token was good and is no longer."""
    return _OVER.search(error.text) is not None


def lacks_product(error: UspsError) -> bool:
    """Whether this refusal is about an API product that the application was not granted."""
    return _PRODUCT.search(error.text) is not None


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that is no grant, and how to speak of it."""

    status: int
    headers: Mapping[str, str]
    error: UspsError
    secrets: tuple[Secret, ...]

    def fail(self, kind: FailureKind, code: Code, row: Row, detail: str = "") -> Failure:
        return Failure(
            kind=kind,
            code=code,
            detail=redact(detail or self._words(), self.secrets),
            fix=row.fix,
            upstream_status=self.status,
            sub_code=self._sub_code() or None,
            retry_after_seconds=retry_after_seconds(self.headers),
            reason=row.code,
        )

    def passing(self, reason: str = "upstream_unavailable", detail: str = "") -> Failure:
        row = catalogue.row(reason)
        return self.fail(FailureKind.TRANSIENT, Code.UPSTREAM_UNAVAILABLE, row, detail)

    def _words(self) -> str:
        said = quote(self.error, self.secrets)
        code = self._sub_code()
        if not code and not said:
            return f"USPS answered {self.status} and gave no reason"
        return f"USPS answered {self.status}{code and f' {code}'}{said}"

    def _sub_code(self) -> str:
        """The code to tell; the token endpoint's says nothing beside a 429 or 5xx."""
        error = self.error
        if error.shape not in USPS_SHAPES:
            return ""
        if error.shape is Shape.OAUTH and self.status not in _REFUSALS:
            return ""
        code = sub_code_of(error)
        return code if redact(code, self.secrets) == code else ""

    def refused(self, code: Code, row: Row) -> Failure:
        """A 4xx of the API itself is a refusal; one that somebody in between gave is not."""
        expected = self.status in _REFUSALS
        bare = expected and self.error.shape is Shape.EMPTY
        if self.error.shape not in USPS_SHAPES and not bare:
            return self.in_between()
        told = expected or row.code == "token_request_malformed"
        row = row if told else catalogue.row("answer_unexpected")
        return self.fail(FailureKind.REFUSED, code, row)

    def in_between(self) -> Failure:
        """Something that is not the API answered with this status."""
        what = _BODIES.get(self.error.shape, "a body that is not USPS's")
        said = (
            quote(self.error, self.secrets) if self.error.shape in {Shape.HTML, Shape.TEXT} else ""
        )
        detail = f"something in front of USPS answered {self.status} with {what}{said}"
        return self.passing("answered_in_between", detail)


_BODIES: Final = {
    Shape.HTML: "a page",
    Shape.TEXT: "bare words",
    Shape.EMPTY: "no body",
    Shape.COMPRESSED: "a compressed body, though none was asked for",
    Shape.TOO_LARGE: "a body that is far too large",
    Shape.CUT: "JSON that ends too soon",
    Shape.GARBAGE: "a body that nobody can read",
}


def quote(error: UspsError, secrets: Iterable[Secret] = ()) -> str:
    """USPS's own words after a colon, without secrets and cut; empty when it gave none."""
    said = redact(error.message, secrets, _QUOTED_CHARS)
    return f': "{said}"' if said else ""


def sub_code_of(error: UspsError) -> str:
    """The code that says most: one we have a fix for, else any of a single error, else the whole's.

    The code of a whole API error is the status once more, which says nothing.
    """
    known = remedies.payment_code(error)
    if known or error.sub_codes:
        return known or error.sub_codes[0]
    return "" if error.shape is Shape.API else error.code


def token_failure(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret] = ()
) -> Failure:
    """What an answer of `POST /oauth2/v3/token` means that is no 200."""
    answer = _Answer(status, headers, error_of(headers, body), tuple(secrets))
    decided = _by_status(answer, Code.CREDENTIALS_REFUSED)
    if decided is not None:
        return decided
    return answer.refused(Code.CREDENTIALS_REFUSED, remedies.credentials_row(answer.error))


def payment_failure(
    status: int, headers: Mapping[str, str], body: bytes, secrets: Iterable[Secret] = ()
) -> Failure:
    """What an answer of `POST /payments/v3/payment-authorization` means that is no 200."""
    answer = _Answer(status, headers, error_of(headers, body), tuple(secrets))
    decided = _by_status(answer, Code.PAYMENT_REFUSED)
    if decided is not None:
        return decided
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} and (
        lacks_scope(answer.error, headers) or lacks_product(answer.error)
    ):
        # Another bearer may have it, once USPS has granted it; the same one never will.
        row = catalogue.row("payments_scope_missing")
        return answer.fail(FailureKind.SCOPE_MISSING, Code.SCOPE_MISSING, row)
    if status == HTTPStatus.UNAUTHORIZED:
        row = catalogue.row("bearer_refused")
        return answer.fail(FailureKind.BEARER_REFUSED, Code.PAYMENT_REFUSED, row)
    other = "payments_forbidden" if status == HTTPStatus.FORBIDDEN else "payment_refused"
    return answer.refused(Code.PAYMENT_REFUSED, remedies.payment_row(answer.error, other))


def _by_status(answer: _Answer, refused: Code) -> Failure | None:
    """What the status alone decides."""
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        row = catalogue.row("upstream_rate_limited")
        return answer.fail(FailureKind.RATE_LIMITED, Code.UPSTREAM_RATE_LIMITED, row)
    if status in _NO_SUCH_PATH:
        detail = f"base_url does not lead to USPS's token endpoints: {status}"
        detail += quote(answer.error, answer.secrets)
        return answer.fail(FailureKind.REFUSED, refused, catalogue.row("base_url_wrong"), detail)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return answer.passing("redirected", _redirect(answer))
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return answer.passing(detail=f"USPS answered {status}, where only 200 brings a token")
    if status in _NOT_A_REFUSAL or not _is_client_error(status):
        return answer.passing()
    return None


def _redirect(answer: _Answer) -> str:
    """Only the host of the new place is told: a URL may carry anything."""
    try:
        host = urlsplit(header(answer.headers, "location")).hostname
    except ValueError:
        host = None
    to = f" to {host}" if host else ""
    return f"the answer was a redirect ({answer.status}{to}), and redirects are not followed"


def _is_client_error(status: int) -> bool:
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
