"""The service units: are they there, as they were written, started, and at the next boot too?"""

from collections.abc import Iterator, Mapping
from typing import Final

from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.drivers.units import Manager, UnitsError, files, manager, places, shipped
from usps_token_broker.drivers.units.files import Found, Link, Regular
from usps_token_broker.drivers.units.texts import Origin, origin

CHECK: Final = "unit"
_SERVICE: Final = "usps-token-broker.service"
_JOURNAL: Final = "`journalctl -u usps-token-broker -n 20` says why"


def look(scene: Scene) -> Iterator[Finding]:
    """What systemd and its directories say. Blocks."""
    if not manager.there_is_one():
        yield unseen(CHECK, "there is no systemd here; whoever starts the broker must restart it")
        return
    layout = places.of_host()
    texts = shipped.read(for_user=False)
    found: dict[str, Found] = {}
    for name in texts.units:
        for directory in (*layout.hiding, layout.units):
            try:
                found[name] = files.look(directory / name)
            except UnitsError as error:
                yield unseen(CHECK, str(error))
                continue
            if found[name] is not None:
                break
    host = manager.survey(texts.units, layout.call, for_user=False)
    known = host.active | host.enabled | host.failed
    scene.unit_installed = any(found.values()) or bool(known)
    yield from judge(found, host, answers=scene.socket is not None)


def judge(found: Mapping[str, Found], host: Manager, *, answers: bool) -> Iterator[Finding]:
    """By what lies there and what the manager says; `answers` is whether a broker does."""
    there = {name: what for name, what in found.items() if what is not None}
    known = host.active | host.enabled | host.failed
    if not there and not known:
        saw = "no unit is installed"
        yield (
            unseen(CHECK, f"{saw}: the broker is started in another way")
            if answers
            else warned(CHECK, "not_running", saw, "`usps-token-broker install-units`")
        )
        return
    for name, what in there.items():
        yield from _file(name, what)
    if not host.running:
        yield unseen(CHECK, "units are installed, and systemd does not run here")
        return
    yield from _state(host, found)


def _file(name: str, what: Found) -> Iterator[Finding]:
    match what:
        case Link("/dev/null"):
            saw = f"{name} is masked"
            yield failed(CHECK, "unit_inactive", saw, f"`systemctl unmask {name}`")
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
        if name in host.failed:
            fix = f"{_JOURNAL}; then `systemctl reset-failed {name}` and start it"
            yield failed(CHECK, "unit_failed", f"{name} has failed", fix)
        elif name not in host.active:
            yield failed(
                CHECK, "unit_inactive", f"{name} is not active", f"`systemctl start {name}`"
            )
        elif name not in host.enabled:
            saw = f"{name} is active, and would not be started at the next boot"
            yield warned(CHECK, "unit_inactive", saw, f"`systemctl enable {name}`")
        else:
            yield passed(CHECK, f"{name}: active, enabled")
