"""An earlier release beside today's: its wheels on PYTHONPATH, imported as they are."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHEELS = Path(__file__).parents[1] / "versions"
DEADLINE_SECONDS = 60.0
_OURS = ("USPS_", "XDG_", "NOTIFY_")


@dataclass(frozen=True)
class Release:
    """Where the two distributions of a release are imported from; None is what is installed."""

    name: str
    broker_wheel: Path | None = None
    client_wheel: Path | None = None

    @property
    def broker_environ(self) -> dict[str, str]:
        """What a process needs to be a broker of this release."""
        return _path_of(self.broker_wheel)

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
            env={**kept, **_path_of(self.client_wheel), **(environ or {})},
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


def release(version: str) -> Release:
    """One of those whose wheels are kept."""
    wheels = [
        WHEELS / f"usps_token_{part}-{version}-py3-none-any.whl" for part in ("broker", "client")
    ]
    for wheel in wheels:
        assert wheel.is_file(), wheel
    return Release(version, *wheels)


def _path_of(wheel: Path | None) -> dict[str, str]:
    return {} if wheel is None else {"PYTHONPATH": str(wheel)}


TODAY = Release("today")
OLD = release("0.1.0")
