"""The words of the core's transcripts: what is configured, what USPS answers, commands as lines."""

from dataclasses import replace
from typing import Any

from usps_token_broker.core.commands import (
    Answer,
    Command,
    Deny,
    Fetch,
    Note,
    Persist,
    Publish,
    Settle,
)
from usps_token_broker.core.events import Event
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Now, SlotId

APP = "default"
BEARER = SlotId(APP, "bearer")
PAYMENT = SlotId(APP, "payment")
PAYMENT_2 = SlotId(APP, "payment-2")
SECRET = "fingerprint-1"
BOOT = "boot-1"
HOST = "apis.usps.com"
LIFE = 28_799.0
"""What USPS says in `expires_in`."""
MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR
START = Now(50_000.0, 1_790_000_000.0)
SCOPES = ("addresses", "labels", "payments")

CODES = {
    FailureKind.REFUSED: Code.CREDENTIALS_REFUSED,
    FailureKind.SCOPE_MISSING: Code.SCOPE_MISSING,
    FailureKind.BEARER_REFUSED: Code.PAYMENT_REFUSED,
    FailureKind.RATE_LIMITED: Code.UPSTREAM_RATE_LIMITED,
}


def failure(kind: FailureKind, retry_after: float | None = None) -> Failure:
    """A failure of this kind, with words to recognise it by."""
    code = CODES.get(kind, Code.UPSTREAM_UNAVAILABLE)
    return Failure(kind, code, f"{kind} it was", "mend it", retry_after_seconds=retry_after)


def app_plan(name: str = APP, calls_per_hour: int = 30, **policy: float) -> AppPlan:
    """An app of the one client id that all tests share."""
    return AppPlan(name, HOST, "client", LifePolicy(**policy), calls_per_hour)


def slot_plans(app: str, payments: int) -> list[SlotPlan]:
    """A bearer and that many payment slots; the first of them is named `payment`."""
    names = ["payment", *(f"payment-{n}" for n in range(2, payments + 1))][:payments]
    bearer = SlotPlan(SlotId(app, "bearer"), required=True)
    return [bearer, *(SlotPlan(SlotId(app, name), f"roles of {name}") for name in names)]


def short(slot: SlotId) -> str:
    """The slot in a line: without its app where that is the usual one."""
    return slot.name if slot.app == APP else str(slot)


def line(command: Command) -> str:
    """A command in a few words."""
    match command:
        case Persist():
            words: tuple[object, ...] = ("persist",)
        case Fetch():
            words = ("fetch", short(command.slot))
        case Publish():
            words = ("publish", short(command.slot))
        case Answer():
            words = ("answer", command.ask)
        case Deny():
            words = ("deny", command.ask, command.denial.code)
        case Settle():
            words = ("settle", command.ask, command.outcome)
        case Note():
            words = ("note", command.event, short(command.slot) if command.slot else "")
    return " ".join(map(str, words))


def in_words(entry: Event | Command | str) -> str:
    """A line of the transcript: what was heard, what was said, or what happened beside."""
    if isinstance(entry, str):
        return f"-- {entry} --"
    return f"< {line(entry)}" if isinstance(entry, Command) else f"> {entry}"


def with_slot(saved: SavedState, name: str, **changes: Any) -> SavedState:
    """The state with some fields of one slot's record changed."""
    slots = tuple(replace(s, **changes) if s.name == name else s for s in saved.slots)
    return replace(saved, slots=slots)


def with_token(saved: SavedState, name: str, **changes: Any) -> SavedState:
    """The state with some fields of one slot's token changed."""
    tokens = {s.name: s.token for s in saved.slots if s.token}
    return with_slot(saved, name, token=replace(tokens[name], **changes))
