"""What the local interface says in JSON. Instants are Unix seconds, spans are seconds.

What `says` adds stands in the OpenAPI document. Encoding does not look at it.
"""

import json
from typing import Annotated

import msgspec

from usps_token_broker.catalogue import Who
from usps_token_broker.core.commands import Outcome
from usps_token_broker.core.credentials import Standing
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import Endpoint, Freshness, Phase
from usps_token_broker.wire.explaining import Explanation
from usps_token_broker.wire.problems import ConfigProblem
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


class TroubleMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with a slot, since when."""

    code: Annotated[str, says("Its stable name, as in a problem", words=Code)]
    detail: Annotated[str, says("What happened")]
    fix: Annotated[str, says("What to do about it")]
    since: Annotated[float, says("When the first failure in a row was, Unix seconds")]
    at: Annotated[float, says("When the latest was, Unix seconds")]
    times: Annotated[int, says("How many there were in a row")]
    upstream_status: Annotated[int | None, says("The HTTP status that USPS answered")] = None
    upstream_code: Annotated[str | None, says("USPS's own code, such as `invalid_client`")] = None
    reason: Annotated[
        str | None, says("Its row of the catalogue, where it is more exact: `explain` says all")
    ] = None


class SlotMessage(msgspec.Struct, frozen=True):
    """One slot in `GET /v1/status`."""

    slot: Annotated[str, says("`bearer`, `payment`, or `payment-NAME`")]
    phase: Annotated[str, says("What is done about its next token", words=Phase)]
    freshness: Annotated[str, says("How far through its life its token is", words=Freshness)]
    ready: Annotated[bool, says("Whether there is a token to serve, and no doubt about it")]
    required: Annotated[bool, says("Whether the broker is ready only with it")]
    degraded: Annotated[bool, says("Whether its token is inside its buffer, or reported as dead")]
    suspect: Annotated[bool, says("Whether the renewal after a report has failed")]
    serial: Annotated[int | None, says("Names the grant; null without a token")]
    issued_at: Annotated[float | None, says("When the token was asked for, Unix seconds")]
    expires_at: Annotated[float | None, says("The end of its life, Unix seconds")]
    expires_in: Annotated[float | None, says("Seconds until then")]
    use_until: Annotated[float | None, says("When its buffer begins, Unix seconds")]
    renew_at: Annotated[float | None, says("When its renewal is planned, Unix seconds")]
    next_attempt_at: Annotated[float | None, says("When USPS is asked next, Unix seconds")]
    next_attempt_why: Annotated[str | None, says("What for, or what it waits for")]
    attempts_left: Annotated[float, says("Calls that this slot may make now")]
    scopes: Annotated[
        tuple[str, ...] | None, says("What USPS granted its token for; null where it did not say")
    ]
    trouble: Annotated[TroubleMessage | None, says("What is wrong, until the next grant")]
    dormant: Annotated[
        bool, says("Renewed only while somebody asks for it, and nobody asked in a day")
    ] = False


class BudgetMessage(msgspec.Struct, frozen=True):
    """Calls to one USPS endpoint in the last hour."""

    endpoint: Annotated[str, says("Which of the two", words=Endpoint)]
    used_last_hour: Annotated[int, says("Calls made")]
    calls_per_hour: Annotated[int, says("Calls that may be made")]


class AppMessage(msgspec.Struct, frozen=True):
    """One app in `GET /v1/status`."""

    app: Annotated[str, says("Its name")]
    host: Annotated[str, says("The USPS host")]
    skew_seconds: Annotated[
        float | None, says("The clock of USPS less ours, in seconds; null before its first answer")
    ]
    slots: Annotated[list[SlotMessage], says("Those that this peer may read")]
    budget: Annotated[list[BudgetMessage], says("By endpoint")]
    credentials: Annotated[
        str, says("What USPS thinks of the client secret in force", words=Standing)
    ] = "unknown"


class PeerMessage(msgspec.Struct, frozen=True):
    """What the processes of one user take of the broker now; for administrators."""

    uid: Annotated[int, says("The user")]
    connections: Annotated[int, says("Connections open now")]
    waiting: Annotated[int, says("Requests that wait for their reply now")]


class StatusMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """`GET /v1/status`."""

    version: Annotated[str, says("The version of the broker")]
    pid: Annotated[int, says("Its process id")]
    started_at: Annotated[float, says("When it started, Unix seconds")]
    at: Annotated[float, says("When this was so, Unix seconds")]
    ready: Annotated[bool, says("Whether every required slot is good")]
    waiting: Annotated[int, says("Callers that wait for a token")]
    state_trouble: Annotated[str | None, says("Why tokens are not saved; null while they are")]
    apps: Annotated[list[AppMessage], says("Those that this peer may use")]
    peers: Annotated[list[PeerMessage] | None, says("On the admin socket only")] = None
    left_out: Annotated[
        list[ConfigProblem] | None,
        says("Payment files that cannot be used; on the admin socket only"),
    ] = None
    http_listen: Annotated[
        str | None, says("Where health and figures are served over TCP; null where they are not")
    ] = None
    reloading_since: Annotated[
        float | None, says("Since when a reload reads what is configured, Unix seconds")
    ] = None


class RenewalMessage(msgspec.Struct, frozen=True):
    """`POST /v1/tokens/{slot}/renewals`: the token that is in use now."""

    app: Annotated[str, says("Its app")]
    slot: Annotated[str, says("Its slot")]
    outcome: Annotated[str, says("What came of the order", words=(Outcome.RENEWED,))]
    serial: Annotated[int, says("Names the new grant")]
    expires_at: Annotated[float, says("The end of its life, Unix seconds")]
    expires_in: Annotated[float, says("Seconds until then")]


class SecretMessage(msgspec.Struct, frozen=True):
    """What came of a changed client secret."""

    app: Annotated[str, says("Whose")]
    outcome: Annotated[
        str,
        says(
            "`pending` while USPS has not said",
            words=(Standing.ACCEPTED, Standing.REFUSED, Standing.PENDING),
        ),
    ]
    detail: Annotated[str, says("The same for people")]
    good_until: Annotated[
        float | None,
        says(
            "Until when the token of the secret before is served, where the new one is refused; "
            "Unix seconds"
        ),
    ] = None


class ReloadMessage(msgspec.Struct, frozen=True):
    """`POST /v1/reload`: what is different now."""

    changed: Annotated[list[str], says("Each difference, for people")]
    secrets: Annotated[list[SecretMessage], says("What came of those that changed")]
    left_out: Annotated[
        list[ConfigProblem],
        says("Payment files that cannot be used. What was read from them before stays in force"),
    ]
    warnings: Annotated[list[str], says("What works, and is hardly meant")]


class ForgottenSlot(msgspec.Struct, frozen=True):
    """A token that is no longer there."""

    app: Annotated[str, says("Its app")]
    slot: Annotated[str, says("Its slot")]


class ForgottenMessage(msgspec.Struct, frozen=True):
    """`POST /v1/forget`."""

    forgotten: Annotated[list[ForgottenSlot], says("Every slot that was told to forget")]


class RowMessage(msgspec.Struct, frozen=True):
    """One error of the catalogue."""

    code: Annotated[str, says("Its stable name; of USPS's own codes the number")]
    symptom: Annotated[str, says("What is seen of it")]
    cause: Annotated[str, says("Why")]
    fix: Annotated[str, says("What to do about it")]
    who: Annotated[str, says("Who can", words=Who)]
    source: Annotated[str, says("Where this is known from")]


class CatalogueMessage(msgspec.Struct, frozen=True):
    """`GET /v1/explanations`: every error that has a name."""

    rows: Annotated[list[RowMessage], says("In the order in which people are likely to need them")]


class ExplanationMessage(msgspec.Struct, frozen=True):
    """`POST /v1/explanations`: the row that a call is, and what was seen of it."""

    code: Annotated[str, says("The stable name of the row")]
    recognised: Annotated[bool, says("Whether a row knows this; else `fix` says how to report it")]
    detail: Annotated[str, says("What was seen; no secret in it")]
    fix: Annotated[str, says("What to do about it")]
    symptom: Annotated[str, says("What is seen of this error in general")]
    cause: Annotated[str, says("Why it happens")]
    who: Annotated[str, says("Who can put it right", words=Who)]
    source: Annotated[str, says("Where this is known from")]


class UnrecognisedAnswer(msgspec.Struct, frozen=True):
    """An answer of USPS that no row knows, redacted."""

    status: Annotated[int, says("The HTTP status that USPS answered")]
    path: Annotated[str, says("What was called, without query and numbers")]
    words: Annotated[str, says("Its body as one line, cut, without what may be a secret")]
    times: Annotated[int, says("How often it was seen")]
    first_at: Annotated[float, says("When it was seen first, Unix seconds")]
    last_at: Annotated[float, says("When it was seen last, Unix seconds")]


class UnrecognisedMessage(msgspec.Struct, frozen=True):
    """`GET /v1/unrecognised`: for a report to the makers."""

    answers: Annotated[list[UnrecognisedAnswer], says("At most 20 different ones")]


class ReadyMessage(msgspec.Struct, frozen=True):
    """`GET /readyz`."""

    ready: Annotated[bool, says("Whether all that was asked about is good")]
    not_ready: Annotated[
        list[str], says("What is not, as `app/slot`, as far as this peer may know it")
    ]


class AliveMessage(msgspec.Struct, frozen=True):
    """`GET /healthz`."""

    alive: Annotated[bool, says("Whether the core loop makes progress")]
    version: Annotated[str, says("The version of the broker")]


def explanation_message(found: Explanation) -> ExplanationMessage:
    """An explanation as it goes over the wire."""
    return ExplanationMessage(
        code=found.row.code,
        recognised=found.recognised,
        detail=found.detail,
        fix=found.fix,
        symptom=found.row.symptom,
        cause=found.row.cause,
        who=found.row.who.value,
        source=found.row.source,
    )


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
