"""Notes of the core to log lines: one line an event, no secret, no line break from outside."""

import enum
import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from usps_token_broker.drivers.journal.lines import LOGGER, JsonLines, OneLine, is_ours
from usps_token_broker.drivers.journal.stream import StreamHandler

if TYPE_CHECKING:
    # The core's records take their time to build, and the daemon listens first.
    from usps_token_broker.core.commands import Note

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class Form(enum.StrEnum):
    """How log records are written."""

    AUTO = "auto"
    """Fields for systemd's journal where it listens, else text."""
    TEXT = "text"
    JSON = "json"


def start(environ: Mapping[str, str], stream: TextIO | None = None, form: Form = Form.AUTO) -> None:
    """Send log records to the journal with fields, or to standard error with the time.

    Of libraries only warnings are told, without what looks like a token.
    """
    handler = _handler(environ, stream or sys.stderr, form)
    handler.addFilter(_may_be_told)
    # What cannot be logged would be printed as it is, and with it the text of any exception.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _handler(environ: Mapping[str, str], stream: TextIO, form: Form) -> logging.Handler:
    handler = StreamHandler(stream)
    if form is Form.JSON:
        handler.setFormatter(JsonLines("%(message)s"))
    elif form is Form.AUTO and _is_journal(environ.get("JOURNAL_STREAM", ""), stream):
        from usps_token_broker.drivers.journal.native import NativeHandler  # noqa: PLC0415

        native = NativeHandler(handler)
        native.setFormatter(OneLine("%(message)s"))
        return native
    else:
        handler.setFormatter(OneLine("%(asctime)s %(levelname)-7s %(message)s"))
    return handler


def _may_be_told(record: logging.LogRecord) -> bool:
    """Below WARNING libraries print headers, whatever level somebody set their loggers to."""
    return record.levelno >= logging.WARNING or is_ours(record)


def _is_journal(named: str, stream: TextIO) -> bool:
    """Whether the stream is the one that systemd connected (JOURNAL_STREAM, systemd.exec(5)).

    The variable alone says nothing: every terminal of a desktop inherits it.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or no file at all
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def event(name: str, **fields: str) -> Mapping[str, Any]:
    """What to give a log call as `extra`, so that programs know what it is about."""
    return {"fields": {"event": name, **fields}}


def write(note: "Note") -> None:
    """Log one note."""
    fields: dict[str, str] = {}
    if note.slot:
        fields |= {"app": note.slot.app, "slot": note.slot.name}
    if note.reason:
        fields["reason"] = note.reason
    where = f"{note.slot}: " if note.slot else ""
    text = " ".join(f"{where}{note.text}".split())
    level = _LEVELS[note.level.value]
    logging.getLogger(LOGGER).log(level, "%s", text, extra=event(note.event, **fields))


__all__ = ["LOGGER", "Form", "event", "start", "write"]
