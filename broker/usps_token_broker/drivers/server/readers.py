"""What has been read before, and a reader for what has not."""

from typing import Final

from usps_token_broker.drivers.server.limits import Limits
from usps_token_broker.drivers.server.parsing import RequestReader
from usps_token_broker.wire.requests import Request

_MEMO_ENTRIES: Final = 256
_MEMO_BYTES: Final = 1024
"""Longer requests are parsed each time, so that no client can fill the memo with long ones."""


class Readers:
    """One spare reader, and the latest short requests that came whole in one read.

    Clients ask the same again and again: what was read once need not be parsed again.
    """

    __slots__ = ("_limits", "_requests", "_spare")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._spare: RequestReader | None = None
        self._requests: dict[bytes, Request] = {}

    def recall(self, data: bytes) -> Request | None:
        """The request that `data` is, if it has been read before."""
        return self._requests.get(data) if len(data) <= _MEMO_BYTES else None

    def remember(self, data: bytes, request: Request) -> None:
        """Keeps a request for `recall`; `data` must be that request and nothing else."""
        if len(data) <= _MEMO_BYTES:
            if len(self._requests) >= _MEMO_ENTRIES:
                self._requests.clear()
            self._requests[data] = request

    def take(self) -> RequestReader:
        """A reader at the start of a request."""
        reader, self._spare = self._spare, None
        return reader or RequestReader(self._limits)

    def give_back(self, reader: RequestReader) -> None:
        """Takes a reader that has its request."""
        if reader.recycle():
            self._spare = reader
