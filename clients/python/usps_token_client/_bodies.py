"""Whether the body of a request can be sent a second time, and bringing it back to its start."""

from __future__ import annotations

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_PLAIN = (bytes, str, bytearray, memoryview, list, tuple, type(None))


class Body:
    """A body before it is sent for the first time: plain data, a file, or something used up by it.

    A file is remembered where it stands, which need not be its beginning.
    """

    __slots__ = ("_body", "_start", "_why")

    def __init__(self, body: Any) -> None:
        self._body = body
        self._start: int | None = None
        self._why: str | None = None
        if isinstance(body, _PLAIN):
            return
        try:
            self._start = body.tell()
            body.seek(self._start)
        except (AttributeError, OSError, ValueError):
            self._why = used_up(body)

    def rewind(self) -> str | None:
        """Bring it back to where it was. None, or why it cannot be sent again."""
        if self._start is not None:
            try:
                self._body.seek(self._start)
            except (OSError, ValueError):  # It was closed meanwhile.
                return used_up(self._body)
        return self._why


def used_up(body: object) -> str:
    """What to tell of a body that there is no more of."""
    return (
        f"the call was not sent again: its body ({type(body).__name__}) was used up by the first "
        "attempt; give bytes, or a file that can seek"
    )
