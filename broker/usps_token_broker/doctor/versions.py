"""What this installation is made of and runs on: what a report of trouble has to say."""

import importlib.metadata
import os
import platform
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import usps_token_broker
from usps_token_broker.drivers.units import manager

_PACKAGES: Final = (
    "anyio",
    "filelock",
    "httptools",
    "httpx",
    "msgspec",
    "prometheus-client",
    "rich",
    "usps-token-client",
)


def facts() -> Iterator[tuple[str, str]]:
    """A name and a value each, our own version first; paths among them, and no secret. Blocks."""
    yield "usps-token-broker", usps_token_broker.version()
    yield "python", f"{platform.python_version()} {platform.python_implementation()}"
    yield "openssl", ssl.OPENSSL_VERSION.removeprefix("OpenSSL ")
    yield "packages", ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    yield "platform", f"{_system()}, {os.uname().machine}, {' '.join(platform.libc_ver()).strip()}"
    yield "kernel", f"{os.uname().sysname} {os.uname().release}"
    yield "systemd", _systemd()
    yield "installed", str(Path(usps_token_broker.__file__).parent)
    yield "run by", sys.executable


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(not here)"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "an unknown system"


def _systemd() -> str:
    """`systemctl` may be there, as in a container, and no systemd at work."""
    told = manager.version_told()
    if told is None:
        return "none"
    running = Path("/run/systemd/system").is_dir()  # sd_booted(3)
    return told if running else f"{told}, not running"
