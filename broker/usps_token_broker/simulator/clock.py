"""The simulator's own clock, and the one place in it that reads one.

The simulator plays a machine far away: its time goes on evenly when somebody steps the clock of
this host, and does not stop while this host is suspended.
"""

import time
from typing import Final, Protocol

LATEST_AT: Final = 4_102_444_800
"""The year 2100, as far as a clock is moved: dates and tokens can still say it."""


class Clock(Protocol):
    """Where the simulator's time comes from."""

    def now(self) -> float:
        """Unix time in seconds; it never steps back."""

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once.

        Raises:
            ValueError: They are negative, or lead beyond the year 2100.
        """


class HostClock:
    """The host's Unix time at the start, carried on by CLOCK_BOOTTIME, and by whoever moves it."""

    def __init__(self) -> None:
        # A peer has a clock of its own: not the broker's, and none that is handed in by it.
        self._start = time.time() - self._elapsed()  # noqa: TID251 - the clock of another machine

    def now(self) -> float:
        """Unix time in seconds."""
        return self._start + self._elapsed()

    def advance(self, seconds: float) -> None:
        """Be so many seconds later from now on, as if they had passed.

        Raises:
            ValueError: See `Clock.advance`.
        """
        self._start += _forwards(self.now(), seconds)

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
            ValueError: See `Clock.advance`.
        """
        self._now += _forwards(self._now, seconds)


def _forwards(now: float, seconds: float) -> float:
    # Not `seconds < 0`, which NaN passes.
    if not 0.0 <= seconds <= LATEST_AT - now:
        raise ValueError(
            f"a clock moves forwards, and not beyond the year 2100 (asked for {seconds} s); for a "
            "USPS whose clock is wrong inject Fault('wrong_clock', SECONDS) or set "
            "clock_offset_seconds"
        )
    return seconds
