"""Bytes to requests, one request at a time and never a byte beyond it.

httptools reads a message; what it is given at once ends where the message must end: at the blank
line after a head, at a line break in a chunked body, at the announced length of any other body.
So requests that follow in the same bytes stay unread until this one is answered, however the
bytes were cut into reads. What older releases of httptools let pass is refused here as well.
"""

from typing import Final, NoReturn

import httptools

from usps_token_broker.core.outcomes import Code
from usps_token_broker.drivers.server.limits import Limits
from usps_token_broker.wire.requests import Request

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH_DIGITS: Final = 18


class RefusedError(Exception):
    """Bytes that are not a request we take; nothing after them on the connection makes sense."""

    def __init__(self, code: Code, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.fix = fix


class RequestReader:
    """Reads one request from any cutting of its bytes.

    `feed` until `request` is there, then `recycle`. The `on_` methods are called by httptools.
    """

    __slots__ = (
        "_body",
        "_body_left",
        "_chunked",
        "_complete",
        "_fault",
        "_head_complete",
        "_headers",
        "_last_byte",
        "_limits",
        "_method",
        "_parser",
        "_persistent",
        "_size",
        "_target",
        "_version",
        "in_head",
        "request",
        "wants_continue",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._reset()

    def _reset(self) -> None:
        self.in_head = True
        """Whether the head has yet to end."""
        self.request: Request | None = None
        self.wants_continue = False
        """The client holds its body back until told to go on (RFC 9110 10.1.1)."""
        self._head_complete = self._complete = self._persistent = False
        self._chunked = False
        self._fault = ""
        self._size = self._body_left = 0
        self._last_byte = b""
        self._target = b""
        self._method = self._version = ""
        self._headers: dict[bytes, bytes] = {}
        self._body = bytearray()

    def recycle(self) -> bool:
        """Makes ready for another request; False when httptools will not read another one."""
        again = self._persistent
        self._reset()
        return again

    def feed(self, data: bytes, position: int) -> int:
        """Takes bytes of this request from `position` on; returns the position behind them.

        Raises RefusedError, after which the reader is of no more use.
        """
        end = len(data)
        while position < end and self.request is None:
            stop = self._stop(data, position)
            piece = data[position:stop]
            position += len(piece)
            if self.in_head:
                self._read_head(piece)
            else:
                self._read_body(piece)
        return position

    def _stop(self, data: bytes, position: int) -> int:
        """How far can be read for certain without passing the end of this request."""
        if self._body_left:
            return position + self._body_left
        if not self._size:  # neither a head nor chunks end before their first blank line
            found = data.find(_HEAD_END, position)
            if found >= 0:
                return found + len(_HEAD_END)
        return data.find(b"\n", position) + 1 or len(data)

    def _read_head(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limits.head_bytes:
            _refuse_size("head of the request", self._limits.head_bytes)
        self._check_lines(piece)
        self._parse(piece)
        if self._head_complete:
            self._begin_body()

    def _check_lines(self, piece: bytes) -> None:
        """Refuses a line that ends without CR, or goes on in the next (RFC 9112 2.2 and 5.2)."""
        text = self._last_byte + piece
        breaks = text.count(b"\n") - (self._last_byte == b"\n")
        if breaks != text.count(b"\r\n"):
            _refuse("a line of the head does not end in CR LF")
        if b"\n " in text or b"\n\t" in text:
            _refuse("a header is folded over several lines")
        self._last_byte = piece[-1:]

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._persistent = False  # the upgrade is not taken up, and httptools reads no further
        except httptools.HttpParserError as error:
            _refuse(str(error) or type(error).__name__)
        if self._fault:
            _refuse(self._fault)

    def _begin_body(self) -> None:
        if self._version not in ("1.1", "1.0"):
            _refuse(f"HTTP/{self._version} is not spoken here")
        if not self._target.isascii():
            _refuse("the request target is not percent-encoded")
        self.in_head = False
        self._size = 0
        encoding = self._headers.get(b"transfer-encoding")
        length = self._headers.get(b"content-length")
        if encoding is not None:
            self._begin_chunks(encoding, length)
        elif length is not None:
            self._begin_sized_body(length)
        if self._complete or not (self._body_left or self._chunked):
            self._finish()
        elif self._version == "1.1":
            self.wants_continue = self._headers.get(b"expect", b"").lower() == b"100-continue"

    def _begin_chunks(self, encoding: bytes, length: bytes | None) -> None:
        if length is not None:
            _refuse("both Content-Length and Transfer-Encoding are given")
        if encoding.lower() != b"chunked" or self._version != "1.1":
            _refuse("the only Transfer-Encoding taken is `chunked`, in HTTP/1.1")
        self._chunked = True

    def _begin_sized_body(self, length: bytes) -> None:
        if not length.isdigit():
            _refuse("Content-Length is not one number")
        if len(length) > _LENGTH_DIGITS or int(length) > self._limits.body_bytes:
            _refuse_size("body of the request", self._limits.body_bytes)
        self._body_left = int(length)

    def _read_body(self, piece: bytes) -> None:
        self.wants_continue = False
        self._size += len(piece)
        if self._body_left:
            self._body_left -= len(piece)
        self._parse(piece)
        most = self._limits.body_bytes
        if len(self._body) > most or self._size - len(self._body) > most:
            _refuse_size("body of the request", most)
        if self._complete:
            self._finish()

    def _finish(self) -> None:
        if not self._complete or self._body_left:
            _refuse("a request that asks for another protocol has a body")
        self.request = Request(
            self._method,
            self._target,
            self._headers,
            bytes(self._body),
            persistent=self._persistent,
            old=self._version == "1.0",
        )

    def on_message_begin(self) -> None:
        """A request begins; a second one is more than was to be read."""
        if self._complete:
            self._fault = "the head of the request ends twice"

    def on_url(self, piece: bytes) -> None:
        """A piece of the request target."""
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the head, or of the trailer, where none means anything to us."""
        if self._head_complete:
            return
        key = name.lower()
        text = value.rstrip(b" \t")
        if not key or key[-1:] in b" \t":
            self._fault = "a header has no name, or a blank before its colon"
        before = self._headers.get(key)
        self._headers[key] = text if before is None else before + b", " + text

    def on_headers_complete(self) -> None:
        """The head is there. What httptools knows of it, it forgets at the end of the message."""
        self._head_complete = True
        self._method = self._parser.get_method().decode("ascii")
        self._version = self._parser.get_http_version()
        self._persistent = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        """A piece of the body, chunk sizes taken out."""
        self._body += piece

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._complete = True


def _refuse(why: str) -> NoReturn:
    raise RefusedError(
        Code.BAD_REQUEST,
        f"this is no HTTP request that can be taken: {why}",
        "speak HTTP/1.1, as `curl` does",
    )


def _refuse_size(what: str, most: int) -> NoReturn:
    raise RefusedError(
        Code.TOO_LARGE,
        f"the {what} is longer than {most} bytes",
        f"send at most {most} bytes",
    )
