"""httpx transports that put the headers on, tell the broker of a 401, and send once more.

Transports and no `httpx.Auth`: on a redirect httpx strips `Authorization`, but would carry the
payment header to a foreign host.
"""

from __future__ import annotations

import httpx

from . import _hops
from ._errors import BrokerError
from ._reporting import MOST_BODY
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType

    from typing_extensions import Self  # noqa: UP035 - typing of Python 3.9 has none

    from ._aclient import AsyncTokenClient
    from ._client import TokenClient
    from ._values import Headers, Verdict


class _PeekedStream(httpx.SyncByteStream):
    """A body of which the first pieces were read already."""

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


class TokenTransport(httpx.BaseTransport):
    """Made by `TokenClient.transport()`, which says what it does.

    A 401 leaves the broker's Verdict in `response.extensions["usps_token_verdict"]`, or, when the
    broker could not be told, the BrokerError in `["usps_token_error"]`. A request without a token
    to put on raises BrokerError.
    """

    def __init__(
        self, tokens: TokenClient, base: httpx.BaseTransport | None, rules: _hops.Rules
    ) -> None:
        self._tokens = tokens
        self._base = httpx.HTTPTransport() if base is None else base
        self._rules = rules

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; on a 401 that a newer token may mend, once more."""
        headers = self._headers_for(request.url)
        if not _hops.is_ours(request.url, headers.base_url):
            return self._base.handle_request(_hops.for_stranger(request, headers))
        response = self._send(request, headers)
        verdict = self._told(request, response, headers)
        if verdict is None or not verdict.headers or not _hops.can_be_sent_again(request):
            return response
        response.close()
        response = self._send(request, verdict.headers)
        self._told(request, response, verdict.headers)
        if _hops.VERDICT not in response.extensions:
            _hops.note(response, verdict)
        return response

    def _headers_for(self, url: httpx.URL) -> Headers:
        headers = self._tokens.headers()
        payment = self._rules.payment_for(url, headers.base_url)
        return headers if payment is None else self._tokens.headers(payment=payment)

    def _send(self, request: httpx.Request, headers: Headers) -> httpx.Response:
        return self._base.handle_request(_hops.with_headers(request, headers))

    def _told(
        self, request: httpx.Request, response: httpx.Response, used: Headers
    ) -> Verdict | None:
        """Report a 401; the verdict if it says to try again."""
        if response.status_code != _hops.UNAUTHORIZED:
            return None
        try:
            verdict = self._tokens.report(
                response.status_code,
                response.headers,
                self._peek(response),
                request.url.path,
                request.url.host,
                used=used,
            )
        except BrokerError as error:
            _hops.note(response, error)
            return None
        _hops.note(response, verdict)
        return verdict if verdict.retry else None

    def _peek(self, response: httpx.Response) -> bytes:
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101 - of a sync transport
        chunks: list[bytes] = []
        rest = iter(stream)
        for chunk in rest:
            chunks.append(chunk)
            if sum(map(len, chunks)) >= MOST_BODY:
                break
        response.stream = _PeekedStream(chunks, rest, stream)
        return _hops.beginning(response, chunks)

    def __enter__(self) -> Self:
        self._base.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._base.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the base transport."""
        self._base.close()


class _PeekedAsyncStream(httpx.AsyncByteStream):
    """A body of which the first pieces were read already."""

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


class AsyncTokenTransport(httpx.AsyncBaseTransport):
    """`TokenTransport` for httpx.AsyncClient; made by `AsyncTokenClient.transport()`."""

    def __init__(
        self, tokens: AsyncTokenClient, base: httpx.AsyncBaseTransport | None, rules: _hops.Rules
    ) -> None:
        self._tokens = tokens
        self._base = httpx.AsyncHTTPTransport() if base is None else base
        self._rules = rules

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; on a 401 that a newer token may mend, once more."""
        headers = await self._headers_for(request.url)
        if not _hops.is_ours(request.url, headers.base_url):
            return await self._base.handle_async_request(_hops.for_stranger(request, headers))
        response = await self._send(request, headers)
        verdict = await self._told(request, response, headers)
        if verdict is None or not verdict.headers or not _hops.can_be_sent_again(request):
            return response
        await response.aclose()
        response = await self._send(request, verdict.headers)
        await self._told(request, response, verdict.headers)
        if _hops.VERDICT not in response.extensions:
            _hops.note(response, verdict)
        return response

    async def _headers_for(self, url: httpx.URL) -> Headers:
        headers = await self._tokens.headers()
        payment = self._rules.payment_for(url, headers.base_url)
        return headers if payment is None else await self._tokens.headers(payment=payment)

    async def _send(self, request: httpx.Request, headers: Headers) -> httpx.Response:
        return await self._base.handle_async_request(_hops.with_headers(request, headers))

    async def _told(
        self, request: httpx.Request, response: httpx.Response, used: Headers
    ) -> Verdict | None:
        """Report a 401; the verdict if it says to try again."""
        if response.status_code != _hops.UNAUTHORIZED:
            return None
        try:
            verdict = await self._tokens.report(
                response.status_code,
                response.headers,
                await self._peek(response),
                request.url.path,
                request.url.host,
                used=used,
            )
        except BrokerError as error:
            _hops.note(response, error)
            return None
        _hops.note(response, verdict)
        return verdict if verdict.retry else None

    async def _peek(self, response: httpx.Response) -> bytes:
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - of an async transport
        chunks: list[bytes] = []
        rest = stream.__aiter__()
        async for chunk in rest:
            chunks.append(chunk)
            if sum(map(len, chunks)) >= MOST_BODY:
                break
        response.stream = _PeekedAsyncStream(chunks, rest, stream)
        return _hops.beginning(response, chunks)

    async def __aenter__(self) -> Self:
        await self._base.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._base.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Close the base transport."""
        await self._base.aclose()
