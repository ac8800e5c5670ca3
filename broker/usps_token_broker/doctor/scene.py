"""What a walk knows: what was asked, and what earlier checks have found out for later ones."""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from usps_token_broker.config import DEFAULT_PATH, Settings
from usps_token_broker.drivers.probing import Identity, groups_of, is_broker, process
from usps_token_broker.wire.status import StatusMessage

SERVICE_USER: Final = "usps-token-broker"
ASK_SECONDS: Final = 5.0
"""For one question to the broker: what answers at all answers in milliseconds."""


@dataclass(slots=True)
class Scene:
    """Filled in by the checks, in their order; what could not be found out stays None."""

    config: Path | None = None
    sockets: tuple[Path, ...] = ()
    """Where the socket may be when no configuration says; the only one when a person did."""
    socket_is_named: bool = False
    admin_sockets: tuple[Path, ...] = ()
    as_user: str | None = None
    app: str | None = None
    """Which app `--online` is about."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    default_path: Path = DEFAULT_PATH
    settings: Settings | None = None
    socket: Path | None = None
    """Where somebody answered."""
    status: StatusMessage | None = None
    config_refused: bool = False
    """Whether no broker can start with what is configured."""
    is_heard: bool = False
    """Whether somebody listens, whatever they say."""
    unit_installed: bool = False
    nameless: set[str] = field(default_factory=set)
    """Hosts that the name service gave no address for."""

    @property
    def socket_paths(self) -> tuple[Path, ...]:
        """Where the socket may be, the likeliest first."""
        if self.socket_is_named or self.settings is None:
            return self.sockets
        return (self.settings.socket_path,)

    def daemon(self) -> Identity:
        """Whom the broker runs as, or would: by its process, its service, its state, or as us."""
        if self.status is not None and is_broker(self.status.pid):
            running = process(self.status.pid)
            if running is not None:
                return running.identity
        if self.unit_installed:
            try:
                entry = pwd.getpwnam(SERVICE_USER)
            except KeyError:
                pass
            else:
                groups = frozenset(groups_of(entry.pw_name, entry.pw_gid))
                return Identity(entry.pw_uid, entry.pw_gid, groups)
        if self.settings is not None:
            try:
                status = self.settings.state_dir.stat()
            except OSError:
                pass
            else:
                return Identity(status.st_uid, status.st_gid)
        return Identity(os.geteuid(), os.getegid(), frozenset(os.getgroups()))
