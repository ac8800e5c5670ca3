"""Looks at a host from outside, for a diagnosis: sockets, processes, rights, names, the clock."""

import ctypes
import enum
import http.client
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 16 * 1024 * 1024
_CREDENTIALS: Final = struct.Struct("iII")
"""struct ucred (unix(7)): pid, uid, gid."""
_WORST_ERROR_USEC: Final = 16_000_000
"""A clock whose error may be larger is not synchronised, for the kernel and for timedatectl."""
_TEST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody answered on a Unix socket. Not shown: it may be a token."""

    status: int
    body: bytes = field(repr=False)
    listener_pid: int
    """Who began to listen there, by the kernel's word: systemd, where it made the socket."""


def ask(path: Path, method: str, target: str, deadline_seconds: float) -> Heard:
    """One request to whoever listens there. Blocks. Raises OSError and HTTPException."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
        connected.settimeout(deadline_seconds)
        connected.connect(os.fspath(path))
        packed = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        connection = http.client.HTTPConnection("localhost", timeout=deadline_seconds)
        connection.sock = connected
        connection.request(method, target)
        response = connection.getresponse()
        return Heard(response.status, response.read(MOST_BYTES), _CREDENTIALS.unpack(packed)[0])


def listener(path: Path, deadline_seconds: float) -> int:
    """The pid of who began to listen there. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
        connected.settimeout(deadline_seconds)
        connected.connect(os.fspath(path))
        packed = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid: int = _CREDENTIALS.unpack(packed)[0]
        return pid


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a process runs as."""

    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Running:
    """A process, by what the kernel tells everybody."""

    name: str
    state: str
    """A letter and a word, such as `S (sleeping)` (proc(5))."""
    identity: Identity

    @property
    def is_stopped(self) -> bool:
        """Whether a signal or a debugger keeps it from running."""
        return self.state[:1] in {"T", "t"}


def process(pid: int) -> Running | None:
    """What /proc says of it; None where it says nothing."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return None
    told = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    try:
        uid, gid = int(told["Uid"].split()[1]), int(told["Gid"].split()[1])
        groups = frozenset(int(word) for word in told.get("Groups", "").split())
    except (KeyError, ValueError, IndexError):
        return None
    name, state = told.get("Name", "").strip(), told.get("State", "").strip()
    return Running(name, state, Identity(uid, gid, groups))


def is_broker(pid: int) -> bool:
    """Whether that process was started as one of ours: a pid of a container is another's here."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"usps-token-broker" in command or b"usps_token_broker" in command


def may(identity: Identity, right: str, path: Path) -> bool | None:
    """Whether that user may read (`r`), write (`w`) or pass (`x`) it; None when nobody can tell.

    The kernel itself judges, with access lists and all, which only root can have it do for others.
    """
    if identity.uid == os.geteuid():
        return os.access(path, {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}[right])
    program = shutil.which("test", path="/usr/bin:/bin")
    if os.geteuid() != 0 or program is None:
        return None
    done = subprocess.run(  # noqa: S603 - our own words, no shell
        (program, f"-{right}", os.fspath(path)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_TEST_SECONDS,
        cwd="/",
        user=identity.uid,
        group=identity.gid,
        extra_groups=sorted(identity.groups),
    )
    return {0: True, 1: False}.get(done.returncode)


def addresses(host: str, port: int) -> list[str]:
    """What the name service makes of a host. Blocks, maybe for long. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Synchronised(enum.StrEnum):
    """What the kernel says of its clock."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class _Timex(ctypes.Structure):
    """The beginning of struct timex (adjtimex(2)), and more room than its rest takes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * 512),
    )


def clock_synchronised() -> Synchronised:
    """Whether something keeps the clock right, by adjtimex(2), which anybody may ask.

    By the error that may have come up, as timedatectl does: the flag STA_UNSYNC is also set to
    keep the kernel from the hardware clock.
    """
    timex = _Timex()  # all zero: modes = 0 changes nothing
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return Synchronised.UNKNOWN
    if state < 0:
        return Synchronised.UNKNOWN
    return Synchronised.NO if timex.maxerror >= _WORST_ERROR_USEC else Synchronised.YES


def journal(unit: str, lines: int, deadline_seconds: float) -> Iterator[str]:
    """The last lines of a unit's journal, as far as this user may read them. Blocks."""
    program = shutil.which("journalctl")
    if program is None:
        return
    words = ("-u", unit, "-n", str(lines), "--no-pager", "-q", "-o", "short-iso", "--no-hostname")
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            (program, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=deadline_seconds,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    yield from done.stdout.decode("utf-8", "replace").splitlines()


def write_new(path: Path, data: bytes) -> None:
    """A new file that only its owner can open. Never over another. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:  # Ctrl-C too: half of one is none
        path.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has left."""

    free: int
    """In bytes."""
    files: bool
    """Whether it takes another file."""
    read_only: bool


def room(path: Path) -> Room:
    """What the file system of a path has left. Raises OSError."""
    status = os.statvfs(path)
    # btrfs and others that make inodes as they go have a total of 0.
    files = status.f_favail > 0 or status.f_files == 0
    free = status.f_bavail * status.f_frsize
    return Room(free, files, bool(status.f_flag & os.ST_RDONLY))


def groups_of(user: str, gid: int) -> Collection[int]:
    """The groups that the name service has a user in. Blocks. Raises OSError."""
    return os.getgrouplist(user, gid)
