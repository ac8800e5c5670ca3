"""What the core may ask for. Every command is a frozen record, named by an imperative."""

import enum
from dataclasses import dataclass

from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import AccountId, Endpoint, Secret, SlotId


@dataclass(frozen=True, slots=True)
class Fetch:
    """Call USPS for this slot once, after what `Persist` asked for is on record."""

    slot: SlotId
    attempt: int
    endpoint: Endpoint
    account: AccountId
    """For whom: a token must not reach another host because an app's name moved meanwhile."""
    bearer: Secret | None = None


@dataclass(frozen=True, slots=True)
class Persist:
    """Save the state; the core's `state()` gives it."""


@dataclass(frozen=True, slots=True)
class Publish:
    """What callers are told of this slot has changed."""

    slot: SlotId


class Outcome(enum.StrEnum):
    """What came of a report, for `POST /v1/answers`."""

    SUPERSEDED = "superseded"
    RENEWED = "renewed"
    THROTTLED = "throttled"
    FAILED = "failed"
    NOT_THE_TOKEN = "not_the_token"  # noqa: S105 - a word of the interface


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a caller gets no token, and when to come back. Instants are Unix seconds."""

    code: Code
    detail: str
    fix: str
    next_attempt_at: float | None = None
    retry_after_seconds: float | None = None
    upstream_status: int | None = None
    upstream_code: str | None = None
    reason: str | None = None
    """The row of the catalogue, where it is more exact than `code`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The tokens asked for can be served now."""

    ask: int


@dataclass(frozen=True, slots=True)
class Deny:
    """The question cannot be answered with a token."""

    ask: int
    denial: Denial


@dataclass(frozen=True, slots=True)
class Settle:
    """A report has its outcome."""

    ask: int
    outcome: Outcome
    denial: Denial | None = None


class Level(enum.StrEnum):
    """How loud a note is."""

    DEBUG = "debug"
    """Nothing new: counted, and not written."""
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log. A command, so that a test can expect it; it holds no secret."""

    level: Level
    event: str
    text: str
    slot: SlotId | None = None
    reason: str | None = None
    """The row of the catalogue that it is about."""


Command = Fetch | Persist | Publish | Answer | Deny | Settle | Note
