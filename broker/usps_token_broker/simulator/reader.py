"""Bytes of a connection to whole requests, with limits. Knows no socket and no clock."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import httptools
import msgspec

from usps_token_broker.simulator.messages import Answer, Request

_HEADERS_AT_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client may ask of the simulator."""

    head_bytes: int = 32_768
    """Request line and headers; a token has at most a few kilobytes."""
    body_bytes: int = 1_000_000
    request_seconds: float = 20.0
    """From the first byte of a request to its last."""
    idle_seconds: float = 75.0
    """Between two requests."""
    stall_seconds: float = 30.0
    """For a client that does not read its answers."""
    connections: int = 1_000


class _RefusedError(Exception):
    """Stops the parser; the refusal is in the reader."""


class RequestReader:
    """Collects requests from the bytes it is fed; after a refusal nothing more is read."""

    def __init__(self, limits: Limits) -> None:
        self.ready: deque[tuple[Request, bool]] = deque()
        """Whole requests in their order, each with whether the connection is kept."""
        self.refusal: Answer | None = None
        """Why the rest of the bytes cannot be understood, for after those that are ready."""
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._wants_continue = False
        self._begin()

    @property
    def is_midway(self) -> bool:
        """Whether a request has begun and is not complete."""
        return self._raw_bytes > 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self.refusal is not None:
            return
        self._fed = len(data)
        self._raw_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade()
        except httptools.HttpParserError as error:
            if self.refusal is None:
                self.refusal = _refusal(400, f"This is not HTTP/1.1: {error}")
        if self.refusal is None and self._is_too_long():
            what = (413, "body") if self._in_body else (431, "head")
            self.refusal = _refusal(what[0], f"The {what[1]} of the request is too large.")

    def take_continue(self) -> bool:
        """Whether the client waits for `100 Continue`; asked once."""
        wanted, self._wants_continue = self._wants_continue, False
        return wanted and self.refusal is None

    def on_url(self, url: bytes) -> None:
        """Part of the parser's protocol."""
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Part of the parser's protocol; trailers come here too and are left out."""
        if self._in_body:
            return
        self._count_head(len(name) + len(value) + 4)
        self._headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        self._header_count += 1
        if self._header_count > _HEADERS_AT_MOST:
            self._refuse(431, f"The request has more than {_HEADERS_AT_MOST} headers.")

    def on_headers_complete(self) -> None:
        """Part of the parser's protocol."""
        self._in_body = True
        length = self._headers.get("content-length", "0")
        if len(length) > 18 or int(length) > self._limits.body_bytes:  # noqa: PLR2004 - fits 64 bit
            self._refuse(413, f"The body is larger than {self._limits.body_bytes} bytes.")
        self._wants_continue = self._headers.get("expect", "").lower() == "100-continue"

    def on_body(self, chunk: bytes) -> None:
        """Part of the parser's protocol."""
        self._body += chunk
        if len(self._body) > self._limits.body_bytes:
            self._refuse(413, f"The body is larger than {self._limits.body_bytes} bytes.")

    def on_message_complete(self) -> None:
        """Part of the parser's protocol."""
        path, query = _split(self._url.decode("latin-1"))
        method = self._parser.get_method().decode("latin-1")
        request = Request(method, path, query, self._headers, bytes(self._body))
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self.ready.append((request, keep_alive))
        self._wants_continue = False
        self._begin()

    def _begin(self) -> None:
        self._url = bytearray()
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._header_count = 0
        self._head_bytes = 0
        self._raw_bytes = 0
        self._fed = 0
        self._in_body = False

    def _upgrade(self) -> None:
        """Answer a request that asks for another protocol as if it did not; a body is not read."""
        request, _ = self.ready[-1]
        if "content-length" in request.headers or "transfer-encoding" in request.headers:
            self.ready.pop()
            self.refusal = _refusal(
                400, "The simulator speaks HTTP/1.1 only; send no Upgrade header with a body."
            )

    def _is_too_long(self) -> bool:
        """Whether more came than any request within the limits needs."""
        if self._in_body:
            return self._raw_bytes > self._limits.head_bytes + 2 * self._limits.body_bytes
        return self._raw_bytes > self._limits.head_bytes

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > self._limits.head_bytes:
            self._refuse(431, f"The head is larger than {self._limits.head_bytes} bytes.")

    def _refuse(self, status: int, why: str) -> None:
        self.refusal = _refusal(status, why)
        raise _RefusedError


def timed_out() -> Answer:
    """For a client that begins a request and does not end it."""
    return _refusal(408, "The request did not arrive in time.")


def _refusal(status: int, why: str) -> Answer:
    return Answer(status, msgspec.json.encode({"error": why}) + b"\n", code="not_understood")


def _split(target: str) -> tuple[str, str]:
    """Path and query of a request target, also of one that names the host (RFC 9112 3.2.2)."""
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("#")[0].partition("?")
    return path, query
