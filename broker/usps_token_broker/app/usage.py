"""Tells the core now and then that a token is in use, for slots that are kept only while so."""

from collections.abc import Callable, Collection
from typing import Final

from usps_token_broker.core.events import Used
from usps_token_broker.core.values import SlotId

TELL_SECONDS: Final = 600.0
"""How often is enough: what counts is whether it was used within a day."""


class Usage:
    """Remembers what the core was told. Spans are seconds, instants those of the boot clock."""

    def __init__(self, boot: Callable[[], float], post: Callable[[Used], None]) -> None:
        self._boot = boot
        self._post = post
        self._told_at: dict[SlotId, float] = {}
        self.watched: Collection[SlotId] = frozenset()
        """The slots that are kept only while in use."""

    def note(self, slot: SlotId) -> None:
        """A token of this slot was handed out."""
        if slot not in self.watched:
            return
        now = self._boot()
        if now - self._told_at.get(slot, -TELL_SECONDS) >= TELL_SECONDS:
            self._told_at[slot] = now
            self._post(Used(slot))
