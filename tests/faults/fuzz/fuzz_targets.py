"""What is fuzzed: functions of bytes alone, each with promises that hold for any bytes.

A broken promise is an AssertionError, a missing one is any other exception.
"""

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Final

from usps_token_broker.app import queries
from usps_token_broker.core.outcomes import Code, Failure, Grant
from usps_token_broker.core.values import NOMINAL_LIFE_SECONDS, Secret
from usps_token_broker.drivers.server.limits import Limits
from usps_token_broker.drivers.server.parsing import RefusedError, RequestReader
from usps_token_broker.wire import keys
from usps_token_broker.wire.grants import MAX_TOKEN_CHARS, read_payment_answer, read_token_answer
from usps_token_broker.wire.problems import BadRequestError, problem, problem_reply
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request
from usps_token_broker.wire.usps import parse_error
from usps_token_broker.wire.usps_dates import retry_after_seconds, skew_seconds
from usps_token_broker.wire.verdicts import Answered, Verdict, judge

CANARY: Final = "s3cr3t/Canary+Key&1"
"""A secret that USPS may echo; the corpus has it, so that mutations carry it into every place."""

LIMITS: Final = Limits(head_bytes=600, body_bytes=300)
"""Small, so that short inputs pass them."""

_TAKEN: Final = (keys.APP, keys.MIN_VALID, keys.WAIT, keys.SCOPE, keys.PAYMENT)
_MOST_STEPS: Final = 65
_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]+")
_JWT: Final = re.compile(r"eyJ[\w-]{4,}", re.ASCII)
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 [1-5][0-9]{2} [ -~]+")
_FIELD: Final = re.compile(rb"[A-Za-z-]+: [\t -~]*")

Outcome = tuple[list[tuple[object, ...]], Code | None]


def understood(data: bytes) -> None:
    """Requests are the same however their bytes were cut; a refusal is a whole problem."""
    whole, refused, requests = _read([data])
    for cut in _cuts(data):
        seen, why, _ = _read(cut)
        assert seen == whole, "cuts change what was understood"
        # Too long and wrong as well: which of the two is seen first is the cuts' doing.
        assert (why is None) == (refused is None), "cuts change what was refused"
    if refused is not None:
        _check_reply(problem_reply(problem(refused, "why", "how")))
    for request in requests:
        _check_request(request)


def answered(data: bytes) -> None:
    """An answer of USPS is a usable token or a failure that tells no secret."""
    status, headers, body = _answer(data)
    secrets = (Secret(CANARY),)
    for read in (read_token_answer, read_payment_answer):
        outcome = read(status, headers, body, secrets)
        if isinstance(outcome, Grant):
            _check_grant(outcome)
        else:
            _check_failure(outcome)
    for span in (retry_after_seconds(headers), skew_seconds(headers, 1e9)):
        assert span is None or math.isfinite(span)
    error = parse_error(body)
    assert len(error.text) <= 20_000
    assert all(re.fullmatch(r"[\w.-]{0,64}", code) for code in (error.code, *error.sub_codes))


def judged(data: bytes) -> None:
    """What a worker was answered always has a verdict, which tells no token."""
    status, headers, body = _answer(data)
    text = _text(body)
    for payment_sent, host in itertools.product((False, True), (None, headers.get("host", ""))):
        verdict = judge(
            Answered(
                status,
                headers,
                text,
                headers.get("path", "/labels/v3/label"),
                host,
                "apis.usps.com",
                payment_sent,
            )
        )
        _check_verdict(verdict, status)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "understood": understood,
    "answered": answered,
    "judged": judged,
}


def _read(pieces: list[bytes]) -> tuple[list[tuple[object, ...]], Code | None, list[Request]]:
    reader = RequestReader(LIMITS)
    seen: list[tuple[object, ...]] = []
    requests: list[Request] = []
    try:
        for piece in pieces:
            position = 0
            while position < len(piece):
                position = reader.feed(piece, position)
                request = reader.request
                if request is None:
                    continue
                requests.append(request)
                seen.append(
                    (
                        request.method,
                        request.target,
                        dict(request.headers),
                        request.body,
                        request.persistent,
                        request.old,
                    )
                )
                if not reader.recycle():
                    return seen, None, requests
    except RefusedError as error:
        return seen, error.code, requests
    return seen, None, requests


def _cuts(data: bytes) -> Iterator[list[bytes]]:
    """Byte by byte, and in pieces whose lengths the bytes themselves decide."""
    yield [data[at : at + 1] for at in range(len(data))]
    pieces, at = [], 0
    for step in itertools.cycle(data or b"\1"):
        if at >= len(data):
            break
        length = step % _MOST_STEPS + 1
        pieces.append(data[at : at + length])
        at += length
    yield pieces


def _check_request(request: Request) -> None:
    assert len(request.body) <= LIMITS.body_bytes
    for name, value in request.headers.items():
        assert name == name.lower()
        assert not re.search(rb"[\r\n\0]", name + value)
    try:
        assert not re.search(r"[\x00-\x1f\x7f]", request.path)
        query = queries.read(request.query, _TAKEN)
    except BadRequestError as error:
        _check_reply(error.reply)
        return
    assert 0 <= query.wait <= keys.WAIT_MOST_SECONDS
    assert query.min_valid is None or 0 <= query.min_valid <= keys.LONGEST_BUFFER_SECONDS


def _check_reply(reply: Reply) -> None:
    head, _, body = reply.whole.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert _STATUS_LINE.fullmatch(first)
    assert all(_FIELD.fullmatch(field) for field in fields)
    assert f"Content-Length: {len(body)}".encode() in fields
    told = json.loads(body)
    assert told["status"] == reply.status == 400
    assert told["code"] in {Code.BAD_REQUEST, Code.TOO_LARGE}
    assert told["detail"]
    assert told["fix"]


def _check_grant(grant: Grant) -> None:
    assert _HEADER_SAFE.fullmatch(grant.value.reveal())
    assert len(grant.value.reveal()) <= MAX_TOKEN_CHARS
    assert 0 < grant.life_seconds <= NOMINAL_LIFE_SECONDS
    assert all(_HEADER_SAFE.fullmatch(scope) for scope in grant.scopes or ())


def _check_failure(failure: Failure) -> None:
    _check_told(failure.detail, failure.fix, failure.sub_code or "")
    after = failure.retry_after_seconds
    assert after is None or (math.isfinite(after) and after >= 0)
    assert CANARY.lower() not in repr(failure).lower()


def _check_verdict(verdict: Verdict, status: int) -> None:
    _check_told(verdict.detail, verdict.fix)
    assert (verdict.code == "not_an_error") == (200 <= status < 300)


def _check_told(*texts: str) -> None:
    for text in texts:
        assert text.isprintable()
        assert len(text) < 1000
        assert not _JWT.search(text)


def _answer(data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body from a text like an HTTP answer with bare line breaks."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    known = first.isascii() and first.isdigit() and len(first) == 3
    return int(first) if known else 200, headers, body


def _text(body: bytes) -> str:
    """A worker's JSON can hold lone surrogates, so they are kept."""
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("latin-1")
