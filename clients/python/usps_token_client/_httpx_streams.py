"""Bodies of httpx of which the first pieces were read already."""

from __future__ import annotations

import httpx

from ._reporting import MOST_BODY
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class _PeekedStream(httpx.SyncByteStream):
    def __init__(
        self, chunks: list[bytes], rest: Iterator[bytes], stream: httpx.SyncByteStream
    ) -> None:
        self._chunks = chunks
        self._rest = rest
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        yield from self._rest

    def close(self) -> None:
        close_rest = getattr(self._rest, "close", None)
        if close_rest is not None:
            close_rest()
        self._stream.close()


class _PeekedAsyncStream(httpx.AsyncByteStream):
    def __init__(
        self, chunks: list[bytes], rest: AsyncIterator[bytes], stream: httpx.AsyncByteStream
    ) -> None:
        self._chunks = chunks
        self._rest = rest
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        async for chunk in self._rest:
            yield chunk

    async def aclose(self) -> None:
        close_rest = getattr(self._rest, "aclose", None)
        if close_rest is not None:
            await close_rest()
        await self._stream.aclose()


def peek(response: httpx.Response) -> bytes:
    """The first bytes of the body, which stays whole for whoever reads it."""
    stream = response.stream
    assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 - of a sync transport
    chunks: list[bytes] = []
    rest = iter(stream)
    for chunk in rest:
        chunks.append(chunk)
        if sum(map(len, chunks)) >= MOST_BODY:
            break
    response.stream = _PeekedStream(chunks, rest, stream)
    return _beginning(response, chunks)


async def peek_async(response: httpx.Response) -> bytes:
    """As `peek`."""
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - of an async transport
    chunks: list[bytes] = []
    rest = stream.__aiter__()
    async for chunk in rest:
        chunks.append(chunk)
        if sum(map(len, chunks)) >= MOST_BODY:
            break
    response.stream = _PeekedAsyncStream(chunks, rest, stream)
    return _beginning(response, chunks)


def _beginning(response: httpx.Response, chunks: list[bytes]) -> bytes:
    """The first bytes of the body as text would have them, whatever its encoding."""
    try:
        whole = httpx.Response(
            response.status_code, headers=response.headers, content=b"".join(chunks)
        )
        return whole.content[:MOST_BODY]
    except httpx.DecodingError:
        return b""
