"""The simulator's own clock, and the one place in it that reads one.

The simulator plays a machine far away: its time goes on evenly when somebody steps the clock of
this host, and does not stop while this host is suspended.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Where the simulator's time comes from."""

    def now(self) -> float:
        """Unix time in seconds; it never steps back."""


class HostClock:
    """The host's Unix time at the start, carried on by CLOCK_BOOTTIME."""

    def __init__(self) -> None:
        # A peer has a clock of its own: not the broker's, and none that is handed in by it.
        self._start = time.time() - self._elapsed()  # noqa: TID251 - the clock of another machine

    def now(self) -> float:
        """Unix time in seconds."""
        return self._start + self._elapsed()

    @staticmethod
    def _elapsed() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class ManualClock:
    """A clock that stands still until it is told to move, so that no test waits for an expiry."""

    def __init__(self, start_at: float = 1_700_000_000.25) -> None:
        self._now = start_at

    def now(self) -> float:
        """Unix time in seconds, as last set."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass.

        Raises:
            ValueError: The seconds are negative; to send a wrong time, use `wrong_clock`.
        """
        if seconds < 0:
            raise ValueError(
                f"a clock does not run backwards (asked for {seconds} s); for a USPS whose clock "
                "is wrong inject Fault('wrong_clock', SECONDS) or set clock_offset_seconds"
            )
        self._now += seconds
