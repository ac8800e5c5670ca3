"""A fence around each check: whatever happens within becomes a finding, and nothing hangs."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import msgspec

from usps_token_broker.doctor.findings import Finding, unseen
from usps_token_broker.wire.redaction import redact

T = TypeVar("T")

DEADLINE_SECONDS: Final = 15.0
"""For one check. A name service or a disk that hangs does so for minutes."""


def fenced(
    check: str, look: Callable[[], Iterable[Finding]], deadline_seconds: float = DEADLINE_SECONDS
) -> Iterator[Finding]:
    """What the check finds before the deadline, and what kept it from finding more.

    A check that hangs is left behind in its thread, which ends with the process.
    """
    found: list[Finding] = []

    def run() -> None:
        for finding in look():
            found.append(_speakable(finding))  # noqa: PERF401 - what came before a trouble counts

    try:
        within(deadline_seconds, run)
    except Exception as error:  # noqa: BLE001 - that is what the fence is for
        why = str(error) if isinstance(error, HangsError) else f"{type(error).__name__}: {error}"
        yield from list(found)
        yield unseen(check, f"could not look: {redact(why)}")
    else:
        yield from found or [unseen(check, "nothing here to look at")]


def _speakable(finding: Finding) -> Finding:
    """The same in characters that UTF-8 has: a path may be of any bytes, and JSON may not."""
    saw, fix = (
        text.encode("utf-8", "backslashreplace").decode() for text in (finding.saw, finding.fix)
    )
    return msgspec.structs.replace(finding, saw=saw, fix=fix)


class HangsError(Exception):
    """Something took longer than it may."""


def within(deadline_seconds: float, get: Callable[[], T]) -> T:
    """What `get` gives, or raises, in a thread of its own. Raises HangsError at the deadline."""
    given: list[T] = []
    trouble: list[Exception] = []

    def run() -> None:
        try:
            given.append(get())
        except Exception as error:  # noqa: BLE001 - it is raised again below
            trouble.append(error)

    thread = threading.Thread(target=run, name="doctor", daemon=True)
    thread.start()
    thread.join(deadline_seconds)
    if trouble:
        raise trouble[0]
    if not given:
        raise HangsError(f"no answer within {deadline_seconds:g} s")
    return given[0]
