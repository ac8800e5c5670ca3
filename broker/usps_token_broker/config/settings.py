"""The configuration as everybody else sees it: frozen, complete and checked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from usps_token_broker.config.http import HttpListen
from usps_token_broker.config.limits import UserLimits
from usps_token_broker.config.problems import Problem, printable
from usps_token_broker.drivers.secret_source import SecretSource

CALLS_PER_HOUR: Final = 30
"""Half of the 60 that USPS grants by default (developers.usps.com, Getting Started)."""


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """One token of an app, and whom it is open to beside root and the daemon's own user."""

    name: str
    """`bearer`, `payment` or `payment-NAME`."""
    users: frozenset[int] = frozenset()
    groups: frozenset[int] = frozenset()
    required: bool = False
    """Whether the broker counts as not ready without it."""
    keep_active: bool = False
    """Whether it is renewed only while somebody asks for it."""
    roles: tuple[Mapping[str, Any], ...] = ()
    """What USPS is asked with, unchanged; empty for a bearer."""
    roles_fingerprint: str = ""
    """A one-way name of the roles, the same however their keys are ordered."""
    file: Path | None = field(default=None, compare=False)
    """The file of its own that it was read from, if any."""


@dataclass(frozen=True, slots=True)
class AppSettings:
    """One USPS application. Spans are seconds."""

    name: str
    base_url: str
    """Scheme and host, without a path or a slash at the end."""
    host: str
    """Lower case; with the port where it is not the scheme's own."""
    client_id: str
    secret: SecretSource
    buffer_seconds: float = 1800.0
    lead_seconds: float = 3600.0
    calls_per_hour: int = CALLS_PER_HOUR
    timeout_seconds: float = 8.0
    bearer: SlotSettings = field(default_factory=lambda: SlotSettings("bearer", required=True))
    payments: tuple[SlotSettings, ...] = ()
    proxy: str | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class BrokenSlot:
    """A payment slot whose own file cannot be used; it hurts this slot only."""

    slot: str
    path: Path
    problems: tuple[Problem, ...]

    def told(self) -> Iterator[str]:
        """What is wrong, one text for each problem."""
        for problem in self.problems:
            yield f"the slot {printable(self.slot)} is not served: {problem}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured."""

    apps: tuple[AppSettings, ...]
    state_dir: Path
    socket_path: Path
    source: str
    """Where it comes from, in words."""
    warnings: tuple[str, ...] = ()
    broken: tuple[BrokenSlot, ...] = ()
    limits: UserLimits = field(default_factory=UserLimits)
    http: HttpListen | None = None
    """Where health and figures are served over TCP, if anywhere."""
    http_tokens: bool = False
    """Whether USPS's token calls are served there too, to who has a local key."""
    keys_file: Path | None = None
    """Where local keys lie; None without a file of configuration."""
