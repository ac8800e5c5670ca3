"""Notes of the core to log lines: one line an event, no secret, no line break from outside."""

import logging
import os
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, TextIO

from usps_token_broker.wire.redaction import redact

if TYPE_CHECKING:
    # The core's records take their time to build, and the daemon listens first.
    from usps_token_broker.core.commands import Note

LOGGER: Final = "usps_token_broker"
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SYSLOG: Final = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
_LONGEST_TRACE_LINE: Final = 1000

_Trace = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _OneLine(logging.Formatter):
    """Keeps a record on one line, but for a traceback, whose lines are indented."""

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).splitlines() or [""]
        return "\n".join([_printable(first), *(f"  {_printable(line)}" for line in rest)])

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as below
        """The line. What a library says may quote anything, as a foreign exception may."""
        if not _is_ours(record):
            record.message = redact(record.message, limit=_LONGEST_TRACE_LINE)
        return super().formatMessage(record)

    def formatException(self, ei: _Trace) -> str:  # noqa: N802 - logging's name for it
        """The traceback. The text of a foreign exception may quote anything, and so a token."""
        return "\n".join(map(_redacted, super().formatException(ei).splitlines()))


class _Syslog(_OneLine):
    """Puts the priority in front of each line, as systemd reads it (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        priority = _SYSLOG.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name == LOGGER or record.name.startswith(f"{LOGGER}.")


def _may_be_told(record: logging.LogRecord) -> bool:
    """Below WARNING libraries print headers, whatever level somebody set their loggers to."""
    return record.levelno >= logging.WARNING or _is_ours(record)


def _printable(line: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in line)


def _redacted(line: str) -> str:
    text = line.lstrip()
    return line[: len(line) - len(text)] + redact(text, limit=_LONGEST_TRACE_LINE)


def start(environ: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Send log records to standard error: with priorities to the journal, with the time elsewhere.

    Of libraries only warnings are told, without what looks like a token.
    """
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.addFilter(_may_be_told)
    if _is_journal(environ.get("JOURNAL_STREAM", ""), target):
        handler.setFormatter(_Syslog("%(message)s"))
    else:
        handler.setFormatter(_OneLine("%(asctime)s %(levelname)-7s %(message)s"))
    # What cannot be logged would be printed as it is, and with it the text of any exception.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _is_journal(named: str, stream: TextIO) -> bool:
    """Whether the stream is the one that systemd connected (JOURNAL_STREAM, systemd.exec(5)).

    The variable alone says nothing: every terminal of a desktop inherits it.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or no file at all
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def write(note: "Note") -> None:
    """Log one note."""
    where = f"{note.slot}: " if note.slot else ""
    text = " ".join(f"{where}{note.text}".split())
    logging.getLogger(LOGGER).log(_LEVELS[note.level.value], "%s", text)
