"""Log lines to a stream that may not take them: whoever does not read the log stops nobody."""

import logging
import select
from typing import Final, TextIO

_TAKEN_AT_ONCE: Final = 4096
"""Bytes that a pipe which poll(2) calls writable takes without waiting (PIPE_BUF, pipe(7))."""


class StreamHandler(logging.StreamHandler[TextIO]):
    """Drops what would have to wait for a reader, and says later how much that was."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, if that needs no waiting."""
        try:
            if self._lost and self._takes_more():
                lost, self._lost = self._lost, 0
                self._write(self.format(_remark(lost)))
            if self._takes_more():
                self._write(self.format(record))
            else:
                self._lost += 1
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)

    def _write(self, text: str) -> None:
        """The text with its line break; what no longer fits is cut off."""
        written = (text + self.terminator).encode("utf-8", "replace")
        while written and self._takes_more():
            piece = written[:_TAKEN_AT_ONCE].decode("utf-8", "ignore")
            self.stream.write(piece)
            self.flush()
            written = written[len(piece.encode()) :]

    def _takes_more(self) -> bool:
        try:
            descriptor = self.stream.fileno()
        except (OSError, ValueError, AttributeError):  # no file: nothing to wait for
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        return bool(poll.poll(0))


def _remark(lost: int) -> logging.LogRecord:
    text = f"{lost} lines of the log are missing here: nobody read them"
    return logging.LogRecord("usps_token_broker", logging.WARNING, "", 0, text, None, None)
