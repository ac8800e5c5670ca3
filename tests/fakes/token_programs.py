"""`usps-token` in every language and shell, to be run as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ordinary_user import ORDINARY_UID, as_ordinary_user

import usps_token_client.__main__ as python_client
from usps_token_client import (  # noqa: F401 - another user may not be able to read them later
    _commands,
    _finding,
    _plain,
)

SHELL_CLIENT = Path(__file__).parents[2] / "clients" / "shell" / "usps-token"
PYTHON = [sys.executable, "-m", "usps_token_client"]
SHELLS = {"dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash", "--posix"]}
PROGRAMS = ["python", *SHELLS]


class Done(NamedTuple):
    """How a run ended."""

    status: int
    out: str
    err: str


def missing(name: str) -> str:
    """What this machine lacks to run the program of this name; empty when it lacks nothing."""
    needed = [] if name == "python" else [SHELLS[name][0], "curl"]
    return ", ".join(tool for tool in needed if shutil.which(tool) is None)


def command(name: str, client: Path = SHELL_CLIENT) -> list[str]:
    """The words that start the program of this name."""
    return PYTHON if name == "python" else [*SHELLS[name], str(client)]


def run(name: str, argv: Sequence[str], environment: Mapping[str, str], **more: Any) -> Done:
    """Run it to its end, with PATH and this environment and nothing else.

    `stdin` is text that is piped in.
    """
    piped = more.pop("stdin", None)
    fed = {"stdin": subprocess.DEVNULL} if piped is None else {"input": piped.encode()}
    done = subprocess.run(
        [*command(name, more.pop("client", SHELL_CLIENT)), *argv],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        timeout=60,
        check=False,
        **fed,
        **more,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def run_as_ordinary_user(
    name: str, argv: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Done:
    """The same as another user than root; `folder` is one that this user can read."""
    if name != "python":
        client = Path(shutil.copy(SHELL_CLIENT, folder))
        user = {"user": ORDINARY_UID, "group": ORDINARY_UID, "extra_groups": [], "cwd": "/"}
        return run(name, argv, environment, client=client, **user)
    # The interpreter may lie where only root can read, so it is a fork of this process.
    out, err = os.memfd_create("out"), os.memfd_create("err")

    def call() -> str:
        os.dup2(out, 1)
        sys.stderr = os.fdopen(err, "w", closefd=False)
        os.environ.clear()
        os.environ.update(environment)
        status = python_client.main(argv)
        sys.stderr.flush()
        return str(status)

    status = as_ordinary_user(call)
    texts = [os.pread(written, 1 << 20, 0).decode() for written in (out, err)]
    os.close(out)
    os.close(err)
    return Done(int(status), *texts)
