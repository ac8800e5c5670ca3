"""Request headers for a command in a descriptor or a file: not in its environment, nor in argv."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from time import sleep

from . import _exits
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn

_FIRST = 3
"""Below are the three that every program has."""
_MEMORY = "/dev/shm"  # noqa: S108 - names in it are drawn, and made with O_EXCL
_LOOK_SECONDS = 0.25
_ENDED = (b"Z", b"X")
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP)


def in_descriptor(text: bytes) -> str:
    """Put it into memory that the command inherits; the path that opens it there."""
    _want_proc()
    written = os.memfd_create("usps-token-headers")
    os.fchmod(written, 0o600)
    os.write(written, text)
    # Opened anew it can be read alone, and from its beginning.
    found = os.open(f"/proc/self/fd/{written}", os.O_RDONLY)
    while found < _FIRST:
        found = os.dup(found)
    os.set_inheritable(found, True)  # noqa: FBT003 - the function's own order
    return f"/proc/self/fd/{found}"


def in_file(text: bytes) -> str:
    """Put it into a file in memory that goes when this process has ended, whatever it is by then.

    The command takes the place of this process, so that signals, exit status and terminal are its
    own; a process that is left behind removes the file.
    """
    _want_proc()
    if os.getpid() == 1:
        _end(
            _exits.USAGE,
            "exec --file cannot be the first process of a container: with it all others end, and "
            "nobody is left to remove the file",
            "use --fd, or start it by an init",
        )
    path = f"{_directory()}/usps-token-headers-{os.urandom(16).hex()}"
    try:
        # Nothing is in it before there is somebody to remove it.
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _leave_behind(path)
        os.write(made, text)
        os.close(made)
    except OSError as error:
        remove(path)
        _end(_exits.IO_ERROR, f"cannot write {path}: {error.strerror}")
    return path


def remove(path: str) -> None:
    """Take the file away, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108 - pathlib costs 10 ms


def _want_proc() -> None:
    if not os.access("/proc/self/fd", os.F_OK):
        _end(
            _exits.UNAVAILABLE,
            "there is no /proc here, by which a command finds its descriptors",
            "mount it, or pipe: usps-token headers | CMD",
        )


def _directory() -> str:
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), _MEMORY):
        if place.startswith("/") and os.access(f"{place}/.", os.W_OK | os.X_OK):
            return place
    return _end(
        _exits.CANNOT_CREATE,
        f"there is no place in memory for the file: neither $XDG_RUNTIME_DIR nor {_MEMORY} can be "
        "written",
        "set XDG_RUNTIME_DIR to a directory in memory that only you can enter",
    )


def _leave_behind(path: str) -> None:
    """A process that removes the file when this one has ended; no child of the command."""
    watched = os.getpid()
    born = _born(watched)
    child = os.fork()
    if child:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        return
    try:
        # Before CMD begins, which is when this one has ended: CMD's group may be killed at once.
        os.setsid()
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            _watch(watched, born, path)
    finally:
        os._exit(0)


def _watch(watched: int, born: bytes | None, path: str) -> None:
    # A pipe that stays open here would keep its reader waiting.
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib costs 10 ms
        with contextlib.suppress(OSError):
            os.close(int(name))
    while _born(watched) == born and os.access(path, os.F_OK):
        sleep(_LOOK_SECONDS)
    remove(path)


def _born(pid: int) -> bytes | None:
    """When this process started, in ticks; None for one that has ended (proc_pid_stat(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in _ENDED else fields[19]


def _end(status: int, *lines: str) -> NoReturn:
    _exits.say(*lines)
    sys.exit(status)
