"""Asking, written once for blocking and for asyncio callers.

What the client does is a generator: it yields what it wants done (`Send`, `Pause`, `Join`) and is
resumed with the outcome, or with the exception. Two drivers do these things: `_driving` by
blocking, `_aio` by awaiting.
"""

from __future__ import annotations

from ._errors import BrokerError, BrokerNotInstalled, BrokerTimeout, bare
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, Protocol

    from ._http import Answer
    from ._typing import V

FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.5
ABSENCE_SECONDS = 1.0
"""How long a socket may be away before there is no broker: a restart takes a fifth of this."""


class Send:
    """Ask this on a new connection; resume with the Answer."""

    __slots__ = ("deadline", "message")

    def __init__(self, message: bytes, deadline: float) -> None:
        self.message = message
        self.deadline = deadline


class Pause:
    """Wait so many seconds."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Join:
    """Wait until somebody else's question is answered, or raise BrokerTimeout."""

    __slots__ = ("deadline", "flight")

    def __init__(self, flight: Flight, deadline: float) -> None:
        self.flight = flight
        self.deadline = deadline


if TYPE_CHECKING:

    class Flight(Protocol):
        """A question under way, which others may wait for."""

        value: Any
        error: BrokerError | None

        @property
        def place(self) -> object:
            """The event loop it belongs to; None for threads."""

        def mine(self) -> bool:
            """Whether the one who asks here is the one who would wait: waiting is in vain."""

        def finish(self) -> None:
            """Let those who wait go on."""

    Step = Send | Pause | Join
    Steps = Generator[Step, Any, V]


def asking(
    message: bytes,
    read: Callable[[Answer, float], V],
    *,
    deadline: float,
    now: Callable[[], float],
    patient: bool = True,
) -> Steps[V]:
    """Ask until there is an answer that `read` can use; it is told when the question was sent.

    A patient caller asks again after passing trouble, with growing pauses, as long as the deadline
    allows; then it raises what the last attempt met, or the one before where the deadline cut the
    last one short.
    """
    pause = FIRST_PAUSE_SECONDS
    heard: BrokerError | None = None
    absent_until = min(deadline, now() + ABSENCE_SECONDS)
    while True:
        sent_at = now()
        try:
            answer: Answer = yield Send(message, deadline)
            return read(answer, sent_at)
        except BrokerError as error:
            bare(error)
            if heard is not None and isinstance(error, BrokerTimeout):
                raise heard from None
            heard = error
            wait = max(pause, error.retry_after or 0.0)
            limit = absent_until if isinstance(error, BrokerNotInstalled) else deadline
            if not (patient and error.passing) or now() + wait >= limit:
                # Python 3.9 and 3.10 would put the frames back on a bare `raise`.
                raise bare(error) from None
        yield Pause(wait)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def joined_too_long() -> BrokerTimeout:
    """Another caller of this client asked, and our deadline came before its answer."""
    return BrokerTimeout(
        "another thread or task of this process is asking the broker, and has no answer yet",
        fix="give the client a longer `timeout`",
    )
