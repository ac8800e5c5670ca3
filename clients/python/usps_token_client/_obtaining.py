"""Getting a kept thing: from memory, from the broker, or from whoever is asking already.

Of all threads (or tasks of one loop) that want the same thing, one asks. The others go on with
what is kept while that is good, and wait for that one answer, or its error, when it is not. There
is no lock to hold over a fork: who asks is decided by one `dict.setdefault`, under a key that a
child does not share.
"""

from __future__ import annotations

from . import _fork
from ._errors import BrokerError
from ._steps import Join, asking
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._keeping import Entry, Holding
    from ._steps import Flight, Steps
    from ._typing import V

RECHECK_SECONDS = 2.0
"""How long one caller waits for a broker while a good token is at hand."""


class Terms:
    """How a client asks: its clock, its spans in seconds."""

    __slots__ = ("check_after", "now", "timeout", "wait")

    def __init__(
        self,
        *,
        now: Callable[[], float],
        timeout: float,
        wait: float,
        check_after: float | None,
    ) -> None:
        self.now = now
        self.timeout = timeout
        self.wait = wait
        self.check_after = check_after

    def wait_within(self, seconds: float) -> float:
        """How long the broker may wait for USPS, so that its answer still comes in time."""
        return min(self.wait, round(seconds * 0.9, 1))


def obtain(holding: Holding[V], terms: Terms, new_flight: Callable[[], Flight]) -> Steps[V]:
    """The value of a holding. Raises BrokerError when there is none to be had in time."""
    now = terms.now
    deadline = now() + terms.timeout
    while True:
        identity = _fork.identity()
        entry = holding.entry_of(identity)
        if entry is not None and now() < entry.warm_until:
            return entry.value
        mine = new_flight()
        key = (_fork.generation(), identity, mine.place)
        try:
            flight = holding.flights.setdefault(key, mine)
            if flight is mine or flight.mine():
                value = yield from _lead(holding, terms, identity, deadline)
                mine.value = value
                return value
            if entry is not None and now() < entry.spent_at:
                return entry.value
            yield Join(flight, deadline)
            if flight.error is not None:
                raise flight.error.again()
            answered: V | None = flight.value
            if answered is not None:
                return answered
            # Its leader was interrupted or cancelled: another one asks.
        except BrokerError as error:
            mine.error = error
            raise
        finally:
            if holding.flights.get(key) is mine:
                del holding.flights[key]
            mine.finish()


def _lead(holding: Holding[V], terms: Terms, identity: object, deadline: float) -> Steps[V]:
    """Ask on behalf of all."""
    now = terms.now
    entry = holding.entry_of(identity)
    if entry is not None and now() < entry.warm_until:
        # Another leader was done just before us.
        return entry.value
    if entry is not None and now() < entry.spent_at:
        kept = yield from _recheck(holding, entry, terms, deadline)
        if kept is not None:
            return kept.value
    left = deadline - now()
    message = holding.question.message(wait=terms.wait_within(left))
    try:
        fresh = yield from asking(
            message, holding.question.reader(terms, identity), deadline=deadline, now=now
        )
    except BrokerError:
        holding.drop()
        raise
    holding.keep(fresh)
    return fresh.value


def _recheck(
    holding: Holding[V], entry: Entry[V], terms: Terms, deadline: float
) -> Steps[Entry[V] | None]:
    """Ask whether a good one is still the one. None when it was spent meanwhile.

    A broker that is away, in trouble or broken changes nothing; one that refuses us does.
    """
    now = terms.now
    question = holding.question
    try:
        kept = yield from asking(
            question.message(wait=0, etag=entry.etag),
            question.reader(terms, entry.identity, entry),
            deadline=min(deadline, now() + RECHECK_SECONDS),
            now=now,
            patient=False,
        )
    except BrokerError as error:
        if _is_refusal(error):
            holding.drop()
            raise
        if now() >= entry.spent_at:
            return None
        kept = entry.postponed(now())
    holding.keep(kept)
    return kept


def _is_refusal(error: BrokerError) -> bool:
    """Whether the broker itself said no to this caller, and not only not now (4xx but 429)."""
    return error.status is not None and 400 <= error.status < 500 and error.status != 429  # noqa: PLR2004
