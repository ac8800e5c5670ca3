"""How many calls for the same thing USPS had at once: whoever fetches a token twice shows here."""

from collections import Counter
from typing import NamedTuple

from usps_token_broker.simulator.names import Api


class Flight(NamedTuple):
    """What calls have in common of which one would do."""

    api: Api
    client_id: str
    about: str
    """What is asked for: the scopes, or the roles as they are written."""


class Flights:
    """Counts calls from their arrival until their answer is sent or their client has left."""

    def __init__(self) -> None:
        self._now: Counter[Flight] = Counter()
        self._most: dict[tuple[Api, str], int] = {}

    def began(self, flight: Flight) -> int:
        """Count a call that arrived; how many for the same thing are under way with it."""
        self._now[flight] += 1
        at_once = self._now[flight]
        of = (flight.api, flight.client_id)
        self._most[of] = max(at_once, self._most.get(of, 0))
        return at_once

    def ended(self, flight: Flight) -> None:
        """Count the end of a call that began."""
        self._now[flight] -= 1
        if not self._now[flight]:
            del self._now[flight]

    def most(self, api: Api) -> dict[str, int]:
        """By client id: the highest number of calls for the same thing that were under way."""
        return {client_id: most for (of, client_id), most in self._most.items() if of is api}

    def reset(self) -> None:
        """Forget what was; calls that are under way still count for those that join them."""
        self._most.clear()
