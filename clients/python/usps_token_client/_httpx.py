"""httpx transports that put the headers on, tell the broker of a 401, and send once more.

Transports and no `httpx.Auth`: on a redirect httpx strips `Authorization`, but would carry the
payment header to a foreign host.
"""

from __future__ import annotations

import httpx

from . import _calling, _fork, _hops
from ._bodies import Body, used_up
from ._httpx_streams import peek, peek_async
from ._typing import TYPE_CHECKING
from ._values import AUTHORIZATION, PAYMENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self  # noqa: UP035 - typing of Python 3.9 has none

    from ._aclient import AsyncTokenClient
    from ._client import TokenClient
    from ._values import Headers


class _Call:
    """A request, and the `handle` of a transport below; see `_calling.Call`."""

    def __init__(self, handle: Any, request: httpx.Request) -> None:
        self._handle = handle
        self._request = request
        self.place = self.place_of(request.url)
        # What stands behind a stream is httpx's own affair: not found, it counts as used up. Of a
        # stream of somebody else's nobody knows whether it begins again with its file.
        own = type(request.stream).__module__.partition(".")[0] == "httpx"
        file = getattr(request.stream, "_stream", None) if own else None
        plain = isinstance(request.stream, httpx.ByteStream)
        self._body = Body(None if plain else file) if plain or file else None

    def place_of(self, url: str | httpx.URL) -> _hops.Place:
        read = httpx.URL(url)
        return _hops.Place(read.scheme, read.host, read.port, read.path)

    def send(self, ours: Headers) -> Any:
        return self._handle(self._with(ours))

    def forward(self, ours: Headers) -> Any:
        ours_too = _hops.is_ours(ours, self._request.headers.get(AUTHORIZATION, ""))
        if PAYMENT_HEADER not in self._request.headers and not ours_too:
            return self._handle(self._request)
        copy = self._with({})
        copy.headers.pop(PAYMENT_HEADER, None)
        if ours_too:
            del copy.headers[AUTHORIZATION]
        return self._handle(copy)

    def _with(self, headers: Mapping[str, str]) -> httpx.Request:
        """A copy that carries these headers; it shares the body."""
        copy = httpx.Request(
            self._request.method,
            self._request.url,
            headers=self._request.headers,
            stream=self._request.stream,
            extensions=self._request.extensions,
        )
        copy.headers.update(headers)
        return copy

    def status(self, response: httpx.Response) -> int:
        return response.status_code

    def peek(self, response: httpx.Response) -> Any:
        return response, peek(response)

    def rewind(self) -> str | None:
        return used_up(self._request.stream) if self._body is None else self._body.rewind()

    def drop(self, response: httpx.Response) -> Any:
        return response.close()

    def close(self, response: httpx.Response) -> Any:
        return self.drop(response)

    def note(self, response: httpx.Response, key: str, value: object) -> None:
        response.extensions[key] = value

    def word(self, response: httpx.Response, phrase: str) -> None:
        response.extensions["reason_phrase"] = phrase.encode()


class _AsyncCall(_Call):
    async def peek(self, response: httpx.Response) -> Any:
        return response, await peek_async(response)

    async def drop(self, response: httpx.Response) -> None:
        await response.aclose()


class TokenTransport(httpx.BaseTransport):
    """Made by `TokenClient.transport()`, which says what it does."""

    def __init__(
        self, tokens: TokenClient, base: httpx.BaseTransport | None, rules: _hops.Rules
    ) -> None:
        self._tokens = tokens
        self._base = httpx.HTTPTransport() if base is None else base
        self._rules = rules
        self.forks = _fork.generation()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; on a 401 that a newer token may mend, once more."""
        if isinstance(self._base, httpx.HTTPTransport):
            _fork.disown(self, self._base.close)
        call = _Call(self._base.handle_request, request)
        response: httpx.Response = _calling.run(_calling.steps(self._tokens, call, self._rules))
        return response

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
        call = _AsyncCall(self._base.handle_async_request, request)
        doing = _calling.steps(self._tokens, call, self._rules)
        response: httpx.Response = await _calling.run_async(doing)
        return response

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
