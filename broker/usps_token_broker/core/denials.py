"""Why a caller gets no token, said from the state of a slot.

A refusal is told as long as it stands. Clients take one for final, so that of a secret which has
changed since must not be told while the new one is tried.
"""

import enum
from typing import Final, NamedTuple

from usps_token_broker.core import schedule
from usps_token_broker.core.commands import Denial
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.notes import span
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.core.phases import Cause, Held
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import Now, Phase, SlotId

_STATUS_FIX: Final = "ask `usps-token-broker status` for the state of every token"
_REFUSALS: Final = frozenset({Code.SCOPE_MISSING, Code.CREDENTIALS_REFUSED, Code.PAYMENT_REFUSED})
"""What a person must mend: clients do not ask again by themselves."""
_ASKS_THE_SAME: Final = frozenset({Cause.RETRY, Cause.PROBE})


class Order(enum.Enum):
    """How far what a person ordered has come; no other caller has ordered anything."""

    OPEN = enum.auto()
    """The attempt has not begun, or not ended: what USPS said before is no answer to it."""
    DONE = enum.auto()


def deny(
    slot: Slot,
    next_attempt_at: float | None,
    held: Held,
    now: Now,
    *,
    order: Order | None = None,
) -> Denial:
    """The denial for a slot whose token cannot be served, or not for as long as was asked.

    `next_attempt_at` is on the boot clock; `held` says what alone holds that attempt back.
    """
    wait = None if next_attempt_at is None else max(0.0, next_attempt_at - now.boot)
    said = _said(slot, held, order)
    return Denial(
        code=said.code,
        detail=f"{_lack(slot, now)}: {said.why}",
        fix=said.fix,
        next_attempt_at=None if wait is None else now.wall + wait,
        retry_after_seconds=wait,
        upstream_status=said.upstream_status,
        upstream_code=said.upstream_code,
        reason=said.reason,
    )


def _said(slot: Slot, held: Held, order: Order | None) -> "_Said":
    state, trouble = _of_state(slot, held), slot.trouble
    if trouble is None:
        return state
    if order is Order.DONE and slot.in_vain is not None:
        return _after(_of(slot.in_vain), trouble)
    if trouble.code in _REFUSALS:
        is_over = order is Order.OPEN or _is_overtaken(slot, trouble)
    else:
        is_over = order is Order.OPEN and state.code not in {Code.NOT_READY, trouble.code}
    return _after(state, trouble) if is_over else _of(trouble)


def _is_overtaken(slot: Slot, trouble: Trouble) -> bool:
    """Whether this refusal is one of what is no longer asked with."""
    if slot.phase is not Phase.FETCHING:
        return slot.phase is Phase.IDLE
    # USPS was not asked: it was the secret that could not be read, and now it could.
    was_unread = trouble.kind is FailureKind.UNREACHED
    return was_unread or slot.cause not in _ASKS_THE_SAME or slot.asked_with != slot.basis


def _lack(slot: Slot, now: Now) -> str:
    if slot.token is None or not slot.servable(now):
        return f"no {slot.id.name} token"
    left = span(schedule.remaining_seconds(slot.token, now))
    return f"the {slot.id.name} token has {left} left and there is no newer one"


class _Said(NamedTuple):
    code: Code
    why: str
    fix: str
    upstream_status: int | None = None
    upstream_code: str | None = None
    reason: str | None = None


def _after(said: _Said, trouble: Trouble) -> _Said:
    """What stands now, with the trouble before it, which it is not about."""
    return said._replace(why=f"{said.why}; before that: {trouble.detail}")


def _of(trouble: Trouble | Failure) -> _Said:
    return _Said(
        trouble.code,
        trouble.detail,
        trouble.fix,
        trouble.upstream_status,
        trouble.sub_code,
        trouble.reason,
    )


def _of_state(slot: Slot, held: Held) -> _Said:
    if held is Held.NOTHING:
        under_way = slot.phase is Phase.FETCHING
        why = "it is being fetched" if under_way else "the next attempt is still to come"
        return _Said(Code.NOT_READY, why, f"ask again with a longer `wait`; {_STATUS_FIX}")
    again = f"wait for the next attempt; {_STATUS_FIX}"
    if held is Held.BUDGET:
        return _Said(Code.BUDGET_EXHAUSTED, "the budget of calls to USPS is used up", again)
    why = "USPS asked not to be called for a while"
    return _Said(Code.UPSTREAM_RATE_LIMITED, why, again)


def scope_in_doubt(slot: Slot, now: Now) -> Denial:
    """The denial for a slot whose bearer lacked a scope, while another bearer is being fetched."""
    before = f"; before that: {slot.trouble.detail}" if slot.trouble else ""
    return Denial(
        code=Code.NOT_READY,
        detail=f"{_lack(slot, now)}: it needs another bearer token, which is being fetched{before}",
        fix=f"ask again with a longer `wait`; {_STATUS_FIX}",
        retry_after_seconds=1.0,
    )


def guarded(slot: Slot, now: Now) -> Denial:
    """Why a report causes no renewal: one fresh token after another was reported."""
    until_at = slot.guard.until_at
    wait = until_at - now.boot
    return Denial(
        code=Code.TOO_MANY_REQUESTS,
        detail=f"the {slot.id.name} token was renewed after a report not long ago, and the new "
        "one is reported too",
        fix="a token that USPS just granted is hardly dead: look at what the answer of USPS says, "
        f"and at the worker; the next report counts in {span(wait)}",
        next_attempt_at=now.wall + wait,
        retry_after_seconds=wait,
    )


def gone(slot: SlotId) -> Denial:
    """The denial for a slot that a reload took away."""
    return Denial(
        code=Code.UNKNOWN_SLOT,
        detail=f"the configuration has no token {slot} any more",
        fix="ask for one that `usps-token-broker status` lists, or have it configured again",
    )


def restarting() -> Denial:
    """The denial of a broker that is about to end."""
    return Denial(
        code=Code.RESTARTING,
        detail="the broker is stopping",
        fix="ask again in a second; a restarted broker serves the tokens it had",
        retry_after_seconds=1.0,
    )
