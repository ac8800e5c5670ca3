"""A root folder as an image has one, and programs in it as a container runtime starts them.

No image and no runtime: the system's own folders and this environment, mounted read-only into a
tmpfs, in a mount and PID namespace of its own, as a user that is not root, without capabilities.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2]
PARTS = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/etc/ssl",
    sys.base_prefix,
    sys.prefix,
    str(SOURCE),
)
INNER = """\
set -e
root=$1 part=
shift
mount -t tmpfs -o mode=755 root "$root"
while [ "$1" != -- ]; do
  how=${1%%:*} from=${1#*:}
  to=$root${from#*=} from=${from%%=*}
  if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}"; [ -e "$to" ] || : >"$to"; fi
  mount --rbind "$from" "$to"
  [ "$how" = rw ] || mount -o remount,bind,ro "$to"
  shift
done
shift
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount -t proc proc "$root/proc"
for each in null zero urandom; do
  : >"$root/dev/$each"
  mount --bind "/dev/$each" "$root/dev/$each"
done
mount -o remount,ro "$root"
exec chroot "$root" "$@"
"""


def can_be_made() -> bool:
    """Whether this machine lets this user mount, and make namespaces."""
    probe = ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "x", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(probe, capture_output=True, check=False).returncode
    )


def skip_without() -> None:
    """Skip the test where there can be none."""
    if not can_be_made():
        pytest.skip("this machine lets nobody mount a file system")


def command(root: Path, uid: int, mounts: Sequence[str], words: Sequence[str]) -> list[str]:
    """What runs these words in a container of this user.

    `root` is an empty folder to mount on. A mount is `ro:FROM=TO` or `rw:FROM=TO`.
    """
    # What lies below another is mounted after it.
    parts = [f"ro:{part}={part}" for part in sorted({*PARTS}) if Path(part).exists()]
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs",
            "--bounding-set=-all", "--inh-caps=-all"]  # fmt: skip
    inside = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        INNER,
        "container",
    ]
    return [*inside, str(root), *parts, *mounts, "--", *user, *words]


def end(process: subprocess.Popen[str]) -> None:
    """Kill its first process, and with that all of them, and wait."""
    if process.poll() is None:
        os.kill(first_process(process), signal.SIGKILL)
        process.wait(30)


def first_process(process: subprocess.Popen[str]) -> int:
    """Its number out here."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(path.read_text())


def run(
    root: Path, uid: int, mounts: Sequence[str], words: Sequence[str], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(root, uid, mounts, words),
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
