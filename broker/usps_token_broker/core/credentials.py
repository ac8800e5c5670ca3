"""What a client secret that was read means for an app's slots.

Credentials are known by a fingerprint, the `basis` of the bearer slot. Those that have earned a
grant are `proven`; those that USPS refused for good are `refused`.
"""

import enum
from collections.abc import Iterable

from usps_token_broker.core import notes
from usps_token_broker.core.commands import Note
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import FailureKind


class Standing(enum.StrEnum):
    """What USPS thinks of the client secret in force."""

    UNKNOWN = "unknown"
    """Not asked yet, or not answered."""
    PENDING = "pending"
    """It changed, and is being tried."""
    ACCEPTED = "accepted"
    REFUSED = "refused"


def standing(bearer: Slot) -> Standing:
    """What USPS thinks of the secret in force, as far as it was asked."""
    if bearer.proven is not None and bearer.proven == bearer.basis:
        return Standing.ACCEPTED
    if bearer.refused is not None and bearer.refused == bearer.basis:
        return Standing.REFUSED
    return Standing.PENDING if bearer.proof_pending() else Standing.UNKNOWN


def seen(bearer: Slot, fingerprint: str) -> bool:
    """Take note of the secret that is in force; whether it is another than the one before."""
    before, bearer.basis = bearer.basis, fingerprint
    # The first secret of a process may be read under its first flight.
    bearer.asked_with = bearer.asked_with or fingerprint
    return before not in {"", fingerprint}


def changed(bearer: Slot, payments: Iterable[Slot]) -> list[Note]:
    """Have the new secret proved, and ask again what was refused under the old one."""
    for slot in payments:
        if slot.halted() and not slot.halted_for_scope():
            slot.refused_bearer = None
            slot.plan_anew()
    bearer.plan_anew()
    known = bearer.proven == bearer.basis
    if known and bearer.trouble is not None and bearer.trouble.kind is FailureKind.REFUSED:
        # No attempt may follow that would clear it.
        bearer.trouble = None
    return [notes.secret_changed(bearer)]
