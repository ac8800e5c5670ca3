"""Whether the core loop makes progress: for /healthz and for the service manager's watchdog."""

from collections.abc import Callable
from typing import Final

from usps_token_broker.app.loop import HEARTBEAT_SECONDS

ALIVE_WITHIN_SECONDS: Final = 3 * HEARTBEAT_SECONDS


class Pulse:
    """Remembers the last beat, on a clock that stands still in a suspended machine.

    The loop's timer does, too: by the boot clock every machine that wakes up would look dead.
    """

    def __init__(self, running: Callable[[], float]) -> None:
        self._running = running
        self._beaten_at = running()

    def beat(self) -> None:
        """The loop has come round."""
        self._beaten_at = self._running()

    def alive(self) -> bool:
        """Whether it came round not long ago."""
        return self._running() - self._beaten_at < ALIVE_WITHIN_SECONDS
