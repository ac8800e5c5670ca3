"""HTTP/1.1 requests as values: what a client asked, taken apart once for all who ask the same."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from usps_token_broker.wire.problems import BadRequestError

_MEMO_ENTRIES: Final = 512
_MEMO_TARGET_BYTES: Final = 512
"""Longer targets are parsed each time, so that no client can fill the memo with long ones."""
_ORIGIN: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


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
