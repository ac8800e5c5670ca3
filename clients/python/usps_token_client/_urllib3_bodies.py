"""Bodies of urllib3, and so of requests, of which the beginning was read already."""

from __future__ import annotations

from io import BytesIO, RawIOBase

import urllib3

from ._reporting import MOST_BODY
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class _Peeked(RawIOBase):
    """The body of a response of which the beginning was read already."""

    def __init__(
        self, head: bytes, response: Any, error: urllib3.exceptions.HTTPError | None
    ) -> None:
        self._head = BytesIO(head)
        self._response = response
        self._error = error

    def read(self, size: int | None = -1) -> bytes:
        some = None if size is None or size < 0 else size
        head = self._head.read(some)
        if head and some is not None:
            return head
        if self._error is not None:
            raise self._error
        rest: bytes = self._response.read(some, decode_content=False)
        return head + rest

    def close(self) -> None:
        self._response.close()
        super().close()

    read1 = read


class _Whole(urllib3.HTTPResponse):
    """A response whose connection is that of the one it goes on with."""

    peeked: Any = None

    def release_conn(self) -> None:
        if self.peeked is not None:
            self.peeked.release_conn()


def peek(response: Any, method: str | None) -> tuple[urllib3.HTTPResponse, bytes]:
    """An unread response, to be read whole still, and the beginning of its body as text."""
    head, error = b"", None
    try:
        while len(head) < MOST_BODY:
            piece = response.read(MOST_BODY - len(head), decode_content=False)
            if not piece:
                break
            head += piece
    except urllib3.exceptions.HTTPError as cut:
        # For whoever reads the body, and by the library's own way of saying so.
        error = cut
    whole = _Whole(
        body=_Peeked(head, response, error),
        headers=response.headers,
        status=response.status,
        version=response.version,
        reason=response.reason,
        preload_content=False,
        decode_content=getattr(response, "decode_content", False),
        original_response=getattr(response, "_original_response", None),
        retries=getattr(response, "retries", None),
        request_method=method,
        request_url=response.geturl(),
    )
    whole.peeked = response
    try:
        text = urllib3.HTTPResponse(BytesIO(head), response.headers, enforce_content_length=False)
    except urllib3.exceptions.HTTPError:
        return whole, b""
    return whole, (text.data or b"")[:MOST_BODY]
