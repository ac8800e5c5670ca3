"""Notes of the core to log lines: one line an event, no secret, no line break from outside."""

import logging
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from usps_token_broker.core.commands import Level, Note

LOGGER: Final = "usps_token_broker"
_LEVELS: Final = {
    Level.INFO: logging.INFO,
    Level.WARNING: logging.WARNING,
    Level.ERROR: logging.ERROR,
}
_SYSLOG: Final = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


class _OneLine(logging.Formatter):
    """Keeps a record on one line, but for a traceback, whose lines are indented."""

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).splitlines() or [""]
        return "\n".join([first, *(f"  {line}" for line in rest)])


class _Syslog(_OneLine):
    """Puts the priority in front of each line, as systemd reads it (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        priority = _SYSLOG.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def start(environ: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Send log records to standard error: with priorities under systemd, with the time elsewhere.

    The loggers of httpx and httpcore are kept above INFO: at lower levels they print headers.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    if environ.get("JOURNAL_STREAM"):
        handler.setFormatter(_Syslog("%(message)s"))
    else:
        handler.setFormatter(_OneLine("%(asctime)s %(levelname)-7s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def write(note: Note) -> None:
    """Log one note."""
    where = f"{note.slot}: " if note.slot else ""
    text = " ".join(f"{where}{note.text}".split())
    logging.getLogger(LOGGER).log(_LEVELS[note.level], "%s", text)
