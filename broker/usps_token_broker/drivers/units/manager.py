"""The service manager, by its command: what it is, what it has, and what it is told."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from usps_token_broker.drivers.units.files import UnitsError
from usps_token_broker.drivers.units.plans import SERVICE_USER, Manager, Order

EX_UNAVAILABLE: Final = 69

_VERSION: Final = re.compile(r"systemd (\d+)")
_ASKED: Final = "--property=Id,NeedDaemonReload,UnitFileState,ActiveState"
_ANSWERED_SECONDS: Final = 30
"""For a question. Orders take what the units take: TimeoutStartSec= and TimeoutStopSec=."""


def survey(names: Iterable[str], call: Sequence[str], *, for_user: bool) -> Manager:
    """What systemd says of itself and of these units. Blocks. Never raises: it may not be there."""
    match = _VERSION.match(_ask("systemctl", "--version"))
    shown = _ask(*call, "show", _ASKED, "--", *names)
    units = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in shown.split("\n\n")
    ]
    return Manager(
        version=int(match[1]) if match else None,
        running=any("Id" in unit for unit in units),
        has_user=for_user or _exists(SERVICE_USER),
        stale=_ids(units, "NeedDaemonReload", {"yes"}),
        enabled=_ids(units, "UnitFileState", {"enabled"}),
        active=_ids(units, "ActiveState", {"active"}),
        failed=_ids(units, "ActiveState", {"failed"}),
    )


def carry_out(order: Order) -> None:
    """Give the order and wait until it is done. Raises UnitsError with what was said."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            order.words, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=_environ()
        )
    except OSError as error:
        raise UnitsError(f"`{order}`: {error.strerror}; {order.fix}", EX_UNAVAILABLE) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise UnitsError(f"`{order}` failed: {said}\n{order.fix}", EX_UNAVAILABLE)


def version_told() -> str | None:
    """Its version and its distributor's, `252 (252.39-1~deb12u1)`; None without it. Blocks."""
    told = _ask("systemctl", "--version").partition("\n")[0]
    return told.removeprefix("systemd ") or None


def there_is_one() -> bool:
    """Whether this host has the command at all."""
    return shutil.which("systemctl") is not None


def _ask(*words: str) -> str:
    """What it answers; nothing when it cannot be asked."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_ANSWERED_SECONDS,
            env=_environ(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _ids(units: Iterable[Mapping[str, str]], key: str, values: set[str]) -> frozenset[str]:
    return frozenset(unit["Id"] for unit in units if "Id" in unit and unit.get(key) in values)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _environ() -> dict[str, str]:
    """Ours, with words that can be read by a program and nobody asked for a password."""
    return {**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
