"""A fence around each check: whatever happens within becomes a finding, and nothing hangs."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from usps_token_broker.doctor.findings import Finding, unseen
from usps_token_broker.wire.redaction import redact

DEADLINE_SECONDS: Final = 15.0
"""For one check. A name service or a disk that hangs does so for minutes."""


def fenced(
    check: str, look: Callable[[], Iterable[Finding]], deadline_seconds: float = DEADLINE_SECONDS
) -> Iterator[Finding]:
    """What the check finds before the deadline, and what kept it from finding more.

    A check that hangs is left behind in its thread, which ends with the process.
    """
    found: list[Finding] = []
    trouble: list[str] = []

    def run() -> None:
        try:
            for finding in look():
                found.append(finding)  # noqa: PERF402 - what came before the trouble counts
        except Exception as error:  # noqa: BLE001 - that is what the fence is for
            trouble.append(redact(f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=run, name=f"doctor {check}", daemon=True)
    thread.start()
    thread.join(deadline_seconds)
    told = list(found)
    if thread.is_alive():
        told.append(unseen(check, f"could not look: no answer within {deadline_seconds:g} s"))
    elif trouble:
        told.append(unseen(check, f"could not look: {trouble[0]}"))
    elif not told:
        told.append(unseen(check, "nothing here to look at"))
    yield from told
