"""Files that may be somebody else's: looked at, written whole or not at all, never through a link.

Every step goes through descriptors of directories, so nothing lands elsewhere when somebody swaps
a directory for a link meanwhile.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usps_token_broker.drivers.units.places import Target

EX_CANTCREAT: Final = 73
EX_NOPERM: Final = 77

MOST_BYTES: Final = 1024 * 1024
"""Nobody's unit is larger; what is, is not ours."""
_FILE_MODE: Final = 0o644
_DIRECTORY_MODE: Final = 0o755

_FOLLOWED: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DIRECTORY: Final = _FOLLOWED | os.O_NOFOLLOW
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class UnitsError(Exception):
    """Units cannot be written, removed or put to use. Says what happened, why, and what to do.

    `exit_code` is that of a process that ends for it (sysexits.h).
    """

    def __init__(self, text: str, exit_code: int = EX_CANTCREAT) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Regular:
    """A file and all that is in it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, and where it leads by its own word."""

    to: str


@dataclass(frozen=True, slots=True)
class Other:
    """What is no file that could be a unit, in words."""

    what: str


Found = Regular | Link | Other | None
"""What lies at a target; None is nothing."""


def look(target: Target) -> Found:
    """What is there. Raises UnitsError when a directory on the way is a link or cannot be read."""
    try:
        with _parent(target, make=False) as (directory, name):
            status = os.lstat(name, dir_fd=directory)
            if stat.S_ISLNK(status.st_mode):
                return Link(os.readlink(name, dir_fd=directory))
            if not stat.S_ISREG(status.st_mode):
                what = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
                return Other(what)
            with os.fdopen(os.open(name, _READ, dir_fd=directory), "rb") as file:
                data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _explain("look at", target, error) from None
    return Regular(data) if len(data) <= MOST_BYTES else Other(f"larger than {MOST_BYTES} bytes")


def write(target: Target, data: bytes) -> None:
    """Put a file there, in one step, with mode 0644; its directories are made with 0755.

    On return it survives a power cut. Raises UnitsError; what was there is then unharmed.
    """
    try:
        with _parent(target, make=True) as (directory, name):
            # Two runs at once would rename each other's half; closing the directory lets go.
            fcntl.flock(directory, fcntl.LOCK_EX)
            beside = f".{name}.new"
            try:
                _write_new(directory, beside, data)
                os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
                os.fsync(directory)
            except BaseException:
                _unlink(directory, beside)
                raise
    except OSError as error:
        raise _explain("write", target, error) from None


def set_aside(target: Target) -> Path:
    """Give what is there another name, which nothing reads, and say which. Raises UnitsError."""
    try:
        with _parent(target, make=False) as (directory, name):
            taken = set(os.listdir(directory))  # noqa: PTH208 - pathlib lists no descriptors
            number = next(n for n in range(1, len(taken) + 2) if f"{name}.saved-{n}" not in taken)
            saved = f"{name}.saved-{number}"
            os.rename(name, saved, src_dir_fd=directory, dst_dir_fd=directory)
            os.fsync(directory)
    except OSError as error:
        raise _explain("move away", target, error) from None
    return target.path.with_name(saved)


def remove(target: Target) -> None:
    """Take the file away. Raises UnitsError."""
    try:
        with _parent(target, make=False) as (directory, name):
            os.unlink(name, dir_fd=directory)
            os.fsync(directory)
    except OSError as error:
        raise _explain("remove", target, error) from None


@contextlib.contextmanager
def _parent(target: Target, *, make: bool) -> Iterator[tuple[int, str]]:
    """The directory of a target, open, and the name in it."""
    *directories, name = target.inner.split("/")
    if make:
        target.base.mkdir(_DIRECTORY_MODE, parents=True, exist_ok=True)
    descriptor = os.open(target.base, _FOLLOWED)
    try:
        walked = target.base
        for part in directories:
            walked /= part
            inner = _step(descriptor, part, walked, make=make)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, name
    finally:
        os.close(descriptor)


def _step(directory: int, part: str, walked: Path, *, make: bool) -> int:
    made = False
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, _DIRECTORY_MODE, dir_fd=directory)
            made = True
    try:
        descriptor = os.open(part, _DIRECTORY, dir_fd=directory)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise _in_the_way(directory, part, walked) from None
    if made:
        os.fchmod(descriptor, _DIRECTORY_MODE)  # a umask can only have taken away too much
    return descriptor


def _in_the_way(directory: int, part: str, walked: Path) -> UnitsError:
    try:
        leads_to = os.readlink(part, dir_fd=directory)
    except OSError:
        return UnitsError(f"{walked} is no directory; move it away, or choose another place")
    return UnitsError(
        f"{walked} is a symbolic link to {leads_to}, which somebody has decided, and no link is "
        "followed here; make it a directory, or write the units by hand from the output of "
        "--dry-run --root with an empty directory"
    )


def _write_new(directory: int, name: str, data: bytes) -> None:
    _unlink(directory, name)  # what a crash has left
    with os.fdopen(os.open(name, _CREATE, _FILE_MODE, dir_fd=directory), "wb") as file:
        os.fchmod(file.fileno(), _FILE_MODE)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _unlink(directory: int, name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=directory)


def _explain(what: str, target: Target, error: OSError) -> UnitsError:
    """What failed, why, and what to do, in a sentence."""
    code = EX_CANTCREAT
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            why = "the disk is full; make room and run this again"
        case errno.EROFS:
            why = "it lies on a read-only file system; mount it writable and run this again"
        case errno.EACCES | errno.EPERM:
            why = f"no permission for uid {os.geteuid()}; run it as the owner of that directory"
            if os.geteuid() == 0:
                why = "forbidden even to root; look at its attributes (lsattr) and its mount"
            code = EX_NOPERM
        case errno.EFBIG:
            why = "this process may not write a file of its size; raise the limit (ulimit -f)"
        case _:
            why = f"{error.strerror or type(error).__name__}; mend that and run this again"
    return UnitsError(f"cannot {what} {target.path}: {why}", code)
