"""What outlives a process: plain records of tokens, deadlines and budgets.

Instants are boot seconds of the boot `boot_id`, saved with both clocks, so that another boot can
translate them.
"""

from dataclasses import dataclass, field

from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.values import Endpoint, Now, Phase, Secret


@dataclass(frozen=True, slots=True)
class SavedToken:
    """A token as it was granted."""

    value: Secret
    serial: int
    token_type: str
    sent_boot_at: float
    sent_wall_at: float
    life_seconds: float
    renew_at: float
    scopes: tuple[str, ...] | None
    by_wall: bool = False
    life_is_assumed: bool = False


@dataclass(frozen=True, slots=True)
class SavedTrouble:
    """The last trouble of a slot; instants are Unix seconds."""

    kind: FailureKind
    code: str
    detail: str
    fix: str
    since_at: float
    last_at: float
    times: int
    upstream_status: int | None = None
    sub_code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SavedSlot:
    """One slot. `basis` names what its token was asked for with: credentials, or roles."""

    app: str
    host: str
    client_id: str
    name: str
    basis: str
    phase: Phase
    bucket_level: float
    bucket_filled_at: float
    token: SavedToken | None = None
    life_seconds: float = 28_800.0
    failures: int = 0
    retry_at: float = 0.0
    probes: int = 0
    probe_at: float = 0.0
    bearer_serial: int | None = None
    bearer_scopes: tuple[str, ...] | None = None
    refused_bearer: int | None = None
    refused: str | None = None
    proven: str | None = None
    reported: bool = False
    suspect: bool = False
    guard_until_at: float = 0.0
    guard_seconds: float = 0.0
    trouble: SavedTrouble | None = None
    asked_at: float | None = None


@dataclass(frozen=True, slots=True)
class SavedWindow:
    """Calls charged to one endpoint in the last hour, and until when USPS wants none."""

    host: str
    client_id: str
    endpoint: Endpoint
    sent_at: tuple[float, ...]
    floor_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SavedState:
    """All of it."""

    boot_id: str
    saved_at: Now
    last_serial: int
    slots: tuple[SavedSlot, ...] = field(default=())
    windows: tuple[SavedWindow, ...] = field(default=())
