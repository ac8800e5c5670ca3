"""What the daemon is given by who starts it, and how it says that it cannot go on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from usps_token_broker.config import Settings
from usps_token_broker.drivers.notify import Notifier
from usps_token_broker.drivers.signals import SignalStream
from usps_token_broker.drivers.socket_owner import OwnedSocket
from usps_token_broker.drivers.store import Store
from usps_token_broker.drivers.tcp_listener import Listener


class StartError(Exception):
    """The daemon cannot start or go on. The text says what, why and what to do."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(slots=True)
class Outside:
    """What `run` opened before: the daemon uses it and `run` closes it."""

    settings: Settings
    load: Callable[[], Settings]
    """Reads the configuration again. Blocks; raises ConfigError."""
    store: Store
    socket: OwnedSocket
    admin: OwnedSocket
    http: Listener | None
    """Listens where `settings.http` says."""
    descriptors: int
    """How many files this process may open."""
    environ: Mapping[str, str]
    uid: int
    version: str
    notifier: Notifier
    signals: SignalStream
    """SIGHUP reloads; any other ends the daemon."""
