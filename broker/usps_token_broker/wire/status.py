"""How everything stands, in JSON: for people and monitors, and no secret in it."""

from typing import Annotated

import msgspec

from usps_token_broker.core.credentials import Standing
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import Endpoint, Freshness, Phase
from usps_token_broker.wire.problems import ConfigProblem
from usps_token_broker.wire.saying import says


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
    streams: Annotated[int, says("Streams of events open now")] = 0


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
