"""What was found out about old bearers, one answer a host, in the state directory."""

import contextlib
import enum
import os
import stat
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "doctor"
_MOST_BYTES: Final = 65_536


class Fate(enum.StrEnum):
    """What becomes of the old bearer."""

    LIVES = "lives"
    DIES = "dies"
    UNKNOWN = "unknown"


class Proof(msgspec.Struct, frozen=True):
    """What was found out of one host."""

    host: str
    fate: Fate
    at: float
    """Unix seconds."""
    detail: str
    """What USPS answered, without a secret."""


class _Record(msgspec.Struct, frozen=True):
    proofs: list[Proof]


def read(state_dir: Path) -> list[Proof]:
    """What is recorded. Raises PermissionError; what is damaged counts for nothing."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(state_dir / FILE, flags)
    except PermissionError:
        raise
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return []
        return msgspec.json.decode(os.read(descriptor, _MOST_BYTES), type=_Record).proofs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    finally:
        os.close(descriptor)


def write(state_dir: Path, proof: Proof) -> None:
    """Record it, for the directory's owner alone, whole or not at all. Raises OSError.

    Through a descriptor of the directory, and never through a link: root may be writing into a
    directory of somebody else's.
    """
    kept = [other for other in read(state_dir) if other.host != proof.host]
    data = msgspec.json.encode(_Record([*kept, proof]))
    at = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        owner = os.fstat(at)
        beside = f"{FILE}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=at)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(beside, flags, 0o600, dir_fd=at), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            if os.geteuid() != owner.st_uid:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(data)
        os.rename(beside, FILE, src_dir_fd=at, dst_dir_fd=at)
    finally:
        os.close(at)
