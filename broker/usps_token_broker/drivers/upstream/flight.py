"""How far an attempt has come, as httpcore's trace tells it."""

import contextlib
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import anyio

_CLOSE_SECONDS: Final = 1.0


class Stage(enum.IntEnum):
    """The furthest an attempt is known to have come."""

    PREPARING = 0
    """Nothing has left this process."""
    CALLING = 1
    """httpx has the request, and has not told of anything yet."""
    REACHING = 2
    """Name lookup and TCP."""
    SECURING = 3
    """The TLS handshake."""
    SENT = 4
    """USPS may have seen the request."""


class Answer:
    """What came back; `body` ends where reading stopped. It may hold a token: it shows neither."""

    __slots__ = ("at_wall", "body", "headers", "status")

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes, at_wall: float
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.at_wall = at_wall

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body)} bytes>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Answer may hold a token: it is not pickled or copied")


@dataclass(slots=True)
class Flight:
    """One attempt on its way."""

    stage: Stage = Stage.PREPARING
    answer: Answer | None = None
    _stream: Any = None
    """The TCP stream, of httpcore's own kind."""

    @property
    def unsent(self) -> bool:
        """Whether USPS provably has not seen the request; silence of the trace proves nothing."""
        return self.stage in {Stage.PREPARING, Stage.REACHING, Stage.SECURING}

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """The `trace` extension of httpcore: it awaits this at each step."""
        if event.endswith("send_request_headers.started"):
            # To a proxy a CONNECT goes out first, of which USPS sees nothing.
            if getattr(info.get("request"), "method", b"") != b"CONNECT":
                self.stage = Stage.SENT
        elif self.stage is Stage.SENT:
            return
        elif event.endswith("connect_tcp.complete"):
            self._stream = info.get("return_value")
        elif event.endswith("connect_tcp.started"):
            self.stage = Stage.REACHING
        elif event.endswith("start_tls.started"):
            self.stage = Stage.SECURING

    async def close(self) -> None:
        """Close the connection, also when cancelled.

        httpcore (as of 1.0.9) forgets it when a TLS handshake is cancelled, which is what a
        deadline does; closing twice does no harm.
        """
        if self._stream is None:
            return
        with (
            anyio.move_on_after(_CLOSE_SECONDS, shield=True),
            contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError),
        ):
            await self._stream.aclose()
