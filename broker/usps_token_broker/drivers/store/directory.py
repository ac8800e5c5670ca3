"""The state directory: made, judged, locked for life, and worked in through its descriptor.

With a descriptor it does not matter who renames what above it: nothing is ever written elsewhere.
"""

import contextlib
import errno
import os
import re
import select
import stat
from pathlib import Path
from typing import BinaryIO, Final

from filelock import FileLock, Timeout

OWNER_ONLY: Final = 0o600

_LOCK: Final = "lock"
_HOLDER: Final = "lock.pid"
_OURS: Final = re.compile(
    r"lock(\.pid)?|admin\.sock.*|state(\.new|\.(damaged|newer)-[0-9]+)?|doctor(\.new)?"
)
"""What the broker itself puts there, and what `doctor` has found out."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


_LOOKS: Final = 20
_LOOK_PAUSE_SECONDS: Final = 0.05
"""How often and how soon again a holder is looked for who has the lock and not yet said its pid."""


class StoreError(Exception):
    """The state directory cannot be used or written. Says why and what to do."""


class Directory:
    """A directory that only we can look into and that no other broker uses, until `close`."""

    def __init__(self, path: Path) -> None:
        """Make, judge and lock it. `mended` says in sentences what was put right.

        Raises StoreError, and OSError for what no sentence here foresees.
        """
        self.path = path
        self._lock: FileLock | None = None
        made = _make(path)
        self._descriptor = os.open(path, _DIRECTORY)
        try:
            self.mended = self._judge(made=made)
            self._take_lock()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of it; harmless when repeated."""
        if self._descriptor < 0:
            return
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self.unlink(_HOLDER)
            self._lock.release()
            self._lock = None
        os.close(self._descriptor)
        self._descriptor = -1

    def names(self) -> list[str]:
        """What lies there."""
        return os.listdir(self._descriptor)  # noqa: PTH208 - pathlib lists no descriptors

    def open_for_reading(self, name: str) -> BinaryIO:
        """What stands under this name; a link is not followed (ELOOP), a FIFO not waited for."""
        return open(name, "rb", opener=self._opener)

    def _opener(self, name: str, _flags: int) -> int:
        return os.open(name, _READ, dir_fd=self._descriptor)

    def create(self, name: str) -> int:
        """A descriptor of a new file that only its owner can open, whatever the umask."""
        with contextlib.suppress(FileNotFoundError):
            self.unlink(name)
        descriptor = os.open(name, _CREATE, OWNER_ONLY, dir_fd=self._descriptor)
        os.fchmod(descriptor, OWNER_ONLY)  # a umask can only have taken away too much
        return descriptor

    def rename(self, old: str, new: str) -> None:
        """Put `old` in the place of `new`, in one step."""
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        """Take it away."""
        os.unlink(name, dir_fd=self._descriptor)

    def sync(self) -> None:
        """Have the names survive a power cut."""
        os.fsync(self._descriptor)

    def _judge(self, *, made: bool) -> tuple[str, ...]:
        status = os.fstat(self._descriptor)
        if status.st_uid != os.geteuid():
            raise StoreError(
                f"the state directory {self.path} belongs to uid {status.st_uid}, and the broker "
                f"runs as uid {os.geteuid()}; `chown` it, or set state_dir to another"
            )
        mode = stat.S_IMODE(status.st_mode)
        if not made and not mode & _OTHERS:
            return ()
        # Somebody may have set state_dir to /tmp or a home directory: those are not ours to close.
        foreign = sorted(name for name in self.names() if not _OURS.fullmatch(name))
        if foreign:
            raise StoreError(
                f"the state directory {self.path} is open to others (mode {mode:04o}) and holds "
                f"other things ({', '.join(foreign[:3])}); set state_dir to a directory of its own"
            )
        os.fchmod(self._descriptor, stat.S_IRWXU)
        if made:
            return ()
        return (f"{self.path} was open to others (mode {mode:04o}); its mode is 0700 now",)

    def _take_lock(self) -> None:
        lock = FileLock(
            self.path / _LOCK, timeout=0, mode=OWNER_ONLY, thread_local=False, is_singleton=False
        )
        try:
            lock.acquire()
        except Timeout:
            raise StoreError(
                f"another usps-token-broker ({self._holder()}) uses {self.path}; stop that one "
                "first, or give this one a state_dir and a socket of its own"
            ) from None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise StoreError(
                f"{self.path / _LOCK} is a symbolic link, which the broker neither made nor "
                "follows; see who put it there, and remove it"
            ) from None
        self._lock = lock
        # Nothing but the words above depends on it, so a full disk does no harm.
        with contextlib.suppress(OSError), os.fdopen(self.create(_HOLDER), "wb") as holder:
            holder.write(str(os.getpid()).encode())

    def _holder(self) -> str:
        """Who has the lock. Waits for one that is just starting, not for one that never says."""
        pid = self._said_pid()
        for _ in range(_LOOKS):
            # One that was killed leaves its pid behind, which its successor replaces in a moment.
            if pid.isdigit() and Path("/proc", str(int(pid))).exists():
                break
            select.select([], [], [], _LOOK_PAUSE_SECONDS)
            pid = self._said_pid()
        return f"pid {int(pid)}" if pid.isdigit() else "pid unknown"

    def _said_pid(self) -> bytes:
        try:
            with self.open_for_reading(_HOLDER) as holder:
                return holder.read(16)
        except OSError:
            return b""


def _make(path: Path) -> bool:
    """Whether it had to be made."""
    if path.is_symlink():
        raise StoreError(
            f"the state directory {path} is a symbolic link to {path.readlink()}; "
            "set state_dir to the directory itself"
        )
    try:
        path.mkdir(mode=stat.S_IRWXU)
    except FileExistsError:
        return False
    except FileNotFoundError:
        raise StoreError(
            f"the state directory {path} cannot be made: {path.parent} does not exist; "
            "make that, or set state_dir to a place that exists"
        ) from None
    return True


def explain(what: str, path: Path, error: OSError) -> StoreError:
    """What failed, why, and what to do, in a sentence."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            why = "the disk is full; make room, the next save will work"
        case errno.EROFS:
            why = "it lies on a read-only file system; set state_dir to a place that can be written"
        case errno.EACCES | errno.EPERM:
            why = f"no permission for uid {os.geteuid()}; check owner, mode and attributes"
        case errno.EFBIG:
            why = "the process may not write a file of this size; raise its limit (LimitFSIZE=)"
        case errno.EMFILE | errno.ENFILE:
            why = (
                "no more files can be opened; raise the limit (LimitNOFILE=), or end who holds them"
            )
        case errno.ENOENT:
            why = "it was removed or replaced; restart the broker to make it anew"
        case errno.ELOOP | errno.EISDIR:
            thing = "link" if error.errno == errno.ELOOP else "directory"
            where = error.filename or "in it"
            why = f"a {thing} lies where the broker has a file of its own ({where}); remove it"
        case errno.ENOTDIR:
            why = "it is not a directory; set state_dir to another place"
        case _:
            why = error.strerror or type(error).__name__
    return StoreError(f"cannot {what} the state directory {path}: {why}")
