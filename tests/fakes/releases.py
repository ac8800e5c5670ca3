"""An earlier release beside today's: its wheels unpacked, and put on PYTHONPATH."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

WHEELS = Path(__file__).parents[1] / "versions"
DEADLINE_SECONDS = 60.0
_OURS = ("USPS_", "XDG_", "NOTIFY_")


@dataclass(frozen=True)
class Release:
    """A release by its version; None is what is installed here."""

    version: str | None = None

    @property
    def broker_folder(self) -> Path | None:
        """Where a broker of this release is imported from."""
        return None if self.version is None else _unpacked(f"usps_token_broker-{self.version}")

    @property
    def client_folder(self) -> Path | None:
        """Where a client of this release is imported from."""
        return None if self.version is None else _unpacked(f"usps_token_client-{self.version}")

    @property
    def broker_environ(self) -> dict[str, str]:
        """What a process needs to be a broker of this release."""
        return _path_of(self.broker_folder)

    def shim(self, *arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        """`usps-token` of this release, run to its end."""
        return self.python("-m", "usps_token_client", *arguments, **more)

    def python(
        self, *arguments: str, environ: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """A Python that imports the client of this release."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return subprocess.run(
            [sys.executable, *arguments],
            env={**kept, **_path_of(self.client_folder), **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def play(self, script: Path, *arguments: str) -> Any:
        """What a script that uses the client prints, as JSON."""
        done = self.python(str(script), *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@cache
def _unpacked(wheel: str) -> Path:
    """Not imported from the wheel itself: a zip keeps no bytecode, so that takes a second more."""
    folder = Path(tempfile.mkdtemp(prefix="utb-"))
    atexit.register(shutil.rmtree, folder)
    with zipfile.ZipFile(WHEELS / f"{wheel}-py3-none-any.whl") as archive:
        archive.extractall(folder)
    return folder


def _path_of(folder: Path | None) -> dict[str, str]:
    return {} if folder is None else {"PYTHONPATH": str(folder)}


TODAY = Release()
OLD = Release("0.1.0")
