"""Which request gets which of our headers. Decided anew for each hop of a redirect.

The headers go on a copy of the request. httpx builds the next hop from the request it knows, so
what we put on cannot travel to another host with it.
"""

from __future__ import annotations

import httpx

from ._errors import BrokerError
from ._reporting import MOST_BODY
from ._typing import TYPE_CHECKING
from ._values import AUTHORIZATION, DEFAULT, PAYMENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._values import Headers, Verdict

UNAUTHORIZED = 401
VERDICT = "usps_token_verdict"
ERROR = "usps_token_error"


class Rules:
    """What counts as a label call, and which payment token it gets."""

    __slots__ = ("_paths", "_payment")

    def __init__(self, *, payment: bool | str, paths: tuple[str, ...]) -> None:
        self._payment = payment if isinstance(payment, str) else DEFAULT if payment else None
        self._paths = tuple(f"/{path.strip('/')}/" for path in paths)

    def payment_for(self, url: httpx.URL, base_url: str) -> str | None:
        """The name of the payment token this call wants, None when it wants none."""
        if not is_ours(url, base_url):
            return None
        prefix = httpx.URL(base_url).path.rstrip("/")
        path = url.path
        if not path.startswith(prefix):
            return None
        return self._payment if f"{path[len(prefix) :]}/".startswith(self._paths) else None


def is_ours(url: httpx.URL, base_url: str) -> bool:
    """Whether this is the app's own USPS host: the same scheme, host and port."""
    base = httpx.URL(base_url)
    return (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port)


def with_headers(request: httpx.Request, headers: Mapping[str, str]) -> httpx.Request:
    """A copy of this request that carries these headers; it shares the body."""
    copy = httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )
    copy.headers.update(headers)
    return copy


def for_stranger(request: httpx.Request, ours: Headers) -> httpx.Request:
    """The request for a host that is not the app's: without a token the caller may have put on.

    A payment header means nothing to anybody but USPS. An Authorization without our bearer in it is
    the caller's own affair.
    """
    ours_too = ours[AUTHORIZATION].partition(" ")[2] in request.headers.get(AUTHORIZATION, "")
    if PAYMENT_HEADER not in request.headers and not ours_too:
        return request
    copy = with_headers(request, {})
    copy.headers.pop(PAYMENT_HEADER, None)
    if ours_too:
        del copy.headers[AUTHORIZATION]
    return copy


def can_be_sent_again(request: httpx.Request) -> bool:
    """Whether the body is plain bytes; a stream was used up by the first attempt."""
    return isinstance(request.stream, httpx.ByteStream)


def beginning(response: httpx.Response, chunks: list[bytes]) -> bytes:
    """The first bytes of the body as text would have them, whatever its encoding."""
    try:
        whole = httpx.Response(
            response.status_code, headers=response.headers, content=b"".join(chunks)
        )
        return whole.content[:MOST_BODY]
    except httpx.DecodingError:
        return b""


def note(response: httpx.Response, outcome: Verdict | BrokerError) -> None:
    """Leave what came of a report where the caller can find it."""
    key = ERROR if isinstance(outcome, BrokerError) else VERDICT
    response.extensions[key] = outcome
