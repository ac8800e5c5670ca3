"""Keeps the saved state up to date: one write at a time, only the newest counts."""

import math
from typing import Final

import anyio

from usps_token_broker.app.ports import Saver
from usps_token_broker.core.state import SavedState
from usps_token_broker.wire import state as wire_state

AGAIN_SECONDS: Final = 30.0
"""How soon a state that could not be written is tried again, if nothing newer comes before: the
next event may be hours away, and a disk that was full is made room on within minutes."""


class Recorder:
    """Takes states in, writes the newest, tells when a version is written."""

    def __init__(self, saver: Saver) -> None:
        self._saver = saver
        self._newest: SavedState | None = None
        self._written = 0
        self._work = anyio.Event()
        self._progress = anyio.Event()
        self.wanted = 0
        self.trouble: str | None = None

    def record(self, state: SavedState) -> None:
        """Have this state written; it replaces one that is not written yet."""
        self._newest = state
        self.wanted += 1
        self._work.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            with anyio.move_on_after(AGAIN_SECONDS if self.trouble else math.inf):
                await self._work.wait()
            self._work = anyio.Event()
            version = self.wanted
            if self._newest is not None:
                self.trouble = await self._saver.save(wire_state.encode(self._newest))
            self._written = version
            self._progress.set()
            self._progress = anyio.Event()

    def pending(self) -> bool:
        """Whether something still has to be written."""
        return self._written < self.wanted

    async def written(self, version: int, patience_seconds: float) -> None:
        """Wait until this version was written or could not be, but no longer than that."""
        with anyio.move_on_after(patience_seconds):
            while self._written < version:
                await self._progress.wait()
