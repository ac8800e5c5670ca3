"""One hop of urllib3: the headers on it, a 401 of it, and the second attempt.

A manager follows redirects itself, with headers it keeps. So ours go on below that, where it takes
the connection pool of a hop.
"""

from __future__ import annotations

from urllib.parse import unquote

import urllib3
from urllib3.util import parse_url

from . import _calling, _hops
from ._bodies import Body
from ._reporting import MOST_BODY
from ._typing import TYPE_CHECKING
from ._urllib3_bodies import peek
from ._urllib3_retries import without_refusals
from ._values import AUTHORIZATION, PAYMENT_HEADER

if TYPE_CHECKING:
    from typing import Any

    from ._urllib3 import Tokens
    from ._values import Headers


class _Call:
    """One hop of a request, and the pool it goes by; see `_calling.Call`."""

    def __init__(
        self, pool: Any, place: _hops.Place, method: str, url: str, options: dict[str, Any]
    ) -> None:
        self._pool = pool
        self.place = place
        self._what = (method, url)
        self._options = options
        self._body = Body(options.get("body"))
        given = options.get("headers")
        self._headers = urllib3.HTTPHeaderDict(pool.headers if given is None else given)

    def place_of(self, url: str) -> _hops.Place:
        read = parse_url(url)
        return _hops.Place(read.scheme, read.host, read.port, read.path or "/")

    def send(self, ours: Headers) -> Any:
        headers = self._headers.copy()
        for name, value in ours.items():
            headers[name] = value
        given = self._options.get("retries")
        retries = without_refusals(self._pool.retries if given is None else given)
        return self._send(headers, retries=retries)

    def forward(self, ours: Headers) -> Any:
        headers = self._headers.copy()
        headers.pop(PAYMENT_HEADER, None)
        if _hops.is_ours(ours, headers.get(AUTHORIZATION, "")):
            del headers[AUTHORIZATION]
        return self._send(headers)

    def _send(self, headers: urllib3.HTTPHeaderDict, **more: Any) -> Any:
        options = {**self._options, "headers": headers, **more}
        response = self._pool.urlopen(*self._what, **options)
        for key in _calling.KEYS:
            self.note(response, key, None)
        return response

    def status(self, response: Any) -> int:
        status: int = response.status
        return status

    def peek(self, response: Any) -> Any:
        if self._options.get("preload_content", True):
            return response, (response.data or b"")[:MOST_BODY]
        whole, head = peek(response, self._what[0])
        for key in _calling.KEYS:
            self.note(whole, key, getattr(response, key))
        return whole, head

    def rewind(self) -> str | None:
        return self._body.rewind()

    def drop(self, response: Any) -> None:
        response.close()
        response.release_conn()

    close = drop

    def note(self, response: Any, key: str, value: object) -> None:
        setattr(response, key, value)

    def word(self, response: Any, phrase: str) -> None:
        response.reason = phrase


class Hop:
    """The connection pool of one hop. All but what sends is the pool's own."""

    def __init__(
        self, manager: Tokens, pool: Any, scheme: str, host: str, port: int | None
    ) -> None:
        self._manager = manager
        self._pool = pool
        self._origin = (scheme, host, port)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def request(self, *arguments: Any, **options: Any) -> Any:
        """As the pool has it, by `urlopen` below."""
        return type(self._pool).request(self, *arguments, **options)

    def request_encode_url(self, *arguments: Any, **options: Any) -> Any:
        """As `request`."""
        return type(self._pool).request_encode_url(self, *arguments, **options)

    def request_encode_body(self, *arguments: Any, **options: Any) -> Any:
        """As `request`."""
        return type(self._pool).request_encode_body(self, *arguments, **options)

    def urlopen(self, method: str, url: str, *given: Any, **options: Any) -> Any:
        """Send one request; on a 401 that a newer token may mend, once more."""
        options.update(zip(("body", "headers", "retries"), given))  # noqa: B905 - Python 3.9
        # Through a proxy it is the whole URL.
        path = unquote(parse_url(url).path or "/")
        call = _Call(self._pool, _hops.Place(*self._origin, path), method, url, options)
        manager = self._manager
        return _calling.run(_calling.steps(manager.tokens, call, manager.rules))
