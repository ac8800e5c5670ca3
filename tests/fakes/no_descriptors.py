"""A process that can open nothing more: every descriptor below its limit is taken."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path


def lowest_free(pid: int) -> int:
    """The number that the next file of another process gets; the kernel tells root alone."""
    taken = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(taken) + 1) if number not in taken)


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """For us, while the block runs."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_one = os.open("/dev/null", os.O_RDONLY)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
