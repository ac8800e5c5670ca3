"""A payment slot and the bearer it asks with: which one will do, and what a 401 means.

Instants are boot seconds.
"""

from collections.abc import Iterable

from usps_token_broker.core import notes
from usps_token_broker.core.commands import Note
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.values import PAYMENTS_SCOPE, Now, Phase


def refused_with(slot: Slot, bearer: Slot) -> bool:
    """Whether USPS refused this slot with the very bearer we have, whose renewal is on its way."""
    serial = bearer.token.serial if bearer.token else None
    return bearer.reported and slot.refused_bearer is not None and slot.refused_bearer == serial


def lacks_scope(bearer: Slot) -> bool:
    """Whether this bearer is known to lack the scope; not knowing is no reason not to ask."""
    scopes = bearer.token.scopes if bearer.token else None
    return scopes is not None and PAYMENTS_SCOPE not in scopes


def awaits_bearer(slot: Slot, bearer: Slot) -> bool:
    """Whether a bearer is being fetched that may have the scope which the one we have lacks."""
    in_want = lacks_scope(bearer) or slot.halted_for_scope()
    return in_want and bearer.phase is Phase.FETCHING


def check_scope(slot: Slot, bearer: Slot, now: Now) -> list[Note]:
    """Halt a slot that wants an attempt with a bearer that is known to lack the scope.

    With another bearer than the one it was halted for, it is looked at again. The caller has
    made sure that the bearer is usable.
    """
    token = bearer.token
    if token is None:
        return []
    if slot.halted_for_scope() and token.serial != slot.bearer_serial:
        slot.plan_anew()
    want = slot.wanted(now)
    if want is None or want.at > now.boot or not lacks_scope(bearer):
        return []
    before = slot.trouble
    slot.miss_scope(notes.SCOPE_MISSING, token, now)
    return [notes.failed(slot, notes.SCOPE_MISSING, before, notes.Ahead(slot.retry_at), now)]


def doubt_bearer(slot: Slot, bearer: Slot, now: Now) -> None:
    """The first 401 of payment-authorization: another bearer, once for this attempt."""
    if bearer.token is None or bearer.token.serial != slot.bearer_serial:
        slot.plan_anew()
    elif not bearer.report(now):
        # Nothing is gained by asking again with this bearer before it may be renewed.
        slot.retry_at = max(slot.retry_at, bearer.guard.until_at)


def bearer_changed(slots: Iterable[Slot], bearer: Slot) -> None:
    """Look again at what the new bearer may cure."""
    for slot in slots:
        waits_for_bearer = (
            slot.trouble is not None
            and slot.trouble.kind is FailureKind.BEARER_REFUSED
            and not slot.halted()
        )
        if waits_for_bearer or (slot.halted() and _has_more_scopes(slot, bearer)):
            slot.plan_anew()


def _has_more_scopes(slot: Slot, bearer: Slot) -> bool:
    before = slot.bearer_scopes
    after = bearer.token.scopes if bearer.token else None
    if before is None or after is None:
        return False
    return not set(after) <= set(before)
