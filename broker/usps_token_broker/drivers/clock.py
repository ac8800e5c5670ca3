"""Time and chance: the one module that reads a clock or rolls dice."""

import random
import time
from pathlib import Path

from usps_token_broker.core.values import Now

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_dice = random.SystemRandom()


def now() -> Now:
    """Both clocks, read together. BOOTTIME goes on in a suspended machine (clock_gettime(2))."""
    return Now(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())  # noqa: TID251 - the one place


def boot() -> float:
    """The boot clock alone, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def running() -> float:
    """CLOCK_MONOTONIC in seconds: it stands still while the machine is suspended, as timers do."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def monotonic_usec() -> int:
    """CLOCK_MONOTONIC in microseconds, as systemd wants it beside RELOADING=1."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def draw() -> float:
    """A number in [0, 1), drawn anew."""
    return _dice.random()


def boot_id() -> str:
    """Which boot of this machine this is; empty where the kernel does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
