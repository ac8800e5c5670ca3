"""A promise of a reply that tells somebody when it is kept."""

from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any

from usps_token_broker.wire.replies import Reply


class Told(Coroutine[Any, Any, Reply]):
    """`tell` gets the reply once it is there. Nobody need await it, as they must a coroutine."""

    __slots__ = ("_promised", "_tell")

    def __init__(self, promised: Coroutine[Any, Any, Reply], tell: Callable[[Reply], None]) -> None:
        self._promised = promised
        self._tell = tell

    def __await__(self) -> Generator[Any, Any, Reply]:
        reply = yield from self._promised.__await__()
        self._tell(reply)
        return reply

    def send(self, value: object) -> object:
        """Go on, as a coroutine does."""
        return self._promised.send(value)

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: object = None,
        tb: TracebackType | None = None,  # noqa: ARG002 - the error has its own
    ) -> object:
        """Raise inside, as a coroutine does."""
        error = val if isinstance(val, BaseException) else typ
        return self._promised.throw(error)

    def close(self) -> None:
        """Drop what was promised."""
        self._promised.close()
