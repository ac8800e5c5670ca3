"""The query keys of the local interface: what each means, and what it may be.

They are read by `app.queries` and described by `wire.openapi`.
"""

from typing import Final, NamedTuple

from usps_token_broker.core.values import NOMINAL_LIFE_SECONDS


class Key(NamedTuple):
    """One query key of one or more calls."""

    name: str
    meaning: str
    is_span: bool = False
    """Whether it is a span in seconds; other keys are names."""
    default: float | None = None
    """What counts when it is not given; None where that is not a number."""
    most: float | None = None
    too_much: str = ""
    """What to do instead of asking for more than `most`."""


LONGEST_LIFE_SECONDS: Final = NOMINAL_LIFE_SECONDS
LONGEST_BUFFER_SECONDS: Final = NOMINAL_LIFE_SECONDS / 4
"""No buffer is longer: the configuration takes at most a quarter of a life."""

WAIT_SECONDS: Final = 10.0
WAIT_MOST_SECONDS: Final = 60.0
APP: Final = Key(
    "app",
    "The app; without it the only one that this peer may use, else the one named `default`",
)
EXPLAINED_APP: Final = Key("app", "The app whose tokens the call was made with")
ANY_APP: Final = Key("app", "This app alone; without it all that this peer may use")
MIN_VALID: Final = Key(
    "min_valid",
    "How much longer the token must live. A condition, not an order: at most the buffer of the "
    "app, 1800 s by default. Without it any token that may be served will do",
    is_span=True,
    most=LONGEST_BUFFER_SECONDS,
    too_much="ask for less: a token inside its buffer should no longer be used",
)
READY_MIN_VALID: Final = Key(
    "min_valid",
    "How much longer every token asked about must live",
    is_span=True,
    default=0.0,
    most=LONGEST_LIFE_SECONDS,
    too_much="ask for less: no token lives longer",
)
WAIT: Final = Key(
    "wait",
    "How long to wait for an answer from USPS that is due within that time. Where none is, the "
    "refusal comes at once",
    is_span=True,
    default=WAIT_SECONDS,
    most=WAIT_MOST_SECONDS,
    too_much="ask again after that, in a loop",
)
PROOF_WAIT: Final = Key(
    "wait",
    "How long changed client secrets are given to be proved at USPS",
    is_span=True,
    default=WAIT_SECONDS,
    most=WAIT_MOST_SECONDS,
    too_much="ask `usps-token-broker status` for what came of them",
)
SCOPE: Final = Key("scope", "Refuse a bearer token whose scopes are known and lack this one")
PAYMENT: Final = Key(
    "payment",
    "Add the payment token of this name: `default` is the slot `payment`, NAME is `payment-NAME`",
)
READY_SLOT: Final = Key("slot", "Ask about this slot alone; without it about all required ones")
FORGOTTEN_SLOT: Final = Key("slot", "Forget this slot alone; without it all, of one app or of all")
