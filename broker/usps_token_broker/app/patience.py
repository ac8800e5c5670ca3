"""Work that may hang for ever, as reading from a share whose server is gone does."""

from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class StuckError(Exception):
    """The work has not ended in time, or has not since it was begun some time before."""


class Patient(Generic[T]):
    """Does work that blocks in a thread, one turn at a time, for so long.

    A turn that hangs is left behind, and no other is begun beside it: threads would pile up.
    """

    def __init__(self, work: Callable[[], T], patience_seconds: float) -> None:
        self._work = work
        self.patience_seconds = patience_seconds
        self._turn = anyio.Lock()
        self._hangs = False

    async def __call__(self) -> T:
        """What the work gives. Raises StuckError, and whatever the work does."""
        async with self._turn:
            if not self._hangs:
                with anyio.move_on_after(self.patience_seconds):
                    return await anyio.to_thread.run_sync(self._once, abandon_on_cancel=True)
        raise StuckError

    def _once(self) -> T:
        self._hangs = True
        try:
            return self._work()
        finally:
            self._hangs = False
