"""A reply that goes on: each piece is asked for once the client has taken the one before."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from anyio.lowlevel import checkpoint

from usps_token_broker.drivers.server.faults import report
from usps_token_broker.drivers.server.stream import Stream
from usps_token_broker.wire.replies import LAST_CHUNK, chunk


class Outflow:
    """Writes the body of one `Streamed` to one client, a piece of it in memory at a time."""

    __slots__ = ("_chunked", "_stream", "_taken")

    def __init__(self, stream: Stream, *, chunked: bool) -> None:
        self._stream = stream
        self._chunked = chunked
        self._taken: anyio.Event | None = None

    @property
    def blocked(self) -> bool:
        """Whether the client has yet to take something of what is written."""
        return self._taken is not None

    def pause(self) -> None:
        """Not all of a write fitted into the socket."""
        self._taken = anyio.Event()

    def resume(self) -> None:
        """The client has taken everything."""
        if self._taken is not None:
            self._taken.set()
            self._taken = None

    async def run(self, pieces: AsyncGenerator[bytes, None]) -> bool:
        """Writes every piece and closes `pieces`; False when they failed, so that more is missing.

        Returns with all of it taken; `finish` is due then.
        """
        try:
            async with aclosing(pieces):
                await self._room()
                async for piece in pieces:
                    if piece:
                        self._stream.write(chunk(piece) if self._chunked else piece)
                    await self._room()
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on
            report("a stream", error)
            return False
        return True

    async def _room(self) -> None:
        """Waits for the client; the others have their turn in any case."""
        if self._taken is None:
            await checkpoint()
        else:
            await self._taken.wait()

    def finish(self) -> None:
        """Tells the client that this was all."""
        if self._chunked:
            self._stream.write(LAST_CHUNK)
