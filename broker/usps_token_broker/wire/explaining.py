"""Which row of the catalogue a call that failed is, from whatever a person has of it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from usps_token_broker import catalogue
from usps_token_broker.catalogue import Row
from usps_token_broker.wire import own_words, sent
from usps_token_broker.wire.redaction import redact
from usps_token_broker.wire.refusals import payment_failure, quote, token_failure
from usps_token_broker.wire.transcripts import Transcript, read
from usps_token_broker.wire.usps import Shape, header, is_compressed, parse_error
from usps_token_broker.wire.verdict_rules import VerdictCode, is_old_host
from usps_token_broker.wire.verdicts import Answered, bare_host, judge

REPORT: Final = (
    "feed it the whole answer, with status and headers, as `curl -i` prints it; if it is still "
    "not recognised, send the bundle of `usps-token-broker doctor --bundle FILE` to the makers"
)
WITHOUT_FAIL: Final = (
    "make the call once more with `curl -sv` and without `-f`, which keeps the answer back, and "
    "feed that"
)
WITH_BODY: Final = (
    "feed it the body of the answer too: `curl -i` prints it, and libraries have it, such as "
    "`response.text`"
)
UNPACK: Final = "make the call once more with `curl --compressed`, and feed that"
_MOST_SHOWN: Final = 80
_UNREADABLE: Final = frozenset({Shape.GARBAGE, Shape.EMPTY})
"""Of a body whose head says that it is compressed: libraries unpack it and leave the head."""
_SAID_BY_BODY: Final = frozenset({400, 401, 403})
"""Statuses that mean many things: only the body tells which."""
_WITHOUT_WORDS: Final = frozenset(
    {
        VerdictCode.TOKEN_DEAD,
        VerdictCode.ACCESS_CONTROL,
        VerdictCode.LICENCE,
        VerdictCode.FORM_ERROR,
    }
)
"""What an answer is whose body says nothing: to be believed of a body that was seen."""
_TOKEN_CODES: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
"""Of token endpoints alone (RFC 6749 5.2)."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A row, and what was seen of the call. Its texts hold no secret."""

    row: Row
    detail: str
    fix: str
    recognised: bool = True


def explain(text: str, *, now: float, own_host: str = "", status: int | None = None) -> Explanation:
    """The explanation of a code, or of a call that this text tells of; never an error.

    `now` is Unix seconds; `own_host` the host of the app whose tokens were used; `status` counts
    where the text has none.
    """
    row = catalogue.CATALOGUE.get(text.strip().lower())
    if row is not None:
        return Explanation(row, row.cause, row.fix)
    call = read(text)
    own = own_words.read(call, text)
    if own is not None:
        row = catalogue.row(own.code)
        return Explanation(row, redact(own.detail) or row.cause, redact(own.fix) or row.fix)
    if call.failure is not None and call.failure.code:
        row = catalogue.row(call.failure.code)
        detail = f"{row.cause}; it says: {redact(call.failure.said)}"
        return Explanation(row, detail, call.failure.fix or row.fix)
    if call.status is None and status is None:
        return _unknown(text)
    return of_call(call, status=call.status or status or 0, now=now, own_host=own_host)


def of_call(call: Transcript, *, status: int, now: float, own_host: str = "") -> Explanation:
    """What the answer to this call means: by its request where that is told, by the answer else."""
    answered = Answered(
        status=status,
        headers=call.headers,
        body=call.body,
        path=call.path,
        host=call.host or None,
        app_host=own_host,
        payment_sent=call.sent is not None and sent.PAYMENT_HEADER in call.sent,
    )
    verdict = judge(answered)
    error = parse_error(call.body)
    told = f"USPS answered {status}{redact(quote(error))}"
    reason = _by_endpoint(call, status)
    if reason is None and is_old_host(bare_host(call.host or call.path)):
        reason = "old_host"
    if reason is None and call.sent is not None and status == HTTPStatus.UNAUTHORIZED:
        reason = sent.fault(call.sent, bare_host(call.host), now)
    if reason is None and status in _SAID_BY_BODY:
        if verdict.code in _WITHOUT_WORDS and _is_kept_back(call):
            fix = WITH_BODY if call.failure is None else WITHOUT_FAIL
            return _mute(status, "the body that says why is not in this", fix)
        if is_compressed(call.headers) and parse_error(call.body).shape in _UNREADABLE:
            return _mute(status, "its words are compressed, so that nobody can read them", UNPACK)
    if reason is None:
        recognised = verdict.code is not VerdictCode.NOT_RECOGNISED
        fix = verdict.fix if recognised else REPORT
        return Explanation(catalogue.row(verdict.reason), verdict.detail, fix, recognised)
    row = catalogue.row(reason)
    return Explanation(row, f"{row.cause}; {told}", row.fix)


def _by_endpoint(call: Transcript, status: int) -> str | None:
    """The row of a refusal of a proxy, or of a token endpoint, whoever asked there."""
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return "proxy_refused"
    if status < HTTPStatus.BAD_REQUEST:
        return None
    error = parse_error(call.body)
    body = call.body.encode("utf-8", "replace")
    if "/oauth2/" in call.path or error.code.lower() in _TOKEN_CODES:
        return token_failure(status, call.headers, body).reason
    if "/payment-authorization" in call.path:
        return payment_failure(status, call.headers, body).reason
    return None


def _is_kept_back(call: Transcript) -> bool:
    """Whether the answer had a body that is not told, or may have had one."""
    is_long = header(call.headers, "content-length") not in {"", "0"}
    return not call.body and (call.failure is not None or not call.headers or is_long)


def _mute(status: int, why: str, fix: str) -> Explanation:
    said = f"USPS answered {status}, and {why}"
    return Explanation(catalogue.row(VerdictCode.NOT_RECOGNISED.value), said, fix, recognised=False)


def _unknown(text: str) -> Explanation:
    shown = redact(text, limit=_MOST_SHOWN)
    said = f'not recognised: "{shown}"' if shown else "not recognised: there is nothing in it"
    return Explanation(
        catalogue.row(VerdictCode.NOT_RECOGNISED.value), said, REPORT, recognised=False
    )
