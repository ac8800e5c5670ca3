"""Keeping what lies in our memory, secrets and tokens, from others who are on the host."""

import contextlib
import ctypes
import resource
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def keep_private() -> None:
    """No core is written, and no other process of the same user can look into this one.

    The filter holds for handlers of cores that ignore the limit (core(5)). Not dumpable means that
    ptrace(2) and most of /proc/PID are for root alone; only the next execve(2) would undo it. Where
    the system forbids one of them, the others hold.
    """
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0", encoding="ascii")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
