"""Telling the service manager how we are (sd_notify(3)); silent where there is none."""

import contextlib
import os
import re
import socket
from collections.abc import Mapping
from typing import Final

_STATUS_CHARACTERS: Final = 500
_PATIENCE_SECONDS: Final = 1.0
"""How long a message may wait for a busy manager; it is read by pid 1 and seldom waits at all."""
_MICROSECONDS: Final = 1_000_000
_NUMBER: Final = re.compile(r"[0-9]{1,20}")  # an unsigned number of 64 bits


class Notifier:
    """Sends datagrams to the socket named by NOTIFY_SOCKET.

    Nothing here raises. Each message returns whether it was sent: False without a manager too.
    """

    __slots__ = ("_address", "_watchdog_seconds")

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._watchdog_seconds = _watchdog_seconds(environment)

    @property
    def watchdog_interval_seconds(self) -> float | None:
        """How often `watchdog` is to be sent, or None when nobody waits for it.

        Half of the time after which the manager would kill us, as sd_watchdog_enabled(3) advises.
        """
        return None if self._watchdog_seconds is None else self._watchdog_seconds / 2

    @property
    def is_heard(self) -> bool:
        """Whether there is a manager to tell anything to."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Start-up or a reload is done."""
        return self._send(f"READY=1{_status_line(status)}")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`. It does not wait for a busy manager."""
        return self._send(_status_line(text).lstrip("\n"), patience_seconds=0)

    def reloading(self, monotonic_usec: int, status: str = "") -> bool:
        """A reload begins; `ready` ends it. Wants CLOCK_MONOTONIC in microseconds."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_usec}{_status_line(status)}")

    def stopping(self, status: str = "") -> bool:
        """The end has begun."""
        return self._send(f"STOPPING=1{_status_line(status)}")

    def watchdog(self) -> bool:
        """We make progress."""
        return self._send("WATCHDOG=1")

    def main_pid(self, pid: int) -> bool:
        """Which process is the service."""
        return self._send(f"MAINPID={pid}")

    def _send(self, message: str, patience_seconds: float = _PATIENCE_SECONDS) -> bool:
        if self._address is None or not message:
            return False
        with contextlib.suppress(OSError, ValueError):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outgoing:
                outgoing.settimeout(patience_seconds)
                outgoing.sendto(message.encode("utf-8", "replace"), self._address)
            return True
        return False


def _address(named: str) -> str | bytes | None:
    """A path, or an abstract name with its NUL; None for what we cannot send to."""
    if named.startswith("@"):
        return b"\0" + os.fsencode(named[1:])
    return named if named.startswith("/") else None


def _status_line(text: str) -> str:
    """A STATUS= line, kept to one line: a line break would begin another assignment."""
    line = " ".join(text.split())[:_STATUS_CHARACTERS]
    return f"\nSTATUS={line}" if line else ""


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    if not _NUMBER.fullmatch(microseconds) or not int(microseconds):
        return None
    return int(microseconds) / _MICROSECONDS
