"""Our two distributions installed from this checkout, for a machine to have in /opt.

What lies below a home directory no hardened service can see: neither the checkout nor its virtual
environment can be counted on. So both wheels are built and installed into a folder that looks like
a virtual environment at the path that the units name, and what they need is copied beside them.
"""

import functools
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

CHECKOUT: Final = Path(__file__).parents[2]
PLACE: Final = "/opt/usps-token-broker"
_VERSION: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
_HIDDEN: Final = ("/home/", "/root/", "/run/user/", "/tmp/")
"""What ProtectHome= and PrivateTmp= hide."""


@functools.cache
def interpreter() -> Path | None:
    """A Python of our own version that a hardened service can see; None where there is none."""
    ours = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    for found in (Path("/usr/bin") / _VERSION, ours):
        if found.exists() and not str(found).startswith(_HIDDEN):
            return found
    return None


def build(folder: Path) -> None:
    """Make that environment in an empty folder, readable by all."""
    python = interpreter()
    assert python is not None
    packages = folder / "lib" / _VERSION / "site-packages"
    packages.mkdir(parents=True)
    _install(packages)
    for name in _needed("usps-token-broker"):
        _copy(name, packages)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(python)
    (folder / "pyvenv.cfg").write_text(f"home = {python.parent}\nversion = {_VERSION[6:]}\n")
    for script in (packages / "bin").iterdir():
        _, _, rest = script.read_text().partition("\n")
        (folder / "bin" / script.name).write_text(f"#!{PLACE}/bin/python\n{rest}")
        (folder / "bin" / script.name).chmod(0o755)
    subprocess.run(["chmod", "-R", "a+rX,go-w", str(folder)], check=True)


def _install(packages: Path) -> None:
    """Both wheels, compiled."""
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(packages)]
    done = subprocess.run(
        [*pip, str(CHECKOUT), str(CHECKOUT / "clients" / "python")],
        env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _needed(name: str) -> set[str]:
    """The distributions that one needs here, with those that they need."""
    found: set[str] = set()
    asked = [name]
    while asked:
        for line in importlib.metadata.requires(asked.pop()) or ():
            requirement = Requirement(line)
            here = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if here and requirement.name not in found:
                found.add(requirement.name)
                asked.append(requirement.name)
    return found


def _copy(name: str, packages: Path) -> None:
    for file in importlib.metadata.files(name) or ():
        if ".." not in file.parts:
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)
