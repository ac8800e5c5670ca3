"""Each HTTP library with its line of usps-token-client, all with the same few words."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import httpcore
import httpx
import requests
import urllib3
from loopback_world import authority, client_context

from usps_token_client import AsyncTokenClient, TokenClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping


_REFUSED = 400


@dataclass
class Asked:
    """A request. `data` is its body, `stream` whether the answer is read bit by bit."""

    method: str
    url: str
    data: Any = None
    json: Any = None
    headers: Any = None
    stream: bool = False


@dataclass
class Answer:
    """What a worker sees of a response.

    `shown` is the headers of its request, as it shows them, and `said` the words of the library's
    own error for this status, empty where it is no error.
    """

    status: int
    content: bytes
    verdict: Any
    error: Any
    note: Any
    shown: Mapping[str, str]
    said: str


def _answer(
    left: Callable[[str], Any],
    status: int,
    content: bytes,
    shown: Mapping[str, str],
    check: Callable[[], object],
) -> Answer:
    return Answer(
        status,
        content,
        left("usps_token_verdict"),
        left("usps_token_error"),
        left("usps_token_note"),
        shown,
        _words(check),
    )


def _words(check: Callable[[], object]) -> str:
    """What this raises, as a person reads it at the end of a traceback."""
    try:
        check()
    except (httpx.HTTPError, requests.RequestException, aiohttp.ClientError) as error:
        return str(error)
    return ""


class Library:
    """Sends requests, each with a client of its own."""

    name: str
    client: type[TokenClient | AsyncTokenClient]
    errors: tuple[type[Exception], ...]
    """By which nobody at all is called."""
    takes_files = True

    def send(self, tokens: Any, asked: Asked, **rules: Any) -> Answer:
        """Follows redirects. `rules` are those of the one line."""
        raise NotImplementedError

    def pieces(self) -> Any:
        """A body that can be read once."""
        return _pieces()


def _pieces() -> Iterator[bytes]:
    yield b"piece"


async def _async_pieces() -> AsyncIterator[bytes]:
    yield b"piece"


def _of_httpx(asked: Asked) -> tuple[str, str]:
    return asked.method, asked.url


def _more_of_httpx(asked: Asked) -> dict[str, Any]:
    return {"content": asked.data, "json": asked.json, "headers": asked.headers}


class _ByName(httpcore.AnyIOBackend):
    """Asks for a name by `socket.getaddrinfo`, and goes to the port that this says."""

    async def connect_tcp(
        self, host: str, port: int, *arguments: Any, **more: Any
    ) -> httpcore.AsyncNetworkStream:
        found = socket.getaddrinfo(host, port)
        return await super().connect_tcp(*found[0][4][:2], *arguments, **more)


class _NamedTransport(httpx.AsyncHTTPTransport):
    """httpx over anyio, which has no ear for the port of a name."""

    def __init__(self) -> None:
        super().__init__(verify=client_context())
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=client_context(), network_backend=_ByName()
        )


def _httpx_answer(response: httpx.Response, content: bytes) -> Answer:
    left = response.extensions.get
    shown = response.request.headers
    return _answer(left, response.status_code, content, shown, response.raise_for_status)


def _left_on(response: object) -> Callable[[str], Any]:
    # Without a default: whoever went by us has the names, a stranger's response too.
    return lambda name: getattr(response, name)


class Httpx(Library):
    """httpx.Client."""

    name = "httpx"
    client = TokenClient
    errors = (httpx.InvalidURL, httpx.RequestError)

    def send(self, tokens: Any, asked: Asked, **rules: Any) -> Answer:
        """As said above."""
        base = httpx.HTTPTransport(verify=client_context())
        transport = tokens.transport(base, **rules)
        with httpx.Client(transport=transport, follow_redirects=True) as http:
            with http.stream(*_of_httpx(asked), **_more_of_httpx(asked)) as response:
                content = b"".join(response.iter_bytes()) if asked.stream else response.read()
            return _httpx_answer(response, content)


class AsyncHttpx(Library):
    """httpx.AsyncClient."""

    name = "httpx-async"
    client = AsyncTokenClient
    errors = Httpx.errors
    takes_files = False

    def send(self, tokens: Any, asked: Asked, **rules: Any) -> Answer:
        """As said above."""

        async def main() -> Answer:
            transport = tokens.transport(_NamedTransport(), **rules)
            async with httpx.AsyncClient(transport=transport, follow_redirects=True) as http:
                async with http.stream(*_of_httpx(asked), **_more_of_httpx(asked)) as response:
                    if asked.stream:
                        content = b"".join([piece async for piece in response.aiter_bytes()])
                    else:
                        content = await response.aread()
                return _httpx_answer(response, content)

        return asyncio.run(main())

    def pieces(self) -> Any:
        """As said above."""
        return _async_pieces()


class Requests(Library):
    """requests.Session."""

    name = "requests"
    client = TokenClient
    errors = (requests.RequestException, UnicodeError)

    def send(self, tokens: Any, asked: Asked, **rules: Any) -> Answer:
        """As said above."""
        with tokens.session(**rules) as http, authority().cert_pem.tempfile() as pem:
            http.verify = pem
            http.trust_env = False
            # requests takes no list of pairs, but whatever has items().
            headers = asked.headers and urllib3.HTTPHeaderDict(asked.headers)
            response = http.request(
                asked.method, asked.url, data=asked.data, json=asked.json,
                headers=headers, stream=asked.stream,
            )  # fmt: skip
            content = b"".join(response.iter_content(1000)) if asked.stream else response.content
            return _answer(
                _left_on(response),
                response.status_code,
                content,
                response.request.headers,
                response.raise_for_status,
            )


class Urllib3(Library):
    """urllib3.PoolManager."""

    name = "urllib3"
    client = TokenClient
    errors = (urllib3.exceptions.HTTPError,)

    def send(self, tokens: Any, asked: Asked, **rules: Any) -> Answer:
        """As said above."""
        options = {} if asked.json is None else {"json": asked.json}
        with tokens.pool_manager(ssl_context=client_context(), **rules) as http:
            response = http.request(
                asked.method, asked.url, body=asked.data, headers=asked.headers,
                preload_content=not asked.stream,
                retries=urllib3.Retry(3, connect=0, read=0), **options,
            )  # fmt: skip
            content = b"".join(response.stream(1000)) if asked.stream else response.data

            def check() -> None:
                # It has no error for a status; whoever uses it makes one of these two.
                if response.status >= _REFUSED:
                    raise requests.HTTPError(f"{response.status} {response.reason}")

            return _answer(_left_on(response), response.status, content, {}, check)


class Aiohttp(Library):
    """aiohttp.ClientSession."""

    name = "aiohttp"
    client = AsyncTokenClient
    errors = (aiohttp.ClientError, ValueError)

    def send(self, tokens: Any, asked: Asked, **rules: Any) -> Answer:
        """As said above."""

        async def main() -> Answer:
            made = [tokens.middleware(**rules)]
            connector = aiohttp.TCPConnector(ssl=client_context())
            async with aiohttp.ClientSession(connector=connector, middlewares=made) as http:
                async with http.request(
                    asked.method, asked.url, data=asked.data, json=asked.json,
                    headers=asked.headers,
                ) as response:  # fmt: skip
                    content = await response.read()
                shown = response.request_info.headers
                check = response.raise_for_status
                return _answer(_left_on(response), response.status, content, shown, check)

        return asyncio.run(main())

    def pieces(self) -> Any:
        """As said above."""
        return _async_pieces()


LIBRARIES = [Httpx(), AsyncHttpx(), Requests(), Urllib3(), Aiohttp()]
