"""Callers who wait: what each waits for, and until when."""

from dataclasses import dataclass, field

from usps_token_broker.core.values import SlotId


@dataclass(frozen=True, slots=True)
class Waiter:
    """One question, or a report: that waits for the serial it names to be replaced."""

    ask: int
    slots: tuple[SlotId, ...]
    give_up_at: float
    min_valid_seconds: float | None = None
    is_report: bool = False
    serial: int | None = None
    attempt: int | None = None
    """The number of the attempt that a person ordered."""


@dataclass(slots=True)
class WaitingRoom:
    """All who wait, by the number of their question."""

    _waiters: dict[int, Waiter] = field(default_factory=dict)

    def add(self, waiter: Waiter) -> None:
        """Let one wait."""
        self._waiters[waiter.ask] = waiter

    def remove(self, ask: int) -> None:
        """Forget one, if there."""
        self._waiters.pop(ask, None)

    def all(self) -> tuple[Waiter, ...]:
        """Everyone, in the order they came."""
        return tuple(self._waiters.values())

    def wanted_slots(self) -> frozenset[SlotId]:
        """The slots somebody waits for."""
        return frozenset(slot for waiter in self._waiters.values() for slot in waiter.slots)

    def next_give_up_at(self) -> float | None:
        """When the first of them gives up, on the boot clock."""
        return min((w.give_up_at for w in self._waiters.values()), default=None)

    def __len__(self) -> int:
        return len(self._waiters)
