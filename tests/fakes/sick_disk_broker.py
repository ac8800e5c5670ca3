"""The real daemon, on a disk that fails as the file says whose path is in UTB_SICK.

`NAME STEP`: at that step of every save (`drivers.store.Step`) the kernel says that error, such as
`EROFS created`. Without the file the disk is well.
"""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from usps_token_broker.cli import main, run
from usps_token_broker.drivers.store import Step, Store

ERRORS = ("EROFS", "EIO", "ENOSPC", "EDQUOT", "EPERM", "ESTALE", "EMFILE")
STEPS = tuple(step.value for step in Step if step not in {Step.RENAMED, Step.RECORDED})

_says = Path(os.environ.get("UTB_SICK", "/nonexistent"))


def _reached(step: Step) -> None:
    name, _, at = (_says.read_text() if _says.exists() else "").partition(" ")
    if at == step.value:
        number: int = getattr(errno, name)
        raise OSError(number, os.strerror(number))


class SickStore(Store):
    """The store, on that disk."""

    def __init__(self, directory: Path, **_: Callable[..., Any]) -> None:
        super().__init__(directory, reached=_reached)


if __name__ == "__main__":
    run.__dict__["Store"] = SickStore
    sys.exit(main())
