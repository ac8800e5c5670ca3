"""An aiohttp middleware that puts the headers on, tells the broker of a 401, and sends once more.

aiohttp has middlewares, which it calls for each hop of a redirect, since 3.12, and bodies that know
whether they can be sent again since 3.12.4.
"""

from __future__ import annotations

import aiohttp
from aiohttp.payload import AsyncIterablePayload
from yarl import URL

from . import _calling, _hops
from ._bodies import used_up
from ._reporting import MOST_BODY
from ._typing import TYPE_CHECKING
from ._values import AUTHORIZATION, PAYMENT_HEADER

if TYPE_CHECKING:
    from typing import Any

    from ._aclient import AsyncTokenClient
    from ._values import Headers


class _Call:
    """A request, and the handler it goes by; see `_calling.Call`."""

    def __init__(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> None:
        self._request = request
        self._handler = handler
        self.place = self.place_of(request.url)

    def place_of(self, url: str | URL) -> _hops.Place:
        read = URL(url)
        return _hops.Place(read.scheme, read.raw_host, read.port, read.path)

    async def send(self, ours: Headers) -> aiohttp.ClientResponse:
        """With `ours`, which are taken off again: a response shows the headers of its request."""
        headers = self._request.headers
        before = {name: headers.popall(name, []) for name in ours}
        headers.extend(ours)
        try:
            return await self._send()
        finally:
            for name, values in before.items():
                headers.popall(name, None)
                headers.extend((name, value) for value in values)

    async def forward(self, ours: Headers) -> aiohttp.ClientResponse:
        headers = self._request.headers
        headers.popall(PAYMENT_HEADER, None)
        if _hops.is_ours(ours, " ".join(headers.getall(AUTHORIZATION, []))):
            headers.popall(AUTHORIZATION)
        return await self._send()

    async def _send(self) -> aiohttp.ClientResponse:
        response = await self._handler(self._request)
        vars(response).update(dict.fromkeys(_calling.KEYS))
        return response

    def status(self, response: aiohttp.ClientResponse) -> int:
        return response.status

    async def peek(self, response: aiohttp.ClientResponse) -> Any:
        # There is no putting back what was read; read() keeps it for whoever asks next.
        try:
            return response, (await response.read())[:MOST_BODY]
        except aiohttp.ClientPayloadError:
            return response, b""

    def rewind(self) -> str | None:
        body: Any = self._request.body
        if not body or not (isinstance(body, AsyncIterablePayload) or body.consumed):
            return None
        return used_up(body)

    async def drop(self, response: aiohttp.ClientResponse) -> None:
        response.release()
        # A writer that has not ended yet must not write the same body beside the next one.
        await self._request.close()

    def close(self, response: aiohttp.ClientResponse) -> None:
        response.close()

    def note(self, response: aiohttp.ClientResponse, key: str, value: object) -> None:
        setattr(response, key, value)

    def word(self, response: aiohttp.ClientResponse, phrase: str) -> None:
        response.reason = phrase


class TokenMiddleware:
    """Made by `AsyncTokenClient.middleware()`, which says what it does."""

    def __init__(self, tokens: AsyncTokenClient, rules: _hops.Rules) -> None:
        self._tokens = tokens
        self._rules = rules

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send one request; on a 401 that a newer token may mend, once more."""
        doing = _calling.steps(self._tokens, _Call(request, handler), self._rules)
        response: aiohttp.ClientResponse = await _calling.run_async(doing)
        return response
