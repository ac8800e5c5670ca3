"""What an unprivileged process can see of another in /proc. Nothing here waits.

What can be seen is for people to read, never to decide by: a process gives itself its name. The
path of its executable, which it cannot make up, the kernel shows only of processes of the same user
(proc_pid_exe(5)), and to root.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from typing import Final

GONE: Final = "gone"
HIDDEN: Final = "hidden"
"""It is there, but /proc does not show it: ProtectProc= of the unit, or hidepid= (proc(5))."""
ELSEWHERE: Final = "elsewhere"
"""It lives in another pid namespace, so it has no number here."""

_STARTED: Final = 19  # the 22nd field; the 3rd is the first behind the name (proc_pid_stat(5))
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_READ_BYTES: Final = 4096
_LONGEST: Final = 160
_UNIT: Final = re.compile(r".+\.(service|scope|socket|mount|swap)")
_LONG_ID: Final = re.compile(r"[0-9a-f]{32,}")
_SHORT_ID_LENGTH: Final = 12  # as container tools print it
_ONE_OF_MANY: Final = re.compile(
    r"(session-)c?\d+(\.scope)"
    r"|(run-)(?:r[0-9a-f]+|u\d+|p\d+-i\d+|\d+)(\.\w+)"
    r"|(.+@)\d+-\d[\d-]*(\.service)"
)
"""Units of which each login, `systemd-run` and accepted connection makes a new one."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a process. Names are as they are: whoever prints them must escape them."""

    started_at: float = 0.0
    """On the boot clock, to a hundredth: another process of the same pid has another."""
    unit: str = ""
    """The systemd unit, or another cgroup with long ids cut; empty in none, or where unknown."""
    executable: str = ""
    """The path of its program, by the kernel's word; empty where that is not shown."""
    name: str = ""
    """Where there is no path: what it calls itself, at most 15 bytes."""
    unseen: str = ""
    """Why nothing was seen: `GONE`, `HIDDEN` or `ELSEWHERE`."""


def look(pid: int, proc: str = "/proc") -> Sight:
    """What can be seen of a process now. `pid` is as SO_PEERCRED gives it."""
    if pid <= 0:
        return Sight(unseen=ELSEWHERE)
    try:
        return _look(f"{proc}/{pid}")
    except (
        OSError,
        ValueError,
        IndexError,
    ):  # where it is hidden ENOENT too; half a file at its end
        return Sight(unseen=HIDDEN if is_there(pid) else GONE)


def _look(path: str) -> Sight:
    # Through one descriptor, all that is read is of one process, whoever gets its pid next.
    folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        started = int(_read(folder, "stat").rpartition(b")")[2].split()[_STARTED]) / _TICKS
        unit = unit_of(os.fsdecode(_read(folder, "cgroup")))
        executable, name = _executable(folder), ""
        if not executable:
            name = os.fsdecode(_read(folder, "comm").removesuffix(b"\n"))
        return Sight(started, unit, executable, name)
    finally:
        os.close(folder)


def is_there(pid: int) -> bool:
    """Whether there is a process of this number, seen or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # EPERM: of another user
        return True
    return True


def unit_of(cgroup: str) -> str:
    """What names the place of a process in the text of its /proc/PID/cgroup (cgroups(7)).

    Below the slices comes the unit that the system's manager made; further in are names that a user
    or a container makes up. Of a user's own manager the unit within is shown as well. What is no
    unit is shown as a path, so that it looks like none.
    """
    by_hierarchy: dict[str, str] = {}
    for line in cgroup.split("\n"):  # the one character that no name of a cgroup can have
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        by_hierarchy.setdefault(controllers, path)
    for hierarchy in ("", "name=systemd"):
        parts = [part for part in by_hierarchy.get(hierarchy, "").split("/") if part]
        if parts:
            return _shortened(_place(parts))
    return ""


def _place(parts: list[str]) -> str:
    first = next((n for n, part in enumerate(parts) if not part.endswith(".slice")), 0)
    if not _UNIT.fullmatch(parts[first]):
        return "/" + "/".join(map(_generic, parts))
    units = [_generic(part) for part in parts[first:] if _UNIT.fullmatch(part)]
    return "/".join(units[:2]) if units[0].startswith("user@") else units[0]


def _generic(part: str) -> str:
    """Without what makes one of many runs of the same different from the others."""
    part = _LONG_ID.sub(lambda found: found[0][:_SHORT_ID_LENGTH], part)
    if part.startswith("user@"):
        return part
    found = _ONE_OF_MANY.fullmatch(part)
    return "*".join(filter(None, found.groups())) if found else part


def _executable(folder: int) -> str:
    with contextlib.suppress(OSError):  # EACCES: of another user. ENOENT: it is ending
        return _shortened(os.readlink("exe", dir_fd=folder))
    return ""


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = (_LONGEST - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def _read(folder: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(descriptor, _READ_BYTES)
    finally:
        os.close(descriptor)
