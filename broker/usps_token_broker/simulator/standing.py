"""The faults that stand at the moment, and what has become of each."""

from collections.abc import Sequence

import anyio

from usps_token_broker.simulator.fault_table import Stage
from usps_token_broker.simulator.faults import Fault
from usps_token_broker.simulator.names import Api


class Injected:
    """A fault that was injected, and what has become of it."""

    def __init__(self, number: int, fault: Fault, now: float) -> None:
        self.number = number
        self.fault = fault
        self.times_shown = 0
        self._ends_at = None if fault.for_seconds is None else now + fault.for_seconds
        self._lifted = False
        self._changed: anyio.Event | None = None

    def stands(self, now: float) -> bool:
        """Whether the next call would still meet it."""
        if self._lifted or (self._ends_at is not None and now >= self._ends_at):
            return False
        return self.fault.count is None or self.times_shown < self.fault.count

    def lift(self) -> None:
        """Take it away; calls it holds go on."""
        self._lifted = True
        if self._changed is not None:
            self._changed.set()

    async def wait_lifted(self) -> None:
        """Return once it is taken away."""
        if self._lifted:
            return
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def as_fields(self, now: float) -> dict[str, object]:
        """It as JSON can say it."""
        fault = self.fault
        return {
            "id": self.number,
            "name": fault.name,
            "value": fault.value,
            "endpoint": fault.endpoint,
            "count": fault.count,
            "for_seconds": fault.for_seconds,
            "times_shown": self.times_shown,
            "ends_in": None if self._ends_at is None else round(self._ends_at - now, 3),
        }


class StandingFaults:
    """The faults that stand, in the order in which they were injected."""

    def __init__(self) -> None:
        self._standing: list[Injected] = []
        self._holding: list[Injected] = []
        self._last_number = 0

    def inject(self, fault: Fault, now: float) -> Injected:
        """Let calls meet this fault from now on."""
        self._last_number += 1
        injected = Injected(self._last_number, fault, now)
        self._standing.append(injected)
        return injected

    def take(self, api: Api, stage: Stage, now: float, *, most: int = 100) -> Sequence[Injected]:
        """The faults that a call of this endpoint meets at this stage; each has shown once more.

        Args:
            api: The endpoint that is called.
            stage: How far the call has come.
            now: The simulator's time.
            most: How many may show at once, the oldest first.
        """
        if not self._standing:
            return ()
        self._standing = [one for one in self._standing if one.stands(now)]
        taken = [
            one
            for one in self._standing
            if one.fault.kind.stage is stage and one.fault.applies_to(api)
        ][:most]
        for one in taken:
            one.times_shown += 1
            if one.fault.name == "hold" and one not in self._holding:
                self._holding.append(one)
        return taken

    def standing(self, now: float) -> list[Injected]:
        """Those that the next calls would meet."""
        self._standing = [one for one in self._standing if one.stands(now)]
        return list(self._standing)

    def lift(self, number: int) -> bool:
        """Take one away by its number; False when there is none."""
        found = [one for one in (*self._standing, *self._holding) if one.number == number]
        self._lift(found)
        return bool(found)

    def clear(self, now: float) -> int:
        """Take all away, let go what they hold, and say how many stood."""
        standing = self.standing(now)
        self._lift([*standing, *self._holding])
        return len(standing)

    def _lift(self, injected: list[Injected]) -> None:
        for one in injected:
            one.lift()
        self._standing = [one for one in self._standing if one not in injected]
        self._holding = [one for one in self._holding if one not in injected]


def names_of(injected: Sequence[Injected]) -> tuple[str, ...]:
    """Their names, for the log of calls."""
    return tuple(one.fault.name for one in injected)
