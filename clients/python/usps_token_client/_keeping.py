"""What the client keeps of an answer, and for how long. Plain arithmetic; no clock, no I/O.

Three instants rule a kept token, all on the client's clock:
`check_at`  until then it is used without asking
`late_at`   from then on it is flagged `degraded`: it should have been replaced
`spent_at`  from then on it is never used, whatever happens: the last `check_after` of its life
"""

from __future__ import annotations

from ._typing import TYPE_CHECKING, Generic, V

if TYPE_CHECKING:
    from ._questions import Question
    from ._steps import Flight

NEVER = float("-inf")
FIRST_POSTPONE_SECONDS = 2.0
"""How long a client goes on with a good token before it asks a broker that failed again."""


class Entry(Generic[V]):
    """An answer and its age. Not changed once made; `confirmed` and `postponed` make new ones."""

    __slots__ = (
        "check_after", "check_at", "etag", "identity", "late_at", "postponed_for", "spent_at",
        "value",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - one argument for each attribute
        self,
        value: V,
        *,
        etag: str,
        check_after: float,
        check_at: float,
        late_at: float,
        spent_at: float,
        identity: object = None,
        postponed_for: float = 0.0,
    ) -> None:
        self.value = value
        self.etag = etag
        self.check_after = check_after
        self.check_at = check_at
        self.late_at = late_at
        self.spent_at = spent_at
        self.identity = identity
        self.postponed_for = postponed_for

    @property
    def warm_until(self) -> float:
        """Until when it is used without asking."""
        return min(self.check_at, self.spent_at)

    def _with(self, *, value: V, check_at: float, postponed_for: float) -> Entry[V]:
        return Entry(
            value,
            etag=self.etag,
            check_after=self.check_after,
            check_at=check_at,
            late_at=self.late_at,
            spent_at=self.spent_at,
            identity=self.identity,
            postponed_for=postponed_for,
        )

    def confirmed(self, sent_at: float, value: V) -> Entry[V]:
        """The broker says that it still is the one."""
        return self._with(value=value, check_at=sent_at + self.check_after, postponed_for=0.0)

    def postponed(self, now: float) -> Entry[V]:
        """The broker could not say: go on, and ask again after a span that grows."""
        longest = max(self.check_after, FIRST_POSTPONE_SECONDS)
        span = min(2 * self.postponed_for or FIRST_POSTPONE_SECONDS, longest)
        return self._with(value=self.value, check_at=now + span, postponed_for=span)


class Holding(Generic[V]):
    """One thing a client asks for again and again, and what it keeps of it.

    `warm` is the entry's value and how long it may be used without asking, in one tuple, so that
    a reader without a lock never pairs one token with the end of another.
    """

    __slots__ = ("entry", "flights", "question", "warm")

    def __init__(self, question: Question[V]) -> None:
        self.question = question
        self.flights: dict[object, Flight] = {}
        self.entry: Entry[V] | None
        self.warm: tuple[V, float]
        self.drop()

    def keep(self, entry: Entry[V]) -> None:
        """Use this from now on."""
        self.entry = entry
        self.warm = (entry.value, entry.warm_until)

    def drop(self) -> None:
        """Use nothing of what was kept."""
        self.entry = None
        # None is never handed out: no instant lies before NEVER.
        self.warm = (None, NEVER)  # type: ignore[assignment]

    def entry_of(self, identity: object) -> Entry[V] | None:
        """What is kept, if it was fetched under this identity."""
        entry = self.entry
        return entry if entry is not None and entry.identity == identity else None
