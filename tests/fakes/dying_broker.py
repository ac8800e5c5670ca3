"""The real daemon, which kills itself (SIGKILL) at a point named in the environment.

UTB_DIE_AT is `STEP:N`: at the Nth passage of a step of a save (`drivers.store.Step`), or of a call
(`asked` just before USPS is asked, `answered` once its answer is read).
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from usps_token_broker.app.fetching import Fetching
from usps_token_broker.cli import main, run
from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Failure, Grant
from usps_token_broker.drivers.store import Step, Store

POINTS = (*(step.value for step in Step), "asked", "answered")

_passed: Counter[str] = Counter()
_point, _, _number = os.environ.get("UTB_DIE_AT", "never:0").partition(":")
_fetch = Fetching.fetch


def _passing(point: str) -> None:
    _passed[point] += 1
    if point == _point and _passed[point] == int(_number):
        os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(Store):
    """The store, watched."""

    def __init__(self, directory: Path, **_: Callable[..., Any]) -> None:
        super().__init__(directory, reached=lambda step: _passing(step.value))


async def _watched(fetching: Fetching, command: Fetch) -> Grant | Failure:
    _passing("asked")
    outcome = await _fetch(fetching, command)
    _passing("answered")
    return outcome


if __name__ == "__main__":
    run.__dict__["Store"] = DyingStore
    type.__setattr__(Fetching, "fetch", _watched)
    sys.exit(main())
