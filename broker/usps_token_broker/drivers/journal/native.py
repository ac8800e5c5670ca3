"""Log records to systemd's journal with fields, so that `journalctl USPS_SLOT=payment` finds them.

The protocol is that of sd_journal_send(3): a datagram of `NAME=value` lines.
"""

import logging
import socket
from collections.abc import Iterator
from typing import Final, TextIO

from usps_token_broker.drivers.journal.lines import Syslog, fields_of, priority

SOCKET: Final = "/run/systemd/journal/socket"
IDENTIFIER: Final = "usps-token-broker"


class NativeHandler(logging.Handler):
    """Sends records to the journal; what it does not take goes to `beside`, with its priority."""

    def __init__(self, beside: "logging.StreamHandler[TextIO]") -> None:
        super().__init__()
        self._beside = beside
        self._beside.setFormatter(Syslog("%(message)s"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def emit(self, record: logging.LogRecord) -> None:
        """Send it; never waits for a journal that does not read."""
        try:
            message = datagram(record, self.format(record))
            self._socket.sendto(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, SOCKET)
        except OSError:
            self._beside.emit(record)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        super().close()


def datagram(record: logging.LogRecord, text: str) -> bytes:
    """The record as the journal takes it."""
    return b"".join(_entries(record, text))


def _entries(record: logging.LogRecord, text: str) -> Iterator[bytes]:
    yield _entry("MESSAGE", text)
    yield _entry("PRIORITY", str(priority(record)))
    yield _entry("SYSLOG_IDENTIFIER", IDENTIFIER)
    for name, value in fields_of(record).items():
        yield _entry(f"USPS_{name.upper()}", value)


def _entry(name: str, value: str) -> bytes:
    """A line; a value with line breaks in it goes with its length in front of it."""
    encoded = value.encode("utf-8", "replace")
    if b"\n" not in encoded:
        return name.encode() + b"=" + encoded + b"\n"
    return name.encode() + b"\n" + len(encoded).to_bytes(8, "little") + encoded + b"\n"
