"""Keeping what lies in our memory, secrets and tokens, from others who are on the host."""

import contextlib
import ctypes
import resource
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
_MCL_ALL: Final = 1 | 2 | 4  # MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, asm-generic/mman.h
_CAP_IPC_LOCK: Final = 14  # linux/capability.h


def keep_private() -> None:
    """No core is written, and no other process of the same user can look into this one.

    The filter holds for handlers of cores that ignore the limit (core(5)). Not dumpable means that
    ptrace(2) and most of /proc/PID are for root alone; only the next execve(2) would undo it. Where
    the system forbids one of them, the others hold.
    """
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/coredump_filter").write_bytes(b"0")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def keep_from_swap() -> bool:
    """Locks all memory, present and future, so that none of it is swapped; whether it did.

    Only where no limit stands over it (RLIMIT_MEMLOCK, or CAP_IPC_LOCK): under one, the day would
    come on which an allocation fails (mlockall(2)). A page is locked once it is touched, so stacks
    and maps cost no more than before (Linux 4.4).
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and not _may_lock_anything():
        return False
    try:
        return bool(ctypes.CDLL(None).mlockall(_MCL_ALL) == 0)
    except (OSError, AttributeError):
        return False


def _may_lock_anything() -> bool:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_bytes().splitlines():
            name, _, value = line.partition(b":")
            if name == b"CapEff":
                return bool(int(value, 16) >> _CAP_IPC_LOCK & 1)
    return False
