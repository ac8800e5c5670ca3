"""Tries what a broken-in broker would try, from within its service, and prints what came of it.

Standard library alone: it runs as the service's ExecStartPre=, in the same sandbox as the daemon.
One JSON object, a word for each attempt: what it could do, or the error that stopped it.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000


def called(name: str, *arguments: object) -> str:
    """A call of the C library's: `done`, or the name of its error."""
    failed = getattr(LIBC, name)(*arguments) == -1
    return errno.errorcode[ctypes.get_errno()] if failed else "done"


def write(path: str) -> str:
    """Whether a file could be made there."""
    Path(path).write_text("x")
    Path(path).unlink()
    return "done"


def write_and_execute() -> str:
    """Memory that is both, as an exploit wants it."""
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC):
        return "done"


def opened(family: int, kind: int = socket.SOCK_STREAM) -> str:
    """A socket of that family."""
    with socket.socket(family, kind):
        return "done"


def set_user_id_bit() -> str:
    """A program that others would run as us."""
    state = os.environ["RUNTIME_DIRECTORY"]
    path = Path(state, "suid")
    path.touch()
    try:
        path.chmod(0o4755)
    finally:
        path.unlink()
    return "done"


def real_time() -> str:
    """Before all other processes of the host."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "done"


def disks() -> str:
    """Disks that can be named."""
    return f"{sum(path.is_block_device() for path in Path('/dev').iterdir())} seen"


def init(name: str) -> str:
    """A file of the first process, which is root's."""
    return Path("/proc/1", name).read_text().strip()


def environments() -> str:
    """Processes of others whose environment can be read: there may be secrets in it."""
    read = 0
    own = os.getuid()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid != own:
                (process / "environ").read_bytes()
                read += 1
        except OSError:
            continue
    return f"{read} read"


def status(key: str) -> str:
    """A line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{key}:"))


ATTEMPTS: dict[str, Callable[[], str]] = {
    "write the system": lambda: write("/etc/x"),
    "write the program": lambda: write("/opt/usps-token-broker/x"),
    "write the configuration": lambda: write("/etc/usps-token-broker/x"),
    "write /var/tmp": lambda: write("/var/tmp/x"),
    "write beside the socket": lambda: write("/run/usps-token-broker/x"),
    "write the state": lambda: write(f"{os.environ['RUNTIME_DIRECTORY']}/x"),
    "read a home": lambda: Path("/home/ann/diary").read_text(),
    "read root's home": lambda: str([*Path("/root").iterdir()]),
    "read the secret": lambda: Path("/etc/usps-token-broker/client-secret").read_text(),
    "read another's /tmp": lambda: Path("/tmp/of-others").read_text(),
    "mount": lambda: called("mount", b"tmpfs", b"/mnt", b"tmpfs", 0, None),
    "make a user namespace": lambda: called("unshare", CLONE_NEWUSER),
    "become root": lambda: called("setuid", 0),
    "set the clock": lambda: called("settimeofday", ctypes.create_string_buffer(16), None),
    "set the host's name": lambda: called("sethostname", b"x", 1),
    "another personality": lambda: called("personality", 8),
    "raise its priority": lambda: str(os.nice(-5)),
    "real time": real_time,
    "set a user id bit": set_user_id_bit,
    "write and execute": write_and_execute,
    "raw packets": lambda: opened(socket.AF_PACKET, socket.SOCK_RAW),
    "netlink": lambda: opened(socket.AF_NETLINK, socket.SOCK_RAW),
    "bluetooth": lambda: opened(socket.AF_BLUETOOTH),
    "vsock": lambda: opened(socket.AF_VSOCK),
    "internet": lambda: opened(socket.AF_INET),
    "internet 6": lambda: opened(socket.AF_INET6),
    "unix": lambda: opened(socket.AF_UNIX),
    "see a disk": disks,
    "kernel settings": lambda: write("/proc/sys/kernel/core_pattern"),
    "control groups": lambda: write("/sys/fs/cgroup/x"),
    "kernel log": lambda: Path("/dev/kmsg").read_text(),
    "name another's process": lambda: init("comm"),
    "see where it runs": lambda: init("cgroup") and "done",
    "another's executable": lambda: str(Path("/proc/1/exe").readlink()),
    "another's memory": lambda: init("maps"),
    "environments of others": environments,
    "capabilities": lambda: status("CapBnd"),
    "no new privileges": lambda: status("NoNewPrivs"),
    "system call filter": lambda: status("Seccomp"),
    "core limit": lambda: str(resource.getrlimit(resource.RLIMIT_CORE)),
    "umask": lambda: status("Umask"),
    "boot id": lambda: str(len(Path("/proc/sys/kernel/random/boot_id").read_text().strip())),
}


def outcome(attempt: Callable[[], str]) -> str:
    """What came of it, in a word."""
    try:
        return attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))


if __name__ == "__main__":
    print(json.dumps({name: outcome(attempt) for name, attempt in ATTEMPTS.items()}))  # noqa: T201
