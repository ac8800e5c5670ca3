"""The file of local keys on its disk: read whole, replaced whole, closed to others.

Its content is the business of whoever reads it. Everything here blocks.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 1024 * 1024
"""Room for thousands of keys."""
_MODE: Final = 0o600
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 8


class KeyFileError(Exception):
    """The file cannot be used. Says what, why and what to do."""

    def __init__(self, text: str, *, denied: bool = False) -> None:
        super().__init__(text)
        self.denied = denied
        """Whether another user may do it."""


def new_secret() -> str:
    """256 random bits, in characters that need no escape anywhere."""
    return secrets.token_hex(_SECRET_BYTES)


def new_id() -> str:
    """An id that no other key has."""
    return f"utb{secrets.token_hex(_ID_BYTES)}"


def read(path: Path, uid: int) -> bytes | None:
    """The content, for a reader that runs as `uid`; None where there is no file.

    Who can write it can make keys, so it must be root's or the reader's own, and nobody else's to
    write. Raises KeyFileError.
    """
    try:
        with open(path, "rb", opener=_opener) as file:
            status = os.fstat(file.fileno())
            _judge(path, status, uid)
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _explained(path, error) from None
    if len(content) > MOST_BYTES:
        raise KeyFileError(f"{path} is larger than {MOST_BYTES} bytes: it is no file of keys")
    return content


def _opener(path: str, _flags: int) -> int:
    return os.open(path, _READ)


def _judge(path: Path, status: os.stat_result, uid: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path} is not a regular file; see who put it there, and remove it")
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in {0, uid}:
        raise KeyFileError(
            f"{path} belongs to uid {status.st_uid}, who could make keys; `chown root {path}`, or "
            "to the broker's own user"
        )
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeyFileError(
            f"{path} can be written by others (mode {mode:04o}), who could make keys; "
            f"`chmod 600 {path}` after a look at `usps-token-broker key list`"
        )


def change(path: Path, edit: Callable[[bytes | None], bytes], owner: int) -> None:
    """Put what `edit` makes of the content in its place, on the disk when this returns.

    One at a time, however many do this. The file is 0600 and, where we may say so, `owner`'s.
    What `edit` raises comes through, and then nothing has changed. Raises KeyFileError.
    """
    try:
        directory = os.open(path.parent, _DIRECTORY)
    except OSError as error:
        raise _explained(path, error) from None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        content = edit(read(path, owner))
        _replace(directory, path.name, content, owner)
    except OSError as error:
        raise _explained(path, error) from None
    finally:
        os.close(directory)


def _replace(directory: int, name: str, content: bytes, owner: int) -> None:
    beside = f".{name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=directory)
    descriptor = os.open(beside, _CREATE, _MODE, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _MODE)  # a umask can only have taken away too much
            if os.geteuid() == 0 and owner != 0:
                os.fchown(file.fileno(), owner, -1)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside, dir_fd=directory)
        raise
    os.fsync(directory)


def _explained(path: Path, error: OSError) -> KeyFileError:
    match error.errno:
        case errno.ELOOP:
            return KeyFileError(
                f"{path} is a symbolic link, which is not followed; see who put it there, and "
                "remove it"
            )
        case errno.EACCES | errno.EPERM:
            return KeyFileError(
                f"uid {os.geteuid()} may not use {path}: {error.strerror}; keys are made by root, "
                "and `usps-token-broker key add` gives the file to the broker's user",
                denied=True,
            )
        case errno.ENOENT | errno.ENOTDIR:
            return KeyFileError(f"the directory {path.parent} is not there; make it first")
        case errno.ENOSPC | errno.EDQUOT:
            return KeyFileError(f"{path} cannot be written: the disk is full; make room")
        case errno.EROFS:
            return KeyFileError(
                f"{path} lies on a read-only file system; set http.keys_file to another place"
            )
        case _:
            return KeyFileError(f"{path} cannot be used: {error.strerror}")
