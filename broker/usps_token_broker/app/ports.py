"""What the loop needs from outside, as it sees it. Drivers fit these; so do the tests' fakes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from usps_token_broker.app.tally import Tally
from usps_token_broker.core.commands import Fetch, Note
from usps_token_broker.core.outcomes import Failure, Grant
from usps_token_broker.core.values import Now, SlotId

Clock = Callable[[], Now]
Dice = Callable[[], float]
Listener = Callable[[SlotId], None]
Journal = Callable[[Note], None]


class Fetcher(Protocol):
    """Calls USPS once. Never raises but for cancellation."""

    async def fetch(self, command: Fetch) -> Grant | Failure:
        """The outcome of one attempt, within the fetcher's own deadline."""


class Saver(Protocol):
    """Puts the state where the next process finds it."""

    async def save(self, payload: bytes) -> str | None:
        """Save, replacing what was there. None, or in a sentence why it could not."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the loop is given."""

    clock: Clock
    dice: Dice
    fetcher: Fetcher
    saver: Saver
    journal: Journal
    published: Listener
    beats: Callable[[], None] = lambda: None
    """Called each time the loop looks at the clock: progress, for a watchdog."""
    tally: Tally = field(default_factory=Tally)
    """What is counted of it all."""
