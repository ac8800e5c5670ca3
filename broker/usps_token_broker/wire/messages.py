"""What workers are told and tell, in JSON. Instants are Unix seconds, spans are seconds.

What `says` adds stands in the OpenAPI document. Encoding does not look at it.
"""

import json
from typing import Annotated

import msgspec

from usps_token_broker.core.commands import Outcome
from usps_token_broker.wire.saying import says
from usps_token_broker.wire.verdict_rules import VerdictCode


class Veiled(msgspec.Struct, frozen=True):
    """A message with tokens in it, so one that does not show itself: a repr ends up in logs."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class TokenMessage(Veiled, frozen=True):
    """`GET /v1/tokens/{slot}`."""

    token: Annotated[str, says("The bare value, as USPS granted it")]
    token_type: Annotated[str, says("What stands before a bearer token in `Authorization`")]
    slot: Annotated[str, says("`bearer`, `payment`, or `payment-NAME`")]
    app: Annotated[str, says("The app it belongs to")]
    host: Annotated[str, says("The USPS host it is good for")]
    serial: Annotated[int, says("Names this grant, in reports too; compare it for equality only")]
    issued_at: Annotated[float, says("When it was asked for, Unix seconds")]
    expires_at: Annotated[float, says("The end of its life, Unix seconds")]
    expires_in: Annotated[int, says("Seconds until then, counted from this answer")]
    use_until: Annotated[float, says("When its buffer begins, Unix seconds: use it no longer")]
    check_after: Annotated[float, says("Seconds after which to ask whether it is still the one")]
    scopes: Annotated[
        tuple[str, ...] | None, says("What USPS granted it for; null where USPS did not say")
    ]
    degraded: Annotated[bool, says("Whether it is inside its buffer, or reported as dead")]


class HeadersMessage(Veiled, frozen=True):
    """`GET /v1/headers`: one consistent snapshot."""

    app: Annotated[str, says("The app they belong to")]
    host: Annotated[str, says("The USPS host they are good for")]
    base_url: Annotated[str, says("Where to call USPS with them")]
    headers: Annotated[dict[str, str], says("What to put on a request, by name")]
    serials: Annotated[
        dict[str, int], says("The serials of `bearer` and `payment`, for a report of a refusal")
    ]
    expires_in: Annotated[int, says("Seconds until the first of them ends, from this answer")]
    use_until: Annotated[float, says("When the first buffer begins, Unix seconds")]
    check_after: Annotated[float, says("Seconds after which to ask whether they are still those")]
    degraded: Annotated[bool, says("Whether one is inside its buffer, or reported as dead")]


class AnswerReport(Veiled, frozen=True):
    """`POST /v1/answers`, what the worker says: USPS's answer as it was given."""

    status: Annotated[int, says("The HTTP status that USPS answered")]
    headers: Annotated[dict[str, str], says("Its headers")] = msgspec.field(default_factory=dict)
    body: Annotated[str, says("The first 4 KB of its body; never logged")] = ""
    path: Annotated[str, says("The path or URL that was called")] = ""
    host: Annotated[str | None, says("The host that was called, if the URL does not say")] = None
    serials: Annotated[
        dict[str, int | None],
        says(
            "The serials of the tokens that were sent: `bearer`, needed where a token may be dead, "
            "and `payment` if one was"
        ),
    ] = msgspec.field(default_factory=dict)
    payment: Annotated[str, says("Whose payment token was sent; `default` or a NAME")] = "default"


class VerdictMessage(Veiled, frozen=True, omit_defaults=True):
    """`POST /v1/answers`, what the broker says."""

    code: Annotated[str, says("What the answer means", words=VerdictCode)]
    detail: Annotated[str, says("The same for people, or why there is no other token")]
    fix: Annotated[str, says("What to do about it")]
    retry: Annotated[bool, says("Whether to call USPS once more, with `headers`")]
    outcome: Annotated[str, says("What came of the report", words=Outcome)]
    headers: Annotated[
        dict[str, str] | None, says("What to put on requests from now on; absent without a token")
    ] = None
    serials: Annotated[dict[str, int] | None, says("Their serials")] = None
    retry_after: Annotated[
        float | None, says("Seconds until the next attempt at another token")
    ] = None
    next_attempt_at: Annotated[float | None, says("When that is, Unix seconds")] = None
    reason: Annotated[
        str | None, says("Its row of the catalogue, where it is more exact: `explain` says all")
    ] = None


_report_decoder = msgspec.json.Decoder(AnswerReport)


def decode_report(body: bytes) -> AnswerReport:
    """The report in this body. Raises ValueError saying which field is wrong, quoting nothing."""
    try:
        return _report_decoder.decode(_with_whole_characters(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _with_whole_characters(body: bytes) -> bytes:
    """JSON without halves of characters, such as JavaScript leaves where it cuts a text."""
    if b"\\ud" not in body.lower():
        return body
    try:
        return json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return body
