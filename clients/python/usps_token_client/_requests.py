"""A requests adapter that puts the headers on, tells the broker of a 401, and sends once more.

It is mounted for every host and decides by the hop: on a redirect requests strips `Authorization`,
but would carry the payment header to a foreign host.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from . import _calling, _fork, _hops
from ._bodies import Body
from ._typing import TYPE_CHECKING
from ._urllib3_bodies import peek
from ._urllib3_retries import without_refusals
from ._values import AUTHORIZATION, PAYMENT_HEADER

if TYPE_CHECKING:
    from typing import Any

    from ._client import TokenClient
    from ._values import Headers


class _Call:
    """A request, and the adapter it goes by; see `_calling.Call`."""

    def __init__(
        self, adapter: TokenAdapter, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> None:
        self._adapter = adapter
        self._request = request
        self._options = options
        self._body = Body(request.body)
        self.place = self.place_of(request.url or "")

    def place_of(self, url: str) -> _hops.Place:
        # Of its versions some connect by the one reading of a URL, some by the other.
        try:
            one, other = parse_url(url), urlsplit(url)
            readings = {
                (one.scheme, (one.host or "").strip("[]"), one.port),
                (other.scheme, other.hostname or "", other.port),
            }
        except (LocationParseError, ValueError):
            readings = set()
        if len(readings) != 1:
            return _hops.Place(None, None, None, "/")
        return _hops.Place(*readings.pop(), unquote(one.path or "/"))

    def send(self, ours: Headers) -> Any:
        copy = self._request.copy()
        copy.headers.update(ours)
        return self._send(copy)

    def forward(self, ours: Headers) -> Any:
        copy = self._request.copy()
        copy.headers.pop(PAYMENT_HEADER, None)
        if _hops.is_ours(ours, copy.headers.get(AUTHORIZATION, "")):
            del copy.headers[AUTHORIZATION]
        return self._send(copy)

    def _send(self, request: requests.PreparedRequest) -> Any:
        try:
            response = self._adapter.base.send(request, **self._options)
        except requests.RequestException as error:
            # The caller may log what it asked for: not what we put on it.
            error.request = self._request
            raise
        response.request = self._request
        vars(response).update(dict.fromkeys(_calling.KEYS), connection=self._adapter)
        return response

    def status(self, response: requests.Response) -> int:
        return response.status_code

    def peek(self, response: requests.Response) -> Any:
        response.raw, head = peek(response.raw, self._request.method)
        return response, head

    def rewind(self) -> str | None:
        return self._body.rewind()

    def drop(self, response: requests.Response) -> None:
        response.close()

    close = drop

    def note(self, response: requests.Response, key: str, value: object) -> None:
        setattr(response, key, value)

    def word(self, response: requests.Response, phrase: str) -> None:
        response.reason = phrase


class TokenAdapter(BaseAdapter):
    """Mounted by `TokenClient.session()`, which says what it does."""

    def __init__(self, tokens: TokenClient, base: BaseAdapter, rules: _hops.Rules) -> None:
        super().__init__()
        self._tokens = tokens
        self.base = base
        self._rules = rules
        self.forks = _fork.generation()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        """Send one request; on a 401 that a newer token may mend, once more."""
        if isinstance(self.base, HTTPAdapter):
            _fork.disown(self, self.base.close)
        names = ("stream", "timeout", "verify", "cert", "proxies")
        options.update(zip(names, args))  # noqa: B905 - Python 3.9 has no `strict`
        call = _Call(self, request, options)
        return _calling.run(_calling.steps(self._tokens, call, self._rules))

    def close(self) -> None:
        """Close the adapter that does the sending."""
        self.base.close()


def with_tokens(
    tokens: TokenClient, session: requests.Session | None, rules: _hops.Rules
) -> requests.Session:
    """The session that `TokenClient.session()` gives."""
    session = requests.Session() if session is None else session
    for prefix, adapter in list(session.adapters.items()):
        base = adapter.base if isinstance(adapter, TokenAdapter) else adapter
        if hasattr(base, "max_retries"):
            base.max_retries = without_refusals(base.max_retries)
        session.mount(prefix, TokenAdapter(tokens, base, rules))
    return session
