"""The clock that ages and deadlines are counted on.

CLOCK_BOOTTIME does not step when somebody sets the time, and goes on in a suspended machine, so
a token grows old in a closed laptop too (clock_gettime(2)).
"""

from __future__ import annotations

import time

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import partial
else:
    # The same class; `functools` itself would cost four milliseconds.
    from _functools import partial


def _choose() -> Callable[[], float]:
    """CLOCK_BOOTTIME, or the monotonic clock where the system has no such thing."""
    try:
        boot = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        boot()
    except (AttributeError, OSError):
        return time.monotonic  # noqa: TID251 - the one place where the client chooses its clock
    return boot


now: Callable[[], float] = _choose()
"""Seconds on that clock. A partial and no function, because every warm read calls it."""


def wall() -> float:
    """Unix seconds. Only to see whether a token is late, never how long it may be used."""
    return time.clock_gettime(time.CLOCK_REALTIME)
