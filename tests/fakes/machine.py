"""A real systemd as the first process of a machine that a test may do anything with.

    with Machine(binds={"/opt/program": folder}) as machine:
        machine.run("systemctl", "start", "something")

It is made of namespaces: the host's root file system beneath an overlay that is forgotten, its own
processes, network (loopback alone), cgroups and /run. It boots in about half a second. Root in it
is root, so it keeps tests from disturbing their host, and nobody from attacking it.
"""

import contextlib
import functools
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from usps_token_broker.drivers import clock

BOOT: Final = Path(__file__).with_name("machine_boot.sh")
NEEDED: Final = {
    "curl": "curl",
    "dbus-daemon": "dbus",
    "mount": "mount",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "systemctl": "systemd",
    "systemd-creds": "systemd",
    "unshare": "util-linux",
}
"""Programs, and the packages of Debian and Ubuntu that they are in."""
BOOT_SECONDS: Final = 60.0
RUN_SECONDS: Final = 60.0
_UNSHARED: Final = ("unshare", "--mount", "--propagation", "private")
_INSIDE: Final = ("-m", "-p", "-u", "-i", "-n")
_ENVIRONMENT: Final = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
    "TERM": "dumb",
}


@functools.cache
def why_not() -> str | None:
    """Why no machine can be had here; None where one can."""
    if os.geteuid() != 0:
        return "only root can boot a systemd of its own"
    missing = sorted({package for name, package in NEEDED.items() if shutil.which(name) is None})
    if missing:
        return f"not installed here: {', '.join(missing)}"
    if not Path("/lib/systemd/systemd").exists():
        return "not installed here: systemd"
    trial = ["mount", "-t", "tmpfs", "trial", "/mnt"]
    done = subprocess.run([*_UNSHARED, *trial], capture_output=True, check=False)
    return "this machine lets nobody mount a file system" if done.returncode else None


class Machine:
    """Booted while the block lasts. `binds`: paths inside, and the folders shown there read-only.

    It ends with the process that began it, however that ends.
    """

    def __init__(self, binds: Mapping[str, Path] | None = None) -> None:
        self._binds = dict(binds or {})
        self.folder = Path()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="utb-machine-"))
        binds = [part for at, what in self._binds.items() for part in ("bind", str(what), at)]
        self._keeper = subprocess.Popen(
            [*_UNSHARED, "sh", str(BOOT), str(self.folder), *binds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A Ctrl-C at the test is not for it: it ends when we do, and tidies up first.
            start_new_session=True,
        )
        try:
            self._wait_for_boot(self._keeper)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        for pipe in (keeper.stdin, keeper.stdout):
            assert pipe is not None
            pipe.close()
        keeper.wait(RUN_SECONDS)

    def _wait_for_boot(self, keeper: subprocess.Popen[bytes]) -> None:
        assert keeper.stdout is not None
        unshared = keeper.stdout.readline().strip().decode()
        children = Path(f"/proc/{unshared}/task/{unshared}/children")
        give_up_at = clock.boot() + BOOT_SECONDS
        while clock.boot() < give_up_at and keeper.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                self._init = self._init or int(children.read_text())
            if self._init and self.path("/run/systemd/private").exists():
                # 1 for a machine in which something has failed, which may be what a test is about.
                state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout
                assert state in {"running\n", "degraded\n"}, state
                return
            select.select([], [], [], 0.01)
        raise AssertionError(f"the machine did not boot; exit code {keeper.poll()}")

    @property
    def keeper_pid(self) -> int:
        """The process that ends the machine once this one is gone, and tidies up after it."""
        return 0 if self._keeper is None else self._keeper.pid

    def path(self, inside: str) -> Path:
        """A path of the machine, for those outside."""
        return Path(f"/proc/{self._init}/root") / inside.lstrip("/")

    def write(self, inside: str, text: str | bytes, mode: int = 0o644) -> None:
        """Put a file of root's there, with the folders on the way."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.touch(mode)
        beside.chmod(mode)
        beside.write_bytes(text.encode() if isinstance(text, str) else text)
        beside.replace(path)

    def _argv(self, command: tuple[str, ...], user: str | None) -> list[str]:
        """The command line that does it inside, as root or as a user of the machine."""
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return ["nsenter", "-t", str(self._init), *_INSIDE, "--", *who, *command]

    def run(
        self,
        *command: str,
        user: str | None = None,
        check: bool = True,
        text: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command inside to its end; `text` is its input."""
        done = subprocess.run(
            self._argv(command, user),
            input=text or "",
            env={**_ENVIRONMENT, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert not check or not done.returncode, (command, done.stdout, done.stderr)
        return done

    def begin(
        self, *command: str, user: str | None = None, output: IO[Any] | int = subprocess.PIPE
    ) -> "subprocess.Popen[str]":
        """Begin a command inside; whoever calls this waits for its end."""
        return subprocess.Popen(
            self._argv(command, user),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_ENVIRONMENT,
            text=True,
        )
