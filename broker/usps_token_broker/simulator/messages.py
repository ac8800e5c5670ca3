"""Requests and answers of the simulator, free of sockets."""

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import msgspec

BODYLESS: Final = (204, 304)
"""Statuses whose answers have no body (RFC 9110 6.4.1)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Header names are in lower case; of two alike the first counts."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """The type of the body in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> object:
        """The body, decoded.

        Raises:
            ValueError: It is not valid JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"not valid JSON: {error}") from error


class Transfer(enum.Enum):
    """How an answer is sent."""

    WHOLE = "whole"
    CUT = "cut"
    DRIP = "drip"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back. `code` names the outcome in the log of calls."""

    status: int
    body: bytes = b""
    code: str = ""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    transfer: Transfer = Transfer.WHOLE
    pause_seconds: float = 0.0
    """Of a dripped answer: the time between two bytes."""
    filler_bytes: int = 0
    """So many bytes follow the body; they are made while they are sent."""

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        return len(self.body) + self.filler_bytes

    def with_headers(self, *headers: tuple[str, str]) -> "Answer":
        """The same answer with further headers."""
        return dataclasses.replace(self, headers=(*self.headers, *headers))


def head(answer: Answer, *, keep_alive: bool, missing: int = 0) -> bytes:
    """The bytes before the body; `missing` ones are promised beyond it."""
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = "Unassigned"
    lines = [f"HTTP/1.1 {answer.status} {reason}"]
    if answer.status not in BODYLESS:
        lines.append(f"Content-Type: {answer.content_type}")
        lines.append(f"Content-Length: {answer.length + missing}")
    lines.extend(f"{name}: {value}" for name, value in answer.headers)
    lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
