"""Whether nobody but root and the daemon's user could have read a file, changed or swapped it.

The way to it is judged, every directory and every link, and then the file itself by its open
descriptor. An entry of a sticky directory (/tmp) is as good as its own owner.
"""

import errno
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

UNUSABLE: Final = "secret_unusable"
"""The row of the catalogue for a secret that somebody must put right."""

_MOST_LINKS: Final = 40
"""As many as Linux follows itself, path_resolution(7)."""


class SecretError(Exception):
    """A secret cannot be read. Says what, why, and what to do; never the secret."""

    def __init__(self, what: str, why: str, do: str, reason: str = UNUSABLE) -> None:
        super().__init__(f"{what}: {why}; {do}")
        self.what = what
        self.why = why
        self.do = do
        self.reason = reason
        """The row of the catalogue."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges for one reader: the daemon's user and its primary group."""

    what: str
    """What is read, in words, for the error."""
    uid: int
    gid: int

    def end_of(self, path: Path) -> os.stat_result:
        """What stands at the end of this path, when nobody else could have put it there.

        Raises SecretError, and OSError for what is not there or cannot be looked at.
        """
        if not path.is_absolute():
            raise SecretError(self.what, f"{path} is not a full path", "write it from the root on")
        for entry, status in _way(path):
            if stat.S_ISDIR(status.st_mode):
                self._directory(entry, status)
            elif stat.S_ISLNK(status.st_mode):
                self._link(entry, status)
        if not stat.S_ISREG(status.st_mode):
            # It is not even opened: that alone can do something to a device or a pipe's writer.
            raise SecretError(self.what, "it is not a regular file", "name a file with the secret")
        return status

    def file(self, path: Path, status: os.stat_result, *, judge_mode: bool) -> None:
        """Raise SecretError if others could have read or written this open file."""
        if not self._trusts_user(status.st_uid):
            raise SecretError(
                self.what,
                f"it belongs to {user(status.st_uid)}, neither to root nor to the daemon's user, "
                f"{user(self.uid)}",
                f"`chown {owner(self.uid)} {path}`",
            )
        mode = stat.S_IMODE(status.st_mode)
        advice = (
            f"`chmod 600 {path}`; only where a container sets the mode, write "
            "allow_readable_secret = true at the top of the configuration file, or without a file "
            "set USPS_ALLOW_READABLE_SECRET=true"
        )
        if judge_mode and mode & (stat.S_IROTH | stat.S_IWOTH):
            raise SecretError(self.what, f"it is open to everybody (mode {mode:04o})", advice)
        group_bits = mode & (stat.S_IRGRP | stat.S_IWGRP)
        if judge_mode and group_bits and not self._trusts_group(status.st_gid):
            raise SecretError(
                self.what, f"it is open to the group {status.st_gid} (mode {mode:04o})", advice
            )

    def _directory(self, path: Path, status: os.stat_result) -> None:
        if not self._trusts_user(status.st_uid):
            raise SecretError(
                self.what,
                f"the directory {path} on the way belongs to {user(status.st_uid)}, who could "
                "put another file there",
                f"move the secret elsewhere, or `chown root {path}`",
            )
        if status.st_mode & stat.S_ISVTX:
            return  # others may add entries, not remove or rename ours
        if status.st_mode & stat.S_IWOTH:
            raise SecretError(
                self.what,
                f"the directory {path} on the way can be written by everybody",
                f"`chmod o-w {path}`, or move the secret elsewhere",
            )
        if status.st_mode & stat.S_IWGRP and not self._trusts_group(status.st_gid):
            raise SecretError(
                self.what,
                f"the directory {path} on the way can be written by the group {status.st_gid}",
                f"`chmod g-w {path}`, or move the secret elsewhere",
            )

    def _link(self, path: Path, status: os.stat_result) -> None:
        if not self._trusts_user(status.st_uid):
            raise SecretError(
                self.what,
                f"the link {path} on the way belongs to {user(status.st_uid)}, who could "
                "point it at another file",
                "write the path that it stands for",
            )

    def _trusts_user(self, uid: int) -> bool:
        return uid in (0, self.uid)

    def _trusts_group(self, gid: int) -> bool:
        # Under an ACL the group bits are its mask: systemd's credentials are root's, mode 0440.
        return gid in (0, self.gid)


def user(uid: int) -> str:
    """A user's name, or what stands for one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"uid {uid}"


def owner(uid: int) -> str:
    """The same as chown(1) and install(1) take it."""
    return user(uid).removeprefix("uid ")


def forbidden(judge: Judge, path: Path, where: Path) -> SecretError:
    """Why the daemon's user may not read this file, when `where` on the way to it is closed."""
    me, credential = user(judge.uid), "or give it as a systemd credential"
    try:
        status = where.stat()
    except OSError:  # nothing of it can be seen, so it is the directory that is closed
        where = where.parent
        status = where.stat()
    mode = stat.S_IMODE(status.st_mode)
    of = f"belongs to {user(status.st_uid)} and the group {status.st_gid} (mode {mode:04o})"
    if stat.S_ISDIR(status.st_mode):
        why = f"the directory {where} on the way is closed to it, and {of}"
        do = f"let {me} pass there (`chmod o+x {where}`), or move the secret elsewhere"
    elif status.st_uid == judge.uid and mode & stat.S_IRUSR:
        why = f"it {of}, which allows it"
        do = "see whether an access list, a network share or AppArmor or SELinux forbids it"
    else:
        why = f"it {of}"
        do = f"`chown {owner(judge.uid)} {path}` and `chmod 600 {path}`"
    why = f"the daemon's user, {me}, may not read it: {why}"
    return SecretError(judge.what, why, f"{do}, {credential}")


def _way(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every directory and link that opening this path goes through, then what it ends at."""
    at = Path("/")
    yield at, at.lstat()
    ahead = [*reversed(path.parts[1:])]
    links = 0
    while ahead:
        part = ahead.pop()
        entry = at.parent if part == ".." else at / part
        status = entry.lstat()
        yield entry, status
        if not stat.S_ISLNK(status.st_mode):
            at = entry
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = entry.readlink()
        at = Path("/") if target.is_absolute() else at
        ahead.extend(part for part in reversed(target.parts) if part != target.anchor)
