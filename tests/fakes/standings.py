"""Statuses of a broker, for tests of what is shown of them."""

import msgspec

from usps_token_broker.wire.status import (
    AppMessage,
    BudgetMessage,
    SlotMessage,
    StatusMessage,
    TroubleMessage,
)

AT = 1_790_000_000.0
GOOD = SlotMessage(
    slot="bearer",
    phase="idle",
    freshness="fresh",
    ready=True,
    required=True,
    degraded=False,
    suspect=False,
    serial=5,
    issued_at=AT - 100,
    expires_at=AT + 28_680,
    expires_in=28_680.0,
    use_until=AT + 26_900,
    renew_at=AT + 22_980,
    next_attempt_at=AT + 22_980,
    next_attempt_why="due",
    attempts_left=3.0,
    scopes=("labels",),
    trouble=None,
)
NONE = msgspec.structs.replace(
    GOOD,
    slot="payment",
    phase="halted",
    freshness="none",
    ready=False,
    required=False,
    serial=None,
    issued_at=None,
    expires_at=None,
    expires_in=None,
    use_until=None,
    renew_at=None,
    next_attempt_at=AT + 720,
    next_attempt_why="probe",
    trouble=TroubleMessage(
        "payment_refused", "USPS said no", "mend the roles", AT - 180, AT - 120, 2, 400, "160228"
    ),
)


def status(
    *slots: SlotMessage, ready: bool = True, skew: float | None = None, **more: object
) -> StatusMessage:
    """A broker with one app that has these slots."""
    budget = [BudgetMessage("token", 1, 30)]
    app = AppMessage("default", "apis.usps.com", skew, list(slots), budget)
    said = StatusMessage("1.2.3", 4711, AT - 3600, AT, ready, 0, None, [app])
    return msgspec.structs.replace(said, **more)
