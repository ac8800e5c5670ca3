"""HTTP/1.1 answers as values: encoded once and sent many times.

Nothing here touches a socket. A `Reply` is bytes from the moment it is made, so that serving the
same answer to a thousand clients costs one encoding.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NoReturn

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 5.6.2
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


class Reply:
    """One answer, ready to be written.

    `head` ends with the line break of its last field and lacks the blank line, so that a
    `Connection` field can still be added. `whole` is head, blank line and body in one piece.
    `tokens` names the tokens in the body, for whoever keeps track of who has them.
    Raises ValueError for a header that would break out of its line.
    """

    __slots__ = ("body", "head", "status", "tokens", "whole")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        content_type: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        tokens: tuple[str, ...] = (),
    ) -> None:
        length = f"Content-Length: {len(body)}"
        if status == HTTPStatus.NOT_MODIFIED:  # it would be that of the 200 (RFC 9110 8.6)
            length = ""
        self.status = status
        self.head = _head(status, content_type, length, headers)
        self.body = body
        self.tokens = tokens
        self.whole = self.head + b"\r\n" + body

    def encode(self, *, connection: str = "", with_body: bool = True) -> bytes:
        """The bytes with a `Connection` field, or without the body as HEAD wants it."""
        field = f"Connection: {connection}\r\n\r\n" if connection else "\r\n"
        return b"".join((self.head, field.encode("ascii"), self.body if with_body else b""))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Reply may hold tokens: it is not pickled or copied")

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.body)} bytes>"


class Streamed:
    """One answer that goes on: pieces of a body whose length nobody knows yet.

    Nothing may have begun before the first piece is asked for; `pieces` is closed when no more are
    wanted. An empty piece is skipped. Raises ValueError as `Reply` does.
    """

    __slots__ = ("_content_type", "_headers", "pieces", "status")

    def __init__(
        self,
        status: int,
        content_type: str,
        pieces: AsyncGenerator[bytes, None],
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        _head(status, content_type, "", headers)
        self.status = status
        self._content_type = content_type
        self._headers = headers
        self.pieces = pieces

    def encode_head(self, *, chunked: bool, last: bool) -> bytes:
        """The head with its blank line; `last` says that the connection ends with this answer.

        Without chunks, which HTTP/1.0 does not know, the end of the connection is the only end
        that the body can have.
        """
        length = "Transfer-Encoding: chunked" if chunked else ""
        head = _head(self.status, self._content_type, length, self._headers)
        return head + (b"Connection: close\r\n\r\n" if last else b"\r\n")

    def __repr__(self) -> str:
        return f"<Streamed {self.status}>"


LAST_CHUNK: Final = b"0\r\n\r\n"
"""The end of a chunked body (RFC 9112 7.1)."""


def chunk(piece: bytes) -> bytes:
    """A piece of a chunked body. It must not be empty, which would be the end."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _head(status: int, content_type: str | None, length: str, headers: Mapping[str, str]) -> bytes:
    """Status line and fields, each with its line break. `length` is how the body ends."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if length:
        lines.append(length)
    lines.append("Cache-Control: no-store")
    for name, value in headers.items():
        if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise ValueError(f"not a header that can be sent: {name!r}")
        lines.append(f"{name}: {value}")
    lines.append("")
    return "\r\n".join(lines).encode("ascii")


def json_reply(
    status: int,
    body: bytes,
    headers: Mapping[str, str] = NO_HEADERS,
    tokens: tuple[str, ...] = (),
) -> Reply:
    """A reply whose body is JSON already encoded."""
    return Reply(status, body, "application/json", headers, tokens)


def text_reply(
    status: int,
    text: str,
    headers: Mapping[str, str] = NO_HEADERS,
    tokens: tuple[str, ...] = (),
) -> Reply:
    """A reply of plain text: exactly `text`, with no line break added."""
    return Reply(status, text.encode(), "text/plain; charset=utf-8", headers, tokens)


def not_modified_reply(headers: Mapping[str, str]) -> Reply:
    """304: what the client has (its `ETag` belongs in `headers`) is still the one."""
    return Reply(HTTPStatus.NOT_MODIFIED, headers=headers)
