"""Does the steps of `_steps` by blocking, for threads."""

from __future__ import annotations

import _thread
import time

from . import _dial, _finding
from ._steps import Pause, Send, joined_too_long
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._errors import BrokerError
    from ._steps import Step, Steps
    from ._typing import V


class ThreadFlight:
    """A question that one thread asks and others may wait for."""

    __slots__ = ("_lock", "_owner", "error", "value")

    place = None

    def __init__(self) -> None:
        self.value: Any = None
        self.error: BrokerError | None = None
        # By the modules, not by names taken at import: gevent and eventlet may patch them later.
        self._owner = _thread.get_ident()
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def mine(self) -> bool:
        """Whether this very thread is asking already: a signal handler asks in between."""
        return self._owner == _thread.get_ident()

    def finish(self) -> None:
        """Let those who wait go on."""
        self._lock.release()

    def join(self, seconds: float) -> bool:
        """Wait until it is finished; whether it was in time."""
        if not self._lock.acquire(timeout=max(0.0, seconds)):
            return False
        self._lock.release()
        return True


def pause(seconds: float) -> None:
    """Let others go on meanwhile; as above."""
    time.sleep(seconds)


def run(steps: Steps[V], socket: str | None, now: Callable[[], float]) -> V:
    """Do all steps; the result of the generator."""

    def do(step: Step) -> object:
        if isinstance(step, Send):
            return _dial.exchange(_finding.paths(socket), step.message, step.deadline, now)
        if isinstance(step, Pause):
            pause(step.seconds)
            return None
        flight = step.flight
        if not isinstance(flight, ThreadFlight) or not flight.join(step.deadline - now()):
            raise joined_too_long()
        return None

    try:
        step = next(steps)
        while True:
            try:
                outcome = do(step)
            except BaseException as error:  # noqa: BLE001 - the generator decides, and cleans up
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as stop:
        result: V = stop.value
        return result
    finally:
        steps.close()
