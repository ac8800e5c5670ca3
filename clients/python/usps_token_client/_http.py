"""As much of HTTP/1.1 as one question and its answer need. Bytes in, values out, no I/O.

Each question has a connection of its own, so an answer ends with its Content-Length or with the
connection. Parsing is forgiving where that is harmless (bare line feeds, unknown headers) and
strict where an answer could be taken for another one (RFC 9112, section 6.3).
"""

from __future__ import annotations

from ._errors import ProtocolMismatch
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 1 << 20
"""An answer is about 4 KB; whatever sends a megabyte is not a broker."""
VERSION = "0.2.0"
JSON = "application/json"
TEXT = "text/plain"
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quoted(text: str) -> str:
    """Percent-encoded for a path or a query (RFC 3986, 2.3); `urllib.parse` costs 12 ms."""
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


def target(path: str, query: Mapping[str, object]) -> str:
    """A request target; keys whose value is None are left out."""
    pairs = [f"{key}={quoted(str(value))}" for key, value in query.items() if value is not None]
    return path + ("?" + "&".join(pairs) if pairs else "")


def message(  # noqa: PLR0913 - one argument for each part of a request
    method: str,
    where: str,
    *,
    accept: str = JSON,
    etag: str | None = None,
    body: bytes = b"",
    kind: str = JSON,
) -> bytes:
    """One request, whole. `kind` is the type of its body."""
    lines = [
        f"{method} {where} HTTP/1.1",
        "Host: usps-token-broker",
        f"User-Agent: usps-token-client/{VERSION}",
        f"Accept: {accept}",
        "Connection: close",
    ]
    if etag is not None:
        lines.append(f"If-None-Match: {etag}")
    if body:
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class Answer:
    """What came back. Header names are lower case; the body is kept out of the repr."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"


class AnswerReader:
    """Puts an answer together from pieces of any size; `answer` is set when it is whole."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self._data = bytearray()
        self._searched = 0
        self._head: tuple[int, dict[str, str]] | None = None
        self._body_at = 0
        self._length: int | None = None

    def feed(self, data: bytes) -> None:
        """Take a piece. Raises ProtocolMismatch when this cannot become an answer."""
        self._data += data
        if len(self._data) > MOST_BYTES:
            raise _not_a_broker(f"its answer is longer than {MOST_BYTES} bytes")
        if self._head is None and not self._read_head():
            return
        if self._length is not None and len(self._data) - self._body_at >= self._length:
            self._finish(self._body_at + self._length)

    def end(self) -> None:
        """The peer closed the connection. Raises ProtocolMismatch when that came too soon."""
        if self.answer is not None:
            return
        if self._head is None or self._length is not None:
            raise cut_answer()
        self._finish(len(self._data))

    def _finish(self, end: int) -> None:
        assert self._head is not None  # noqa: S101 - both callers have looked
        self.answer = Answer(*self._head, bytes(self._data[self._body_at : end]))

    def _read_head(self) -> bool:
        if not self._data.startswith(b"HTTP/1."[: len(self._data)]):
            raise _not_a_broker("it does not speak HTTP")
        ends = _end_of_head(self._data, self._searched)
        if ends is None:
            # An end cut in two pieces is at most three bytes back.
            self._searched = max(0, len(self._data) - 3)
            return False
        head_end, self._body_at = ends
        self._head = _parse_head(bytes(self._data[:head_end]))
        self._length = _body_length(*self._head)
        return True


def _end_of_head(data: bytearray, start: int) -> tuple[int, int] | None:
    """Where the head ends and where the body begins, or None while that has not come."""
    marks = (b"\r\n\r\n", b"\n\n")
    ends = [(data.find(mark, start), len(mark)) for mark in marks]
    return min(((at, at + length) for at, length in ends if at >= 0), default=None)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if version not in {"HTTP/1.0", "HTTP/1.1"} or not (status.isascii() and status.isdigit()):
        raise _not_a_broker("its status line is not HTTP")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or (name == "content-length" and headers.get(name, value) != value):
            raise _not_a_broker("its header lines are not HTTP")
        headers[name] = value
    return int(status), headers


def _body_length(status: int, headers: dict[str, str]) -> int | None:
    """How long the body is, or None when it ends with the connection (RFC 9112, 6.3)."""
    if status in {204, 304}:
        return 0
    if headers.get("transfer-encoding", "identity").lower() != "identity":
        raise _not_a_broker("it answers in chunks, which no broker does")
    length = headers.get("content-length")
    if length is None:
        return None
    if not (length.isascii() and length.isdigit()) or len(length) > len(str(MOST_BYTES)):
        raise _not_a_broker("its Content-Length is no number, or too long an answer")
    return int(length)


def _not_a_broker(why: str) -> ProtocolMismatch:
    return ProtocolMismatch(
        f"what answers on the broker's socket is not a usps-token-broker: {why}",
        fix="see who listens there (`ss -xlp`), and what USPS_TOKEN_SOCKET names",
        code="not_a_broker",
    )


def cut_answer() -> ProtocolMismatch:
    """The connection ended before the answer did: a broker was killed, or is restarting."""
    return ProtocolMismatch(
        "the broker closed the connection before its answer was complete",
        fix="it may just have been restarted; if this goes on, `journalctl -u usps-token-broker`",
        code="cut_answer",
        passing=True,
    )
