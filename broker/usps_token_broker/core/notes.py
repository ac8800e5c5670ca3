"""The lines a log gets, and the two failures the core finds by itself. No secret in any."""

from dataclasses import replace
from typing import Final, NamedTuple

from usps_token_broker import catalogue
from usps_token_broker.core import schedule
from usps_token_broker.core.commands import Level, Note
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.core.phases import Held
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import Freshness, Now, Phase, Token

UNCHANGED: Final = Failure(
    FailureKind.UNCHANGED,
    Code.UPSTREAM_UNAVAILABLE,
    catalogue.row("token_unchanged").cause,
    catalogue.row("token_unchanged").fix,
    reason="token_unchanged",
)

ENDS_NO_LATER: Final = replace(
    UNCHANGED,
    detail="USPS granted another token, which ends no later than the one we have",
    fix=f"{catalogue.WAIT}, and keeps the one that lives longer",
)

SCOPE_MISSING: Final = Failure(
    FailureKind.SCOPE_MISSING,
    Code.SCOPE_MISSING,
    "the bearer token lacks the scope `payments`, so USPS would refuse a payment authorization",
    catalogue.row("payments_scope_missing").fix,
    reason="payments_scope_missing",
)


def span(seconds: float) -> str:
    """A span for people: `7 h 30 min`, `12 min`, `8 s`."""
    whole = max(0, round(seconds))
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def granted(slot: Slot, before: Token | None, trouble: Trouble | None, now: Now) -> Note:
    """A new token is in use; `trouble` is what it put an end to."""
    token = slot.token
    left = schedule.remaining_seconds(token, now) if token else 0.0
    renew = token.renew_at - now.boot if token else 0.0
    verb = "renewed" if before else "fetched"
    text = f"{verb}{_after(trouble, now)}; good for {span(left)}, next renewal in {span(renew)}"
    return Note(Level.INFO, "granted", text, slot.id)


def _after(trouble: Trouble | None, now: Now) -> str:
    if trouble is None:
        return ""
    times = "a failure" if trouble.times == 1 else f"{trouble.times} failures"
    return f" after {times} in {span(now.wall - trouble.since_at)}"


def is_news(before: Trouble | None, after: Trouble) -> bool:
    """Whether a failure is worth a line: another than before, or the second, fourth, eighth alike.

    A long outage is told in as many lines as its length has doublings.
    """
    if before is None or (before.reason, before.code) != (after.reason, after.code):
        return True
    return after.times & (after.times - 1) == 0


class Ahead(NamedTuple):
    """When a waiting slot tries again, on the boot clock, and what alone holds it back."""

    at: float
    held: Held = Held.NOTHING
    is_news: bool = False
    """Whether it is held by its budget, and no line has said so."""


def failed(slot: Slot, failure: Failure, before: Trouble | None, ahead: Ahead, now: Now) -> Note:
    """An attempt ended without a token; what is served meanwhile, and what happens next.

    `before` is the trouble before this one.
    """
    held = "no token to serve"
    if slot.token is not None and slot.servable(now):
        left = schedule.spent_at(slot.token, now) - now.boot
        held = f"the token we have is good for {span(left)}"
    match slot.phase:
        case Phase.WAITING:
            then = f"next attempt in {span(ahead.at - now.boot)}{_held_by(ahead.held, failure)}"
        case Phase.HALTED if slot.halted_for_scope():
            then = "looked at again with the next bearer"
        case Phase.HALTED:
            then = f"asked again in {span(slot.probe_at - now.boot)}"
        case _:
            then = "asked again at once"
    level = Level.ERROR if slot.phase is Phase.HALTED else Level.WARNING
    if slot.trouble is not None and not (ahead.is_news or is_news(before, slot.trouble)):
        level = Level.DEBUG
    times = slot.trouble.times if slot.trouble else 1
    again = f"; {times} times in a row" if times > 1 else ""
    text = f"{failure.detail}{again}; {held}; {then}; {_to_do(failure.fix)}"
    return Note(level, "failed", text, slot.id, failure.reason or failure.code.value)


def _held_by(held: Held, failure: Failure) -> str:
    if held is Held.BUDGET:
        return ", when the budget allows"
    asked = failure.retry_after_seconds
    if held is Held.RETRY_AFTER and asked and asked > schedule.obeyed_retry_after(asked):
        return f" (USPS asks for {span(asked)}, which is more than the broker waits)"
    return ""


def _to_do(fix: str) -> str:
    return fix if fix.startswith("nothing to do") else f"do: {fix}"


def gave_up(slot: Slot) -> Note:
    """A refusal outlived the token."""
    detail = slot.trouble.detail if slot.trouble else "refused"
    fix = f"; {_to_do(slot.trouble.fix)}" if slot.trouble else ""
    text = f"{detail}; the last good token is past its life{fix}"
    return Note(Level.ERROR, "halted", text, slot.id)


def forgotten(slot: Slot) -> Note:
    """A token was dropped by hand."""
    return Note(Level.WARNING, "forgotten", "forgotten by order; no longer served", slot.id)


def secret_refused(slot: Slot, now: Now) -> Note:
    """USPS refused the changed secret, while the token of the one before is still good."""
    left = span(schedule.spent_at(slot.token, now) - now.boot) if slot.token else "0 s"
    text = f"secret refused: the old token is good for {left}"
    return Note(Level.ERROR, "secret_refused", text, slot.id)


def secret_changed(slot: Slot) -> Note:
    """Another client secret was read."""
    known = slot.proven == slot.basis
    then = "it is one that worked before" if known else "trying it once"
    return Note(Level.INFO, "secret_changed", f"the client secret changed; {then}", slot.id)


def secret_accepted(slot: Slot) -> Note:
    """The changed client secret works."""
    return Note(Level.INFO, "secret_accepted", "secret accepted", slot.id)


def freshness_changed(slot: Slot, freshness: Freshness) -> list[Note]:
    """A token went late or past its life; anything else goes without saying."""
    match freshness:
        case Freshness.LATE:
            text = "not renewed in time: served from its last part of life, flagged degraded"
            return [Note(Level.WARNING, "late", text, slot.id)]
        case Freshness.SPENT:
            return [Note(Level.ERROR, "spent", "past its life: no longer served", slot.id)]
        case _:
            return []


def restored(slot: Slot, now: Now) -> Note:
    """A token of an earlier process is in use."""
    left = schedule.spent_at(slot.token, now) - now.boot if slot.token else 0.0
    return Note(Level.INFO, "restored", f"restored; good for {span(left)}", slot.id)


def not_restored(slot: Slot, why: str) -> Note:
    """A token of an earlier process is not fit for use."""
    return Note(Level.WARNING, "not_restored", f"the saved token is not used: {why}", slot.id)
