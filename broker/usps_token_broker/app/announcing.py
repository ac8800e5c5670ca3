"""Tells the service manager how we are: a line for a person, and what begins and ends.

The line goes out when something has changed, and at most once a second however much does. Where
there is no manager nothing is made, let alone sent.
"""

from collections.abc import Callable, Sequence
from typing import Final

import anyio

from usps_token_broker.drivers import clock
from usps_token_broker.drivers.notify import Notifier

APART_SECONDS: Final = 1.0
"""Between one line and the next: a person cannot read more, and pid 1 has other things to do."""
LOOK_SECONDS: Final = 30.0
"""How often it is looked at though nobody said that it had changed: a state that cannot be saved is
no event of the core's."""

Line = Callable[[Sequence[str]], str]
"""Makes the line as things stand now, with these remarks in it."""


class Announcer:
    """`line` is asked for the words each time anything is told."""

    def __init__(self, notifier: Notifier, line: Line) -> None:
        self._notifier = notifier
        self._line = line
        self._reload: tuple[str, ...] = ()
        self._told = ""
        self._ending = False
        self._news = anyio.Event()

    def changed(self) -> None:
        """Something may be different from what was told. Costs nothing."""
        self._news.set()

    def starting(self, what: str) -> None:
        """What it is about, before it serves: seen when that takes long."""
        self._notifier.status(f"starting: {what}")

    def ready(self) -> None:
        """It serves, unless it is ending already."""
        if self._ending:
            return
        self._told = self._line(self._reload)
        self._notifier.ready(self._told)

    def reloading(self, o_clock: str) -> None:
        """A reload has begun, at that time of day; the line says so until `reloaded`."""
        self._reload = (f"reloading since {o_clock}",)
        self._notifier.reloading(clock.monotonic_usec(), "reloading the configuration")

    def reloaded(self, result: str) -> None:
        """How the reload went, in words, which stay in the line until the next one."""
        self._reload = (result,)
        self.ready()

    def stopping(self, why: str) -> None:
        """The end has begun; nothing is told any more."""
        self._ending = True
        self._notifier.stopping(f"stopping: {why}")

    def stopped(self, trouble: str | None) -> None:
        """All is done; `trouble` is why the tokens could not be kept for the next start."""
        kept = f"the tokens are not kept: {trouble}" if trouble else "the tokens are kept"
        self._notifier.status(f"stopped; {kept}")

    async def run(self) -> None:
        """Tell each change, until cancelled."""
        while self._notifier.is_heard:
            with anyio.move_on_after(LOOK_SECONDS):
                await self._news.wait()
            self._news = anyio.Event()
            self._tell()
            await anyio.sleep(APART_SECONDS)

    def _tell(self) -> None:
        if self._ending:
            return
        line = self._line(self._reload)
        # What a busy manager does not take is told by the next look.
        if line != self._told and self._notifier.status(line):
            self._told = line
