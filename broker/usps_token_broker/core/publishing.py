"""What callers were last told of each slot, to notice when that has changed."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

from usps_token_broker.core import notes
from usps_token_broker.core.commands import Command, Publish
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import Freshness, Now, Phase, SlotId


class Seen(NamedTuple):
    """What there is to tell; a difference is worth a `Publish`."""

    serial: int | None
    freshness: Freshness
    phase: Phase
    degraded: bool
    trouble: Trouble | None


@dataclass(slots=True)
class Publisher:
    """Remembers what was told."""

    _told: dict[SlotId, Seen] = field(default_factory=dict)

    def forget_all_but(self, slots: Container[SlotId]) -> None:
        """Drop what was told of slots that are gone."""
        self._told = {slot: seen for slot, seen in self._told.items() if slot in slots}

    def changes(self, slot: Slot, now: Now) -> list[Command]:
        """What to say of this slot now: nothing, while nothing has changed."""
        freshness = slot.freshness(now)
        serial = slot.token.serial if slot.token else None
        seen = Seen(serial, freshness, slot.phase, slot.degraded(freshness, now), slot.trouble)
        before = self._told.get(slot.id)
        if seen == before:
            return []
        self._told[slot.id] = seen
        out: list[Command] = [Publish(slot.id)]
        if before is not None and before.freshness is not freshness and not slot.dormant(now):
            out += notes.freshness_changed(slot, freshness)
        return out
