"""The service units: are they there, as they were written, started, and at the next boot too?"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from usps_token_broker.doctor.fencing import HangsError, within
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.drivers.units import (
    Layout,
    Manager,
    UnitsError,
    files,
    manager,
    places,
    shipped,
)
from usps_token_broker.drivers.units.files import Found, Link, Regular
from usps_token_broker.drivers.units.texts import Origin, origin

CHECK: Final = "unit"
_SERVICE: Final = "usps-token-broker.service"
_MASKED: Final = Link("/dev/null")
_SURVEY_SECONDS: Final = 8.0
"""A manager that is well answers in milliseconds, one that reloads in a second or two."""


def look(scene: Scene, deadline_seconds: float = _SURVEY_SECONDS) -> Iterator[Finding]:
    """What systemd and its directories say. Blocks."""
    if not manager.there_is_one():
        yield unseen(CHECK, "there is no systemd here; whoever starts the broker must restart it")
        return
    layout = _layout()
    commands = Commands.of(layout)
    names = shipped.read(for_user=commands.for_user).units
    found: dict[str, Found] = {}
    for name in names:
        try:
            found[name] = _found(layout, name)
        except UnitsError as error:
            yield unseen(CHECK, str(error))
    scene.unit_installed = layout.is_system and any(found.values())
    try:
        host = within(
            deadline_seconds,
            lambda: manager.survey(names, layout.call, for_user=commands.for_user),
        )
    except HangsError as error:
        fix = f"`{commands.systemctl} is-system-running` says more"
        yield unseen(CHECK, f"systemd gives {error}", fix)
        return
    scene.unit_installed |= layout.is_system and bool(_known(host))
    yield from judge(found, host, answers=scene.is_heard, commands=commands)


@dataclass(frozen=True, slots=True)
class Commands:
    """What is typed for the service manager concerned, that of the host or of one user."""

    systemctl: str = "systemctl"
    journal: str = "journalctl -u usps-token-broker"
    for_user: bool = False
    masked: bool = False
    """Whether the service cannot be started as it is."""

    @classmethod
    def of(cls, layout: Layout, *, masked: bool = False) -> Self:
        """Those for the units that lie there."""
        if layout.is_system:
            return cls(masked=masked)
        call, journal = " ".join(layout.call), "journalctl --user -u usps-token-broker"
        return cls(call, journal, for_user=True, masked=masked)

    @property
    def start(self) -> str:
        """What starts the service."""
        start = f"`{self.systemctl} start usps-token-broker`"
        return (
            f"`{self.systemctl} unmask usps-token-broker`, then {start}" if self.masked else start
        )

    @property
    def why(self) -> str:
        """What the service said last."""
        return f"`{self.journal} -n 20` says why"


def commands() -> Commands | None:
    """Those for the service, where it has a unit on the disk. Blocks."""
    layout = _layout()
    what = _service(layout)
    return None if what is None else Commands.of(layout, masked=what == _MASKED)


def _layout() -> Layout:
    """Where units lie: those of the host, unless this user alone has some."""
    host = places.of_host()
    if os.geteuid() == 0 or _service(host) is not None:
        return host
    named = os.environ.get("XDG_CONFIG_HOME", "")
    home = named if named.startswith("/") else os.path.expanduser("~/.config")  # noqa: PTH111 - never raises
    own = places.of_user(Path(home))
    return host if _service(own) is None else own


def _service(layout: Layout) -> Found:
    try:
        return _found(layout, _SERVICE)
    except UnitsError:
        return None


def _found(layout: Layout, name: str) -> Found:
    """What lies there under this name, where systemd takes it from. Raises UnitsError."""
    looked = (files.look(directory / name) for directory in (*layout.hiding, layout.units))
    return next((what for what in looked if what is not None), None)


def _known(host: Manager) -> frozenset[str]:
    """Units may also come from a distributor's directory."""
    return host.active | host.enabled | host.failed


_OF_HOST: Final = Commands()


def judge(
    found: Mapping[str, Found], host: Manager, *, answers: bool, commands: Commands = _OF_HOST
) -> Iterator[Finding]:
    """By what lies there and what the manager says; `answers` is whether a broker does."""
    there = {name: what for name, what in found.items() if what is not None}
    if not there and not _known(host):
        saw = "no unit is installed"
        if answers:
            yield unseen(CHECK, f"{saw}: the broker is started in another way")
        elif not host.running:
            yield unseen(CHECK, f"{saw}, and systemd does not run here")
        else:
            yield warned(CHECK, "not_running", saw, "`usps-token-broker install-units`")
        return
    for name, what in there.items():
        yield from _file(name, what, commands)
    if not host.running:
        yield unseen(CHECK, "units are installed, and systemd does not run here")
        return
    yield from _state(host, found, commands)


def _file(name: str, what: Found, commands: Commands) -> Iterator[Finding]:
    call = commands.systemctl
    match what:
        case Link() if what == _MASKED:
            fix = f"`{call} unmask {name}`, then `{call} start {name}`"
            yield failed(CHECK, "unit_inactive", f"{name} is masked", fix)
        case Regular(data) if origin(data) is Origin.CHANGED:
            saw = f"{name} was changed by hand, so a newer release does not replace it"
            fix = f"put the changes into a drop-in: `{call} edit {name}`"
            yield warned(CHECK, "unit_changed", saw, fix)
        case _:
            pass


def _state(host: Manager, found: Mapping[str, Found], commands: Commands) -> Iterator[Finding]:
    call = commands.systemctl
    for name in sorted(host.stale):
        saw = f"{name} was changed since systemd read it"
        yield warned(CHECK, "unit_changed", saw, f"`{call} daemon-reload`, then restart it")
    for name in sorted(found):
        if found[name] == _MASKED:  # told already
            continue
        if found[name] is None and name not in _known(host):
            saw = f"{name} is not installed"
            fix = f"`usps-token-broker install-units{' --user' * commands.for_user}`"
            yield failed(CHECK, "unit_inactive", saw, fix)
        elif name in host.failed:
            fix = f"{commands.why}; then `{call} reset-failed {name}` and start it"
            yield failed(CHECK, "unit_failed", f"{name} has failed", fix)
        elif name not in host.active:
            fix = f"`{call} start {name}`; if it does not stay up, {commands.why}"
            yield failed(CHECK, "unit_inactive", f"{name} is not active", fix)
        elif name not in host.enabled:
            saw = f"{name} is active, and would not be started at the next boot"
            yield warned(CHECK, "unit_inactive", saw, f"`{call} enable {name}`")
        else:
            yield passed(CHECK, f"{name}: active, enabled")
