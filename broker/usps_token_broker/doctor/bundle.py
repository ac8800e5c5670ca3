"""What a person sends when asking for help: everything that was seen, without secrets and ids."""

import contextlib
import http.client
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from usps_token_broker.config.files import read_toml
from usps_token_broker.core.values import Secret
from usps_token_broker.doctor import old_bearer, proofs, versions
from usps_token_broker.doctor.fencing import DEADLINE_SECONDS, within
from usps_token_broker.doctor.findings import Finding
from usps_token_broker.doctor.masking import Mask
from usps_token_broker.doctor.scene import ASK_SECONDS, SERVICE_USER, Scene
from usps_token_broker.drivers import clock, probing
from usps_token_broker.drivers.secret_source import SecretError, read_secret

T = TypeVar("T")
U = TypeVar("U")

_JOURNAL_LINES: Final = 200
_JOURNAL_SECONDS: Final = 10.0
_MOST_FILES: Final = 50
_MISSING: Final = "[not to be had]"


def make(scene: Scene, findings: Iterable[Finding]) -> bytes:
    """The bundle as JSON for people. What cannot be had is said to be missing. Blocks."""
    files = _had(lambda: dict(_files(scene)), {})
    mask = Mask(files.values(), _had(lambda: [*_secrets(scene)], []), _persons(scene))
    known = _had(lambda: mask.tree(_proofs(scene)), _MISSING)
    metrics = _had(lambda: [*map(mask.figures, _asked(scene, "/metrics").splitlines())], _MISSING)
    whole = {
        "made_at": round(clock.now().wall),
        "versions": mask.tree(_had(lambda: dict(versions.facts()), _MISSING)),
        "findings": mask.tree([msgspec.to_builtins(finding) for finding in findings]),
        "old_bearer": known,
        "configuration": {mask.text(str(p)): mask.configuration(t) for p, t in files.items()},
        "variables": sorted(mask.text(n) for n in scene.environ if n.startswith("USPS_")),
        "status": mask.tree(msgspec.to_builtins(scene.status)),
        "metrics": metrics,
        "unrecognised": _had(lambda: mask.tree(_unrecognised(scene)), _MISSING),
        "journal": _had(lambda: [*map(mask.text, _journal())], _MISSING),
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _had(get: Callable[[], T], otherwise: U) -> T | U:
    """What it gives; the other where it raises or hangs: a broken host is what it is for."""
    try:
        return within(DEADLINE_SECONDS, get)
    except Exception:  # noqa: BLE001 - as said
        return otherwise


def _files(scene: Scene) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The configuration and the payment files beside it, as far as they parse."""
    path = scene.config or scene.default_path
    beside: list[Path] = []
    with contextlib.suppress(OSError):
        beside = sorted(path.parent.joinpath("payments.d").glob("*.toml"))[:_MOST_FILES]
    for each in (path, *beside):
        values = read_toml(each)
        if isinstance(values, dict):
            yield each, values


def _secrets(scene: Scene) -> Iterator[Secret]:
    """Those that can be read, so that they are known where they stand and should not."""
    daemon = scene.daemon()
    for app in scene.settings.apps if scene.settings else ():
        with contextlib.suppress(SecretError, OSError):
            yield read_secret(app.secret, scene.environ, uid=daemon.uid, gid=daemon.gid)
        yield Secret(app.client_id)
    for name in ("USPS_CLIENT_ID", "USPS_CLIENT_SECRET"):
        if scene.environ.get(name):
            yield Secret(scene.environ[name])


def _persons(scene: Scene) -> set[str]:
    """What whoever runs this is called; users of services are what a report is about."""
    told = {scene.environ.get(name, "") for name in ("SUDO_USER", "LOGNAME", "USER")}
    return told - {"", "root", SERVICE_USER}


def _proofs(scene: Scene) -> object:
    if scene.settings is None:
        return []
    return msgspec.to_builtins(proofs.read(scene.settings.state_dir))


def _asked(scene: Scene, target: str) -> str:
    if scene.socket is None:
        return ""
    heard = probing.ask(scene.socket, "GET", target, ASK_SECONDS)
    return heard.body.decode("utf-8", "replace")


def _unrecognised(scene: Scene) -> object:
    for path in old_bearer.admin_sockets(scene):
        if os.access(path, os.W_OK):
            heard = probing.ask(path, "GET", "/v1/unrecognised", ASK_SECONDS)
            return msgspec.json.decode(heard.body) if heard.status == http.client.OK else []
    return _MISSING


def _journal() -> Iterator[str]:
    yield from probing.journal(SERVICE_USER, _JOURNAL_LINES, _JOURNAL_SECONDS)
