"""What is being waited for, on a terminal; gone again before anything else is printed."""

import contextlib
import threading
from typing import Final, TextIO

_PATIENCE_SECONDS: Final = 1.0
"""Longer than that, people wonder whether anything goes on (Nielsen, Response Times, 1993)."""


class Progress:
    """One line at a time on a stream, where that is a terminal."""

    def __init__(self, stream: TextIO, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._stream = stream
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._shown = ""

    def begin(self, line: str) -> None:
        """Show this once it takes long, in place of what was shown before."""
        self.end()
        if not self._stream.isatty():
            return
        timer = threading.Timer(self._patience_seconds, self._show, [line])
        timer.daemon = True
        self._timer = timer
        with contextlib.suppress(RuntimeError):  # no memory for a thread: it goes without
            timer.start()

    def end(self) -> None:
        """Take away what is shown."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._shown:
                # Blanks, since not every terminal knows a code for it.
                self._write(f"\r{' ' * len(self._shown)}\r")
                self._shown = ""

    def _show(self, line: str) -> None:
        with self._lock:
            if self._timer is threading.current_thread():
                self._shown = line
                self._write(line)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
