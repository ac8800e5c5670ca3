"""Why a caller gets no token, said from the state of a slot."""

from usps_token_broker.core.commands import Denial
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import Now, Phase

_STATUS_FIX = "ask `usps-token-broker status` for the state of every token"


def deny(slot: Slot, next_attempt_at: float | None, now: Now, *, budget_blocks: bool) -> Denial:
    """The denial for a slot that has no servable token.

    `next_attempt_at` is on the boot clock; `budget_blocks` says that only the budget holds the
    next attempt back.
    """
    wait = None if next_attempt_at is None else max(0.0, next_attempt_at - now.boot)
    at = None if wait is None else now.wall + wait
    if slot.trouble is not None:
        trouble = slot.trouble
        return Denial(
            code=trouble.code,
            detail=f"no {slot.id.name} token: {trouble.detail}",
            fix=trouble.fix,
            next_attempt_at=at,
            retry_after_seconds=wait,
            upstream_status=trouble.upstream_status,
            upstream_code=trouble.sub_code,
        )
    if budget_blocks:
        return Denial(
            code=Code.BUDGET_EXHAUSTED,
            detail=f"no {slot.id.name} token, and the budget of calls to USPS is used up",
            fix=f"wait for the next attempt; {_STATUS_FIX}",
            next_attempt_at=at,
            retry_after_seconds=wait,
        )
    verb = "is being fetched" if slot.phase is Phase.FETCHING else "is not there yet"
    return Denial(
        code=Code.NOT_READY,
        detail=f"the {slot.id.name} token {verb}",
        fix=f"ask again with a longer `wait`; {_STATUS_FIX}",
        next_attempt_at=at,
        retry_after_seconds=wait,
    )


def restarting() -> Denial:
    """The denial of a broker that is about to end."""
    return Denial(
        code=Code.RESTARTING,
        detail="the broker is stopping",
        fix="ask again in a second; a restarted broker serves the tokens it had",
        retry_after_seconds=1.0,
    )
