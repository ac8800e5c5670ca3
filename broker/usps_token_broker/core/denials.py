"""Why a caller gets no token, said from the state of a slot."""

from usps_token_broker.core import schedule
from usps_token_broker.core.commands import Denial
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.notes import span
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.planning import Held
from usps_token_broker.core.values import Now, Phase, SlotId

_STATUS_FIX = "ask `usps-token-broker status` for the state of every token"


def deny(slot: Slot, next_attempt_at: float | None, held: Held, now: Now) -> Denial:
    """The denial for a slot whose token cannot be served, or not for as long as was asked.

    `next_attempt_at` is on the boot clock; `held` says what alone holds that attempt back.
    """
    wait = None if next_attempt_at is None else max(0.0, next_attempt_at - now.boot)
    code, reason, fix = _reason(slot, held)
    trouble = slot.trouble
    return Denial(
        code=code,
        detail=f"{_lack(slot, now)}: {reason}",
        fix=fix,
        next_attempt_at=None if wait is None else now.wall + wait,
        retry_after_seconds=wait,
        upstream_status=trouble.upstream_status if trouble else None,
        upstream_code=trouble.sub_code if trouble else None,
        reason=trouble.reason if trouble else None,
    )


def _lack(slot: Slot, now: Now) -> str:
    if slot.token is None or not slot.servable(now):
        return f"no {slot.id.name} token"
    left = span(schedule.remaining_seconds(slot.token, now))
    return f"the {slot.id.name} token has {left} left and there is no newer one"


def _reason(slot: Slot, held: Held) -> tuple[Code, str, str]:
    if slot.trouble is not None:
        return slot.trouble.code, slot.trouble.detail, slot.trouble.fix
    if held is Held.NOTHING:
        under_way = slot.phase is Phase.FETCHING
        reason = "it is being fetched" if under_way else "the next attempt is still to come"
        return Code.NOT_READY, reason, f"ask again with a longer `wait`; {_STATUS_FIX}"
    again = f"wait for the next attempt; {_STATUS_FIX}"
    if held is Held.BUDGET:
        return Code.BUDGET_EXHAUSTED, "the budget of calls to USPS is used up", again
    return Code.UPSTREAM_RATE_LIMITED, "USPS asked not to be called for a while", again


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
