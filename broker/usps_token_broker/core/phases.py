"""What moves a slot from phase to phase, and why it wants its next attempt.

    IDLE      nothing under way; wants an attempt when the token is missing, due, reported,
              doubted by the clocks, ordered by hand, or when a changed secret wants proof
    FETCHING  one flight, by its number; a result with another number is void
    WAITING   the last attempt failed and another is worth it, not before a deadline
    HALTED    USPS said no and a person must act; asked again by slow probes, or at once when
              what was refused has changed

A pair that is absent from `MOVES` is not allowed. What the table cannot say: a payment slot also
needs a bearer (`payments.py`), and every start needs budget (`planning.py`).
"""

import enum
from typing import Final, NamedTuple

from usps_token_broker.core.budget import EXTRA, FIRST, RETRY, Need
from usps_token_broker.core.values import Phase


class Move(enum.Enum):
    """What can happen to a phase."""

    START = enum.auto()
    GRANTED = enum.auto()
    PASSED = enum.auto()
    """A failure that may pass by itself."""
    REFUSED = enum.auto()
    CHANGED = enum.auto()
    """What stood in the way has changed: plan anew."""


MOVES: Final = {
    (Phase.IDLE, Move.START): Phase.FETCHING,
    (Phase.WAITING, Move.START): Phase.FETCHING,
    (Phase.HALTED, Move.START): Phase.FETCHING,
    (Phase.FETCHING, Move.GRANTED): Phase.IDLE,
    (Phase.FETCHING, Move.PASSED): Phase.WAITING,
    (Phase.FETCHING, Move.REFUSED): Phase.HALTED,
    (Phase.IDLE, Move.REFUSED): Phase.HALTED,
    (Phase.WAITING, Move.REFUSED): Phase.HALTED,
    (Phase.HALTED, Move.REFUSED): Phase.HALTED,
    (Phase.IDLE, Move.CHANGED): Phase.IDLE,
    (Phase.WAITING, Move.CHANGED): Phase.IDLE,
    (Phase.HALTED, Move.CHANGED): Phase.IDLE,
}


class Cause(enum.StrEnum):
    """Why a slot wants an attempt, the most urgent first."""

    MISSING = "missing"
    DUE = "due"
    RETRY = "retry"
    ORDERED = "ordered"
    REPORTED = "reported"
    CLOCK = "clock"
    PROOF = "proof"
    PROBE = "probe"


class Held(enum.Enum):
    """What alone holds an attempt back."""

    NOTHING = enum.auto()
    BUDGET = enum.auto()
    RETRY_AFTER = enum.auto()


URGENCY: Final = {cause: place for place, cause in enumerate(Cause)}

NEEDS: Final = {
    Cause.MISSING: FIRST,
    Cause.DUE: FIRST,
    Cause.RETRY: RETRY,
    Cause.ORDERED: EXTRA,
    Cause.REPORTED: EXTRA,
    Cause.CLOCK: EXTRA,
    Cause.PROOF: EXTRA,
    Cause.PROBE: EXTRA,
}


class Wanted(NamedTuple):
    """An attempt a slot wants: not before `at`, on the boot clock, and what it must leave over."""

    at: float
    cause: Cause
    need: Need
