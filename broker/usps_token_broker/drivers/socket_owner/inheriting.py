"""Sockets that the service manager listens with and passes on."""

import contextlib
import os
import socket
from collections.abc import MutableMapping
from typing import Final, NoReturn

from usps_token_broker.drivers.socket_owner.errors import SocketError

_FIRST_DESCRIPTOR: Final = 3  # SD_LISTEN_FDS_START


def inherited(environment: MutableMapping[str, str]) -> dict[str, socket.socket]:
    """The sockets that systemd passed to this process, by name (sd_listen_fds(3)).

    Removes what says so from `environment`, so that no child takes them for its own. Raises
    SocketError for anything that is not a listening Unix stream socket with a name of its own.
    """
    pid = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "")
    environment.pop("LISTEN_PIDFDID", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    descriptors = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - its only argument
    found: dict[str, socket.socket] = {}
    for descriptor, name in zip(descriptors, _names(names, len(descriptors)), strict=True):
        if name in found:
            _refuse_inherited(name, "is passed twice", "give each socket unit its own name")
        found[name] = _take(descriptor, name)
    return found


def _names(joined: str, count: int) -> list[str]:
    names = joined.split(":") if joined else []
    return (names + ["unknown"] * count)[:count]


def _take(descriptor: int, name: str) -> socket.socket:
    try:
        taken = socket.socket(fileno=descriptor)
    except OSError as error:
        _refuse_inherited(name, f"is no socket ({error.strerror})", "pass sockets only")
    is_unix_stream = taken.family == socket.AF_UNIX and taken.type == socket.SOCK_STREAM
    if not is_unix_stream:
        _refuse_inherited(name, "is no Unix stream socket", "use ListenStream= with a path")
    if not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        _refuse_inherited(name, "does not listen", "set Accept=no in the socket unit")
    taken.settimeout(0)
    return taken


def _refuse_inherited(name: str, what: str, fix: str) -> NoReturn:
    raise SocketError(
        f"the descriptor {name!r} passed by the service manager {what}",
        f"{fix} (FileDescriptorName={name})",
    )
