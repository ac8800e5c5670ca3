"""What can happen to the broker. Every event is a frozen record, named by a past participle."""

from dataclasses import dataclass

from usps_token_broker.core.outcomes import Failure, Grant
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Now, SlotId


@dataclass(frozen=True, slots=True)
class Restored:
    """The state of an earlier process was read, or there was none. Comes first, once."""

    saved: SavedState | None
    boot_id: str


@dataclass(frozen=True, slots=True)
class Granted:
    """USPS granted a token. `draw` in [0, 1) spreads its renewal; `sent_at` is when we asked."""

    slot: SlotId
    attempt: int
    grant: Grant
    sent_at: Now
    draw: float


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt ended without a token. `draw` in [0, 1) spreads the next one."""

    slot: SlotId
    attempt: int
    failure: Failure
    draw: float


@dataclass(frozen=True, slots=True)
class CredentialsSeen:
    """The client secret of an app was read; `fingerprint` names it."""

    app: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A caller wants these slots good for `min_valid_seconds`, and waits until `give_up_at`.

    `min_valid_seconds` None means any token that may be served.
    """

    ask: int
    slots: tuple[SlotId, ...]
    give_up_at: float
    min_valid_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """A worker's word that USPS refused these serials as dead.

    `payment` is set on a label call. `ask` is answered when the outcome is known.
    """

    ask: int
    app: str
    give_up_at: float
    bearer_serial: int | None = None
    payment: SlotId | None = None
    payment_serial: int | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """A token that is kept only while it is in use was handed out, without anybody waiting."""

    slot: SlotId


@dataclass(frozen=True, slots=True)
class RenewalOrdered:
    """A person wants another token now, whatever the one we have is like."""

    ask: int
    slot: SlotId
    give_up_at: float


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A person wants these tokens gone, and what stood in the way of new ones as well."""

    slots: tuple[SlotId, ...]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Another configuration is in force: these are all apps and all slots there are now."""

    apps: tuple[AppPlan, ...]
    slots: tuple[SlotPlan, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A caller left; its question needs no answer."""

    ask: int


@dataclass(frozen=True, slots=True)
class Woke:
    """Time passed: the wake-up came, or the heartbeat."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The daemon is told to end; nobody waits any longer."""


Event = (
    Restored
    | Granted
    | Failed
    | CredentialsSeen
    | Asked
    | Reported
    | Used
    | RenewalOrdered
    | Forgotten
    | Reloaded
    | Withdrawn
    | Woke
    | Stopped
)
