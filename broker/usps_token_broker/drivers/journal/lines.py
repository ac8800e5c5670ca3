"""Log records as lines: for people, with systemd's priorities, or as JSON. No secret in any."""

import json
import logging
from types import TracebackType
from typing import Final

from usps_token_broker.wire.redaction import redact

LOGGER: Final = "usps_token_broker"
_SYSLOG: Final = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
_LONGEST_TRACE_LINE: Final = 1000

_Trace = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class OneLine(logging.Formatter):
    """Keeps a record on one line, but for a traceback, whose lines are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it."""
        first, *rest = super().format(record).splitlines() or [""]
        return "\n".join([_printable(first), *(f"  {_printable(line)}" for line in rest)])

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as below
        """The line. What a library says may quote anything, as a foreign exception may."""
        if not is_ours(record):
            record.message = redact(record.message, limit=_LONGEST_TRACE_LINE)
        return super().formatMessage(record)

    def formatException(self, ei: _Trace) -> str:  # noqa: N802 - logging's name for it
        """The traceback. The text of a foreign exception may quote anything, and so a token."""
        return "\n".join(map(_redacted, super().formatException(ei).splitlines()))


class Syslog(OneLine):
    """Puts the priority in front of each line, as systemd reads it (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines, each with its priority."""
        lines = super().format(record).splitlines()
        return "\n".join(f"<{priority(record)}>{line}" for line in lines)


class JsonLines(OneLine):
    """One JSON object a record: `at` in Unix seconds, `level`, `event`, `message`, and fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The object; a traceback is a list of lines in it."""
        message, *trace = super().format(record).splitlines()
        told: dict[str, object] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "message": message,
            **fields_of(record),
        }
        if trace:
            told["trace"] = [line.removeprefix("  ") for line in trace]
        return json.dumps(told, ensure_ascii=False)


def priority(record: logging.LogRecord) -> int:
    """The level as syslog numbers it (RFC 5424 6.2.1)."""
    return _SYSLOG.get(record.levelno, 6)


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """What the record says beside its words: `event`, and where it is about one `app`, `slot`."""
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {"event": "said"}


def is_ours(record: logging.LogRecord) -> bool:
    """Whether one of our own modules said it, and not a library."""
    return record.name == LOGGER or record.name.startswith(f"{LOGGER}.")


def _printable(line: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in line)


def _redacted(line: str) -> str:
    text = line.lstrip()
    return line[: len(line) - len(text)] + redact(text, limit=_LONGEST_TRACE_LINE)
