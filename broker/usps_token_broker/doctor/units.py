"""The service units: are they there, as they were written, started, and at the next boot too?"""

from collections.abc import Iterator, Mapping
from typing import Final

from usps_token_broker.doctor.fencing import HangsError, within
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.drivers.units import Manager, UnitsError, files, manager, places, shipped
from usps_token_broker.drivers.units.files import Found, Link, Regular
from usps_token_broker.drivers.units.texts import Origin, origin

CHECK: Final = "unit"
_SERVICE: Final = "usps-token-broker.service"
_MASKED: Final = Link("/dev/null")
_SURVEY_SECONDS: Final = 8.0
"""A manager that is well answers in milliseconds, one that reloads in a second or two."""
_JOURNAL: Final = "`journalctl -u usps-token-broker -n 20` says why"


def look(scene: Scene, deadline_seconds: float = _SURVEY_SECONDS) -> Iterator[Finding]:
    """What systemd and its directories say. Blocks."""
    if not manager.there_is_one():
        yield unseen(CHECK, "there is no systemd here; whoever starts the broker must restart it")
        return
    found: dict[str, Found] = {}
    for name in shipped.read(for_user=False).units:
        try:
            found[name] = _found(name)
        except UnitsError as error:
            yield unseen(CHECK, str(error))
    scene.unit_installed = any(found.values())
    call = places.of_host().call
    try:
        host = within(deadline_seconds, lambda: manager.survey(found, call, for_user=False))
    except HangsError as error:
        yield unseen(CHECK, f"systemd gives {error}", "`systemctl is-system-running` says more")
        return
    scene.unit_installed |= bool(_known(host))
    yield from judge(found, host, answers=scene.is_heard)


def is_there() -> bool:
    """Whether the service has a unit on the disk. Blocks."""
    try:
        return _found(_SERVICE) is not None
    except UnitsError:
        return False


def _found(name: str) -> Found:
    """What lies there under this name, where systemd takes it from. Raises UnitsError."""
    layout = places.of_host()
    looked = (files.look(directory / name) for directory in (*layout.hiding, layout.units))
    return next((what for what in looked if what is not None), None)


def _known(host: Manager) -> frozenset[str]:
    """Units may also come from a distributor's directory."""
    return host.active | host.enabled | host.failed


def judge(found: Mapping[str, Found], host: Manager, *, answers: bool) -> Iterator[Finding]:
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
        yield from _file(name, what)
    if not host.running:
        yield unseen(CHECK, "units are installed, and systemd does not run here")
        return
    yield from _state(host, found)


def _file(name: str, what: Found) -> Iterator[Finding]:
    match what:
        case Link() if what == _MASKED:
            fix = f"`systemctl unmask {name}`, then `systemctl start {name}`"
            yield failed(CHECK, "unit_inactive", f"{name} is masked", fix)
        case Regular(data) if origin(data) is Origin.CHANGED:
            saw = f"{name} was changed by hand, so a newer release does not replace it"
            fix = f"put the changes into a drop-in: `systemctl edit {name}`"
            yield warned(CHECK, "unit_changed", saw, fix)
        case _:
            pass


def _state(host: Manager, found: Mapping[str, Found]) -> Iterator[Finding]:
    for name in sorted(host.stale):
        saw = f"{name} was changed since systemd read it"
        yield warned(CHECK, "unit_changed", saw, "`systemctl daemon-reload`, then restart it")
    for name in sorted(found):
        if found[name] == _MASKED:  # told already
            continue
        if found[name] is None and name not in _known(host):
            saw = f"{name} is not installed"
            yield failed(CHECK, "unit_inactive", saw, "`usps-token-broker install-units`")
        elif name in host.failed:
            fix = f"{_JOURNAL}; then `systemctl reset-failed {name}` and start it"
            yield failed(CHECK, "unit_failed", f"{name} has failed", fix)
        elif name not in host.active:
            fix = f"`systemctl start {name}`; if it does not stay up, {_JOURNAL}"
            yield failed(CHECK, "unit_inactive", f"{name} is not active", fix)
        elif name not in host.enabled:
            saw = f"{name} is active, and would not be started at the next boot"
            yield warned(CHECK, "unit_inactive", saw, f"`systemctl enable {name}`")
        else:
            yield passed(CHECK, f"{name}: active, enabled")
