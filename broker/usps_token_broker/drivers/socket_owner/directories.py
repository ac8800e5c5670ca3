"""The directory that a socket lies in: made, and judged by who could put another there."""

import os
import stat
from pathlib import Path
from typing import NoReturn

from usps_token_broker.drivers.socket_owner.errors import SocketError


def prepare(directory: Path, mode: int) -> None:
    """Makes the directory if need be, and sees to it that nobody else can swap what lies in it.

    Raises SocketError.
    """
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
    judge(directory, mode)


def judge(directory: Path, mode: int) -> None:
    """Raises SocketError where others could put another socket into it; `mode` is the advice."""
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
        _refuse(directory, f"belongs to uid {found.st_uid}", mode)
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if shared and not found.st_mode & stat.S_ISVTX:
        _refuse(directory, f"has mode {stat.S_IMODE(found.st_mode):04o}", mode)


def _refuse(directory: Path, what: str, mode: int) -> NoReturn:
    raise SocketError(
        f"the directory {directory} {what}, so that others can put a socket of theirs in its place",
        f"make it owned by uid {os.geteuid()} with mode {mode:04o},"
        " or put the socket into a directory of its own beneath it",
    )
