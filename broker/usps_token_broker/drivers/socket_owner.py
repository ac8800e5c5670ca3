"""Owning the path of a Unix socket: taking it, noticing its theft, giving back only one's own."""

import contextlib
import fcntl
import os
import select
import socket
import stat
import struct
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Self

SOCKET_MODE: Final = 0o666
"""Open to all: who may ask is decided by who asks."""
DIRECTORY_MODE: Final = 0o755
_PATH_BYTES: Final = 107  # sun_path of unix(7), less its NUL
_BACKLOG: Final = 4096
_PID: Final = struct.Struct("i")  # the first member of struct ucred
_FIRST_DESCRIPTOR: Final = 3  # SD_LISTEN_FDS_START
_INIT_PID: Final = 1
_TURNS: Final = 100
_TURN_PAUSE_SECONDS: Final = 0.05
"""How often and how soon again a daemon asks whether it is its turn to bind."""


class SocketError(Exception):
    """The socket cannot be had. Says what happened, why, and what to do; ends the program."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.what = what
        self.fix = fix


class SocketTakenError(SocketError):
    """Somebody else listens there. `pid` is None when the kernel would not say who."""

    def __init__(self, what: str, fix: str, pid: int | None) -> None:
        super().__init__(what, fix)
        self.pid = pid


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
        _prepare_directory(path.parent, directory_mode)
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
            _judge_directory(path.parent, DIRECTORY_MODE)
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


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > _PATH_BYTES:
        raise SocketError(
            f"the socket path {path} is {length} bytes long, and a Unix socket's is at most"
            f" {_PATH_BYTES}",
            "choose a shorter one",
        )


def _prepare_directory(directory: Path, mode: int) -> None:
    """Makes the directory if need be, and sees to it that nobody else can swap what lies in it."""
    try:
        directory.mkdir(0o700)
        directory.chmod(mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise SocketError(
            f"cannot make the directory {directory}: {error.strerror}",
            f"make it, with mode {mode:04o} and owned by uid {os.geteuid()},"
            " or choose another path for the socket",
        ) from error
    _judge_directory(directory, mode)


def _judge_directory(directory: Path, mode: int) -> None:
    try:
        found = directory.stat()
    except OSError as error:
        raise SocketError(
            f"cannot look at the directory {directory}: {error.strerror}",
            "make it, or choose another path for the socket",
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise SocketError(f"{directory} is not a directory", "choose another path for the socket")
    if found.st_uid not in (0, os.geteuid()):
        _refuse_directory(directory, f"belongs to uid {found.st_uid}", mode)
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if shared and not found.st_mode & stat.S_ISVTX:
        _refuse_directory(directory, f"has mode {stat.S_IMODE(found.st_mode):04o}", mode)


def _refuse_directory(directory: Path, what: str, mode: int) -> NoReturn:
    raise SocketError(
        f"the directory {directory} {what}, so that others can put a socket of theirs in its place",
        f"make it owned by uid {os.geteuid()} with mode {mode:04o},"
        " or put the socket into a directory of its own beneath it",
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
