"""HTTP/1.1 as values: what a client asked, and answers encoded once and sent many times.

Nothing here touches a socket. A `Reply` is bytes from the moment it is made, so that serving the
same answer to a thousand clients costs one encoding.
"""

import math
import re
from collections.abc import AsyncGenerator, Mapping
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from usps_token_broker.core.outcomes import Code
from usps_token_broker.wire.saying import says

STATUS: Final[Mapping[Code, int]] = MappingProxyType(
    {
        Code.BAD_REQUEST: 400,
        Code.TOO_LARGE: 400,
        Code.FORBIDDEN: 403,
        Code.SCOPE_MISSING: 403,
        Code.UNKNOWN_APP: 404,
        Code.UNKNOWN_SLOT: 404,
        Code.PAYMENT_NOT_CONFIGURED: 404,
        Code.NOT_FOUND: 404,
        Code.METHOD_NOT_ALLOWED: 405,
        Code.CONFIG_INVALID: 422,
        Code.TOO_MANY_REQUESTS: 429,
        Code.CREDENTIALS_REFUSED: 502,
        Code.PAYMENT_REFUSED: 502,
        Code.NOT_READY: 503,
        Code.UPSTREAM_UNAVAILABLE: 503,
        Code.UPSTREAM_RATE_LIMITED: 503,
        Code.BUDGET_EXHAUSTED: 503,
        Code.RESTARTING: 503,
    }
)
"""The HTTP status of every code. Never 401, which a client would take for USPS's own."""

_MEMO_ENTRIES: Final = 512
_MEMO_TARGET_BYTES: Final = 512
"""Longer targets are parsed each time, so that no client can fill the memo with long ones."""

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 5.6.2
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_ORIGIN: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Reply:
    """One answer, ready to be written.

    `head` ends with the line break of its last field and lacks the blank line, so that a
    `Connection` field can still be added. `whole` is head, blank line and body in one piece.
    Raises ValueError for a header that would break out of its line.
    """

    __slots__ = ("body", "head", "status", "whole")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        content_type: str | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        length = f"Content-Length: {len(body)}"
        if status == HTTPStatus.NOT_MODIFIED:  # it would be that of the 200 (RFC 9110 8.6)
            length = ""
        self.status = status
        self.head = _head(status, content_type, length, headers)
        self.body = body
        self.whole = self.head + b"\r\n" + body

    def encode(self, *, connection: str = "", with_body: bool = True) -> bytes:
        """The bytes with a `Connection` field, or without the body as HEAD wants it."""
        field = f"Connection: {connection}\r\n\r\n" if connection else "\r\n"
        return b"".join((self.head, field.encode("ascii"), self.body if with_body else b""))

    def __repr__(self) -> str:
        return f"<Reply {self.status}, {len(self.body)} bytes>"


class ConfigProblem(msgspec.Struct, frozen=True):
    """One thing to put right in a configuration."""

    file: Annotated[str, says("The file, or `the environment`")]
    key: Annotated[
        str, says("The full path of the key, the line, or the variable; empty for all of it")
    ]
    expected: Annotated[str, says("What should stand there")]
    found: Annotated[str, says("What stands there; never a secret")]
    fix: Annotated[str, says("How to write it")]


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
        headers: Mapping[str, str] = _NO_HEADERS,
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


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An error as RFC 9457 problem details, with a stable `code` and what to do about it.

    Made by `problem()`.
    """

    type: Annotated[str, says("Always `about:blank`: `code` tells them apart")]
    title: Annotated[str, says("The phrase that belongs to the status")]
    status: Annotated[int, says("The HTTP status")]
    code: Annotated[Code, says("The stable name of the problem")]
    detail: Annotated[str, says("What happened, and why")]
    fix: Annotated[str, says("What to do about it")]
    next_attempt_at: Annotated[float | None, says("When USPS is asked next, Unix seconds")] = None
    retry_after: Annotated[
        float | None, says("Seconds after which to ask again; also the header `Retry-After`")
    ] = None
    upstream_status: Annotated[int | None, says("The HTTP status that USPS answered")] = None
    upstream_code: Annotated[str | None, says("USPS's own code, such as `invalid_client`")] = None
    problems: Annotated[
        tuple[ConfigProblem, ...], says("With `config_invalid`: everything that is wrong")
    ] = ()


def problem(  # noqa: PLR0913 - one argument for each member of the document
    code: Code,
    detail: str,
    fix: str,
    *,
    next_attempt_at: float | None = None,
    retry_after: float | None = None,
    upstream_status: int | None = None,
    upstream_code: str | None = None,
    problems: tuple[ConfigProblem, ...] = (),
) -> Problem:
    """A problem with the status and title that belong to `code`.

    The title is the status phrase, as RFC 9457 4.2.1 asks of the type `about:blank`.
    """
    status = STATUS[code]
    return Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        fix=fix,
        next_attempt_at=next_attempt_at,
        retry_after=retry_after,
        upstream_status=upstream_status,
        upstream_code=upstream_code,
        problems=problems,
    )


def json_reply(status: int, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
    """A reply whose body is JSON already encoded."""
    return Reply(status, body, "application/json", headers)


def text_reply(status: int, text: str, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
    """A reply of plain text: exactly `text`, with no line break added."""
    return Reply(status, text.encode(), "text/plain; charset=utf-8", headers)


def not_modified_reply(headers: Mapping[str, str]) -> Reply:
    """304: what the client has (its `ETag` belongs in `headers`) is still the one."""
    return Reply(HTTPStatus.NOT_MODIFIED, headers=headers)


def problem_reply(error: Problem, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
    """A problem as a reply, with `Retry-After` in whole seconds when the problem has one."""
    if error.retry_after is not None and math.isfinite(error.retry_after):
        headers = {"Retry-After": str(max(0, math.ceil(error.retry_after))), **headers}
    return Reply(error.status, msgspec.json.encode(error), "application/problem+json", headers)


class BadRequestError(Exception):
    """A request that cannot be understood; `reply` says why and what to send instead."""

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.reply = problem_reply(problem(Code.BAD_REQUEST, detail, fix))


class Target(NamedTuple):
    """A request target taken apart and decoded. `query` cannot be changed: it is shared."""

    path: str
    query: Mapping[str, str]


class Request:
    """One whole request. Clients that send the same bytes share it, so it is never changed.

    Header names are in lower case; the values of a repeated header are joined by `, `.
    """

    __slots__ = ("_parsed", "body", "headers", "method", "old", "persistent", "plain", "target")

    def __init__(  # noqa: PLR0913 - one argument for each part of a request
        self,
        method: str,
        target: bytes,
        headers: Mapping[bytes, bytes],
        body: bytes = b"",
        *,
        persistent: bool = True,
        old: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.persistent = persistent
        """Whether the client wants to go on using the connection (RFC 9112 9.3)."""
        self.old = old
        """Whether it is HTTP/1.0, which must be told that a connection is kept."""
        self.plain = persistent and not old and method != "HEAD"
        """Whether any reply can be sent as it is."""
        self._parsed: Target | None = None

    @property
    def path(self) -> str:
        """The decoded path. Raises BadRequestError when the target makes no sense."""
        return (self._parsed or self._parse()).path

    @property
    def query(self) -> Mapping[str, str]:
        """The decoded query. Raises BadRequestError as `path` does, or for a key given twice."""
        return (self._parsed or self._parse()).query

    def _parse(self) -> Target:
        self._parsed = parse_target(self.target)
        return self._parsed

    def __repr__(self) -> str:
        return f"<Request {self.method} {len(self.target)}-byte target>"


def parse_target(target: bytes) -> Target:
    """Takes a request target apart, remembering the latest short ones.

    Accepts the absolute form too, as RFC 9112 3.2.2 asks. Raises BadRequestError.
    """
    return _remembered(target) if len(target) <= _MEMO_TARGET_BYTES else _parse_target(target)


def _parse_target(target: bytes) -> Target:
    origin = _ORIGIN.match(target)
    local = target[origin.end() :] if origin else target
    path, _, query = local.partition(b"#")[0].partition(b"?")
    if not path.startswith(b"/") and path != b"*" and not origin:
        raise BadRequestError(
            "the request target is not a path", "write the path from its first slash"
        )
    return Target(_decode(path) or "/", MappingProxyType(_parse_query(query)))


_remembered = lru_cache(maxsize=_MEMO_ENTRIES)(_parse_target)


def _parse_query(query: bytes) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for field in filter(None, query.split(b"&")):
        raw_key, _, raw_value = field.replace(b"+", b" ").partition(b"=")
        key = _decode(raw_key)
        if key in pairs:
            raise BadRequestError(
                f"the query key {key[:64]!r} is given twice", "give each query key once"
            )
        pairs[key] = _decode(raw_value)
    return pairs


def _decode(escaped: bytes) -> str:
    if not _BAD_ESCAPE.search(escaped):
        try:
            text = unquote_to_bytes(escaped).decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            if not _CONTROL.search(text):
                return text
    raise BadRequestError(
        "the request target is not UTF-8 in percent-encoding, or holds a control character",
        "percent-encode the path and each query value as UTF-8 (curl: -G --data-urlencode)",
    )
