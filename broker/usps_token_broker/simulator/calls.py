"""What the simulated USPS was asked and what it answered, without secrets."""

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Final

import anyio

from usps_token_broker.simulator.flights import Flight, Flights
from usps_token_broker.simulator.names import EVERYWHERE, Api

KEPT: Final = 1_000
"""Calls in the log; the oldest leave first."""

UNANSWERED: Final = 0
"""Stands for the status of a call that has no answer, or none yet."""


@dataclass(slots=True)
class Call:
    """One call. `status` is `UNANSWERED` until, and unless, an answer is sent."""

    number: int
    at: float
    """Unix time on the simulator's clock."""
    api: Api
    method: str
    path: str
    client_id: str
    """As the request names it; empty when it names none that USPS knows."""
    faults: tuple[str, ...] = ()
    status: int = UNANSWERED
    code: str = ""
    """The outcome in one word, such as `granted` or `bearer_expired`."""
    at_once: int = 1
    """Calls for the same thing that were under way when this one arrived, with this one."""


class Calls:
    """Counters and a bounded log; reading them needs no lock on the simulator's own thread."""

    def __init__(self) -> None:
        self._totals: Counter[Api] = Counter()
        self._statuses: Counter[tuple[Api, int]] = Counter()
        self._codes: Counter[tuple[Api, str]] = Counter()
        self._log: deque[Call] = deque(maxlen=KEPT)
        self._flights = Flights()
        self._about: dict[int, str] = {}
        self._number = 0
        self._changed: anyio.Event | None = None

    def total(self, api: Api | str = EVERYWHERE) -> int:
        """Calls that came in, answered or not."""
        return self._totals.total() if api == EVERYWHERE else self._totals[Api(api)]

    def with_status(self, status: int, api: Api | str = EVERYWHERE) -> int:
        """Calls that were answered with this status."""
        return sum(
            count
            for (of, answered), count in self._statuses.items()
            if answered == status and api in (EVERYWHERE, of)
        )

    def with_code(self, code: str, api: Api | str = EVERYWHERE) -> int:
        """Calls that ended in this outcome, such as `granted`."""
        return sum(
            count
            for (of, ended), count in self._codes.items()
            if ended == code and api in (EVERYWHERE, of)
        )

    def most_at_once(self, api: Api | str) -> int:
        """The highest number of calls of one app for the same thing that were under way."""
        return max(self._flights.most(Api(api)).values(), default=0)

    @property
    def log(self) -> list[Call]:
        """The last calls, the oldest first."""
        return list(self._log)

    async def wait_for(self, total: int, api: Api | str = EVERYWHERE) -> None:
        """Return once so many calls have come in, answered or not."""
        while self.total(api) < total:
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()

    def arrived(self, call: Call, about: str = "") -> None:
        """Count a call whose request is complete; `about` is what it asks for."""
        self._number += 1
        call.number = self._number
        self._about[call.number] = about
        call.at_once = self._flights.began(Flight(call.api, call.client_id, about))
        self._totals[call.api] += 1
        self._log.append(call)
        if self._changed is not None:
            changed, self._changed = self._changed, None
            changed.set()

    def answered(self, call: Call, status: int, code: str) -> None:
        """Count the answer of a call that arrived."""
        call.status, call.code = status, code
        self._statuses[call.api, status] += 1
        self._codes[call.api, code] += 1

    def ended(self, call: Call) -> None:
        """Count the end of a call that arrived: its answer is sent, or its client has left."""
        about = self._about.pop(call.number)
        self._flights.ended(Flight(call.api, call.client_id, about))

    def reset(self) -> None:
        """Forget everything but the calls under way; the numbers of calls go on."""
        for counter in (self._totals, self._statuses, self._codes):
            counter.clear()
        self._log.clear()
        self._flights.reset()

    def as_fields(self) -> dict[str, object]:
        """They as JSON can say it."""
        return {
            "total": self.total(),
            "by_endpoint": {str(api): self._of(api) for api in Api},
            "last": [asdict(call) for call in self._log],
        }

    def _of(self, api: Api) -> dict[str, object]:
        statuses = {str(at): n for (of, at), n in self._statuses.items() if of is api}
        codes = {code: n for (of, code), n in self._codes.items() if of is api}
        return {
            "total": self._totals[api],
            "by_status": statuses,
            "by_code": codes,
            "unanswered": max(self._totals[api] - sum(statuses.values()), 0),
            "most_at_once": self._flights.most(api),
        }
