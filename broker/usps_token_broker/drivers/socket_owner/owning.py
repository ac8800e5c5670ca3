"""Taking a path, noticing its theft, giving back only one's own."""

import contextlib
import fcntl
import os
import select
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Self

from usps_token_broker.drivers.socket_owner import directories
from usps_token_broker.drivers.socket_owner.errors import SocketError, SocketTakenError

SOCKET_MODE: Final = 0o666
"""Open to all: who may ask is decided by who asks."""
DIRECTORY_MODE: Final = 0o755
_PATH_BYTES: Final = 107  # sun_path of unix(7), less its NUL
_BACKLOG: Final = 4096
_PID: Final = struct.Struct("i")  # the first member of struct ucred
_INIT_PID: Final = 1
_TURNS: Final = 100
_TURN_PAUSE_SECONDS: Final = 0.05
"""How often and how soon again a daemon asks whether it is its turn to bind."""


class _Identity(NamedTuple):
    """What tells one file from another of the same name."""

    device: int
    inode: int

    @classmethod
    def of(cls, path: str | Path) -> "_Identity | None":
        """The identity of what lies at a path, or None when there is nothing to be seen."""
        try:
            found = os.lstat(path)
        except OSError:
            return None
        return cls(found.st_dev, found.st_ino)


class OwnedSocket:
    """A listening socket and the path it is found at."""

    def __init__(self, listener: socket.socket, path: Path, *, unlinks: bool) -> None:
        self.listener = listener
        self.path = path
        self._unlinks = unlinks
        self._identity = _Identity.of(path)

    @classmethod
    def bind(
        cls, path: Path, *, mode: int = SOCKET_MODE, directory_mode: int = DIRECTORY_MODE
    ) -> Self:
        """Listens at `path`, making its directory when that is missing.

        The path appears all at once, listening and with exactly `mode`, whatever the umask. What
        a dead server left there is removed. Raises SocketError, or SocketTakenError when somebody
        listens there, also when both began at once.
        """
        _check_length(path)
        directories.prepare(path.parent, directory_mode)
        with _turn_to_bind(path.parent):
            _clear(path)
            return cls(_listen(path, mode), path, unlinks=True)

    @classmethod
    def adopt(cls, listener: socket.socket) -> Self:
        """Takes over a socket that the service manager listens with. Its path is not ours.

        Raises SocketError when somebody else could put another socket in its place.
        """
        path = Path(os.fsdecode(listener.getsockname()))
        if path.is_absolute():  # an abstract name lies in no directory
            directories.judge(path.parent, DIRECTORY_MODE)
        return cls(listener, path, unlinks=False)

    @property
    def remedy(self) -> str:
        """What makes clients find it again once it was stolen."""
        if self._unlinks:
            return "start the broker again"
        return "restart its socket unit (systemctl restart usps-token-broker.socket)"

    def still_ours(self) -> bool:
        """Whether clients that use the path still come to us."""
        return self._identity is not None and _Identity.of(self.path) == self._identity

    def close(self) -> None:
        """Stops listening, and removes the path if we made it and it is still ours."""
        if self._unlinks and self.still_ours():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.listener.close()


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > _PATH_BYTES:
        raise SocketError(
            f"the socket path {path} is {length} bytes long, and a Unix socket's is at most"
            f" {_PATH_BYTES}",
            "choose a shorter one",
        )


@contextlib.contextmanager
def _turn_to_bind(directory: Path) -> Iterator[None]:
    """Keeps apart daemons that bind in one directory at once: each would clear away the other's.

    Whoever may read the directory can hold this lock as well, so it is not waited for for ever,
    and where the file system has no such locks it goes without.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # that it cannot be read does not say that nothing can be made in it
        yield
        return
    try:
        for _ in range(_TURNS):
            if not _is_locked_by_others(descriptor):
                break
            select.select([], [], [], _TURN_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _is_locked_by_others(descriptor: int) -> bool:
    """Takes the lock, where there are locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _clear(path: Path) -> None:
    """Removes a socket that nobody listens on. Anything else stays and is an error."""
    before = _Identity.of(path)
    if before is None:
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise SocketError(
            f"{path} is there and is not a socket",
            "remove it if nobody needs it, or choose another path for the socket",
        )
    _probe(path)
    if _Identity.of(path) == before:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SocketError(
                f"cannot remove the dead socket {path}: {error.strerror}", "remove it"
            ) from error


def _probe(path: Path) -> None:
    """Returns if nobody listens at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:  # somebody listens, and does not keep up
            _refuse_taken(path, None)
        except OSError as error:
            raise SocketError(
                f"cannot tell whether anybody listens on {path}: {error.strerror}",
                "remove it if nobody does, or choose another path for the socket",
            ) from error
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PID.size)
    _refuse_taken(path, _PID.unpack(credentials)[0] or None)


def _refuse_taken(path: Path, pid: int | None) -> NoReturn:
    if pid == _INIT_PID:
        raise SocketTakenError(
            f"the service manager (pid 1) listens on {path} for a socket unit",
            "start the service of that unit, or stop the unit first (systemctl list-sockets)",
            pid,
        )
    whose = f"pid {pid}" if pid else "pid unknown"
    raise SocketTakenError(
        f"another broker ({whose}) listens on {path}",
        "use that one, stop it first, or give this one another path",
        pid,
    )


def _listen(path: Path, mode: int) -> socket.socket:
    """Binds beside the path and links it into place, so that no client meets it half-made."""
    beside = _beside(path)
    _clear(beside)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.settimeout(0)
        listener.bind(str(beside))
        try:
            beside.chmod(mode)  # bind asks the umask
            listener.listen(_BACKLOG)
            path.hardlink_to(beside)
        finally:
            beside.unlink()
    except FileExistsError:
        listener.close()
        _probe(path)
        _refuse_taken(path, None)
    except OSError as error:
        listener.close()
        raise SocketError(
            f"cannot listen on {path}: {error.strerror}",
            f"see to it that uid {os.geteuid()} may write to {path.parent}, or choose another path",
        ) from error
    return listener


def _beside(path: Path) -> Path:
    """A name in the same directory, where the socket is made; tools such as ss go on showing it."""
    room = _PATH_BYTES - len(os.fsencode(path)) + len(os.fsencode(path.name))
    return path.with_name(os.fsdecode((b"~" + os.fsencode(path.name))[:room]))
