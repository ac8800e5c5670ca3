"""What the local interface says in JSON. Instants are Unix seconds, spans are seconds."""

import json
from typing import Final, get_args

import msgspec

from usps_token_broker.wire.http import ConfigProblem


class Veiled(msgspec.Struct, frozen=True):
    """A message with tokens in it, so one that does not show itself: a repr ends up in logs."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class TokenMessage(Veiled, frozen=True):
    """`GET /v1/tokens/{slot}`."""

    token: str
    token_type: str
    slot: str
    app: str
    host: str
    serial: int
    issued_at: float
    expires_at: float
    expires_in: int
    use_until: float
    check_after: float
    scopes: tuple[str, ...] | None
    degraded: bool


class HeadersMessage(Veiled, frozen=True):
    """`GET /v1/headers`: one consistent snapshot."""

    app: str
    host: str
    base_url: str
    headers: dict[str, str]
    serials: dict[str, int]
    expires_in: int
    use_until: float
    check_after: float
    degraded: bool


class AnswerReport(Veiled, frozen=True):
    """`POST /v1/answers`, what the worker says: USPS's answer as it was given.

    `body` is the first 4 KB; `payment` names the payment slot when it is not the default one.
    """

    status: int
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: str = ""
    path: str = ""
    host: str | None = None
    serials: dict[str, int | None] = msgspec.field(default_factory=dict)
    payment: str = "default"


class VerdictMessage(Veiled, frozen=True, omit_defaults=True):
    """`POST /v1/answers`, what the broker says."""

    code: str
    detail: str
    fix: str
    retry: bool
    outcome: str
    headers: dict[str, str] | None = None
    serials: dict[str, int] | None = None
    retry_after: float | None = None
    next_attempt_at: float | None = None


class TroubleMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with a slot, since when."""

    code: str
    detail: str
    fix: str
    since: float
    at: float
    times: int
    upstream_status: int | None = None
    upstream_code: str | None = None


class SlotMessage(msgspec.Struct, frozen=True):
    """One slot in `GET /v1/status`."""

    slot: str
    phase: str
    freshness: str
    ready: bool
    required: bool
    degraded: bool
    suspect: bool
    serial: int | None
    issued_at: float | None
    expires_at: float | None
    expires_in: float | None
    use_until: float | None
    renew_at: float | None
    next_attempt_at: float | None
    next_attempt_why: str | None
    attempts_left: float
    scopes: tuple[str, ...] | None
    trouble: TroubleMessage | None
    dormant: bool = False
    """Renewed only while somebody asks for it, and nobody asked in a day."""


class BudgetMessage(msgspec.Struct, frozen=True):
    """Calls to one USPS endpoint in the last hour."""

    endpoint: str
    used_last_hour: int
    calls_per_hour: int


class AppMessage(msgspec.Struct, frozen=True):
    """One app in `GET /v1/status`."""

    app: str
    host: str
    skew_seconds: float | None
    slots: list[SlotMessage]
    budget: list[BudgetMessage]
    credentials: str = "unknown"
    """What USPS thinks of the client secret in force: unknown, pending, accepted, refused."""


class PeerMessage(msgspec.Struct, frozen=True):
    """What the processes of one user take of the broker now; for administrators."""

    uid: int
    connections: int
    waiting: int


class StatusMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """`GET /v1/status`."""

    version: str
    pid: int
    started_at: float
    at: float
    ready: bool
    waiting: int
    state_trouble: str | None
    apps: list[AppMessage]
    peers: list[PeerMessage] | None = None
    """On the admin socket only."""
    left_out: list[ConfigProblem] | None = None
    """Payment files that cannot be used; on the admin socket only."""


class RenewalMessage(msgspec.Struct, frozen=True):
    """`POST /v1/tokens/{slot}/renewals`: the token that is in use now."""

    app: str
    slot: str
    outcome: str
    serial: int
    expires_at: float
    expires_in: float


class SecretMessage(msgspec.Struct, frozen=True):
    """What came of a changed client secret: accepted, refused, or pending still."""

    app: str
    outcome: str
    detail: str
    good_until: float | None = None
    """Until when the token of the secret before is served, where the new one is refused."""


class ReloadMessage(msgspec.Struct, frozen=True):
    """`POST /v1/reload`: what is different now."""

    changed: list[str]
    secrets: list[SecretMessage]
    left_out: list[ConfigProblem]
    """Payment files that cannot be used. What was read from them before stays in force."""
    warnings: list[str]


class ForgottenSlot(msgspec.Struct, frozen=True):
    """A token that is no longer there."""

    app: str
    slot: str


class ForgottenMessage(msgspec.Struct, frozen=True):
    """`POST /v1/forget`."""

    forgotten: list[ForgottenSlot]


class StatusEvent(StatusMessage, frozen=True, tag_field="event", tag="status"):
    """`GET /v1/events`, the first line and the one after `reloaded`: how everything stands."""


class SlotEvent(msgspec.Struct, frozen=True, tag_field="event", tag="slot"):
    """`GET /v1/events`: a slot that has changed, as it stood at `at`."""

    at: float
    app: str
    slot: SlotMessage


class RemovedEvent(msgspec.Struct, frozen=True, tag_field="event", tag="removed"):
    """`GET /v1/events`: a slot that is gone, or no longer open to this peer."""

    at: float
    app: str
    slot: str


class ReloadedEvent(msgspec.Struct, frozen=True, tag_field="event", tag="reloaded"):
    """`GET /v1/events`: another configuration is in force."""

    at: float


class AliveEvent(msgspec.Struct, frozen=True, tag_field="event", tag="alive"):
    """`GET /v1/events`: nothing has changed for a while."""

    at: float


class StoppingEvent(msgspec.Struct, frozen=True, tag_field="event", tag="stopping"):
    """`GET /v1/events`, the last line: the broker ends."""

    at: float


Event = StatusEvent | SlotEvent | RemovedEvent | ReloadedEvent | AliveEvent | StoppingEvent


class ReadyMessage(msgspec.Struct, frozen=True):
    """`GET /readyz`: `not_ready` names the slots, as far as this peer may know them."""

    ready: bool
    not_ready: list[str]


class AliveMessage(msgspec.Struct, frozen=True):
    """`GET /healthz`."""

    alive: bool
    version: str


class _Kind(msgspec.Struct, frozen=True):
    event: str


_KINDS: Final = frozenset(kind.__struct_config__.tag for kind in get_args(Event))

encode = msgspec.json.Encoder().encode
_event_decoder = msgspec.json.Decoder(Event)
_kind_decoder = msgspec.json.Decoder(_Kind)
_report_decoder = msgspec.json.Decoder(AnswerReport)


def status_event(message: StatusMessage) -> StatusEvent:
    """The same, as a line of events."""
    return StatusEvent(*msgspec.structs.astuple(message))


def decode_event(line: bytes) -> Event | None:
    """The event in this line; None for a kind that a later version may send.

    Raises ValueError for what is no event.
    """
    try:
        known = _kind_decoder.decode(line).event in _KINDS
        return _event_decoder.decode(line) if known else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


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
