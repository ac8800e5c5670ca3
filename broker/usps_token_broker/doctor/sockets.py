"""The broker's socket: is it there, who listens, does it answer, and what does it say?"""

import http.client
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from usps_token_broker import version
from usps_token_broker.core.notes import span
from usps_token_broker.doctor import units
from usps_token_broker.doctor.fencing import HangsError, within
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import ASK_SECONDS, Scene
from usps_token_broker.drivers import probing
from usps_token_broker.drivers.probing import Heard
from usps_token_broker.wire.status import AliveMessage, StatusMessage

CHECK: Final = "socket"
_ALIVE: Final = "/healthz"


def look(scene: Scene) -> Iterator[Finding]:
    """Ask whoever listens whether it is alive, then how all stands. Blocks."""
    paths = scene.socket_paths
    if not paths:
        yield unseen(CHECK, "nobody says where it would be", "give --socket PATH")
        return
    path = next((path for path in paths if _is_there(path)), None)
    if path is None:
        tried = " nor ".join(map(str, paths))
        if not _is_certain(scene):
            saw = f"none at {tried}; the configuration, which could not be used, may name another"
            yield unseen(CHECK, saw, "put the configuration right first, or give --socket PATH")
            return
        yield failed(CHECK, "not_installed", f"there is no socket at {tried}", _start(scene))
        return
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            yield failed(CHECK, "not_a_broker", f"{path} is no socket", _move(path))
            return
        heard = _ask(path, _ALIVE)
    except (OSError, ValueError, http.client.HTTPException) as error:
        yield _silent(scene, path, error)
        return
    scene.is_heard = True
    finding = judge_answer(path, heard.status, heard.body)
    yield _with_listener(finding, path) if finding.code == "not_a_broker" else finding
    if finding.code in {"", "forbidden", "broker_stuck"}:
        scene.socket = path
    if not finding.code:
        yield from _status(scene, path, heard.body)


def _is_certain(scene: Scene) -> bool:
    """Whether a socket can be nowhere else: an ordinary user may not read what says where."""
    if scene.socket_is_named or scene.settings is not None:
        return True
    return scene.config is None and not os.path.lexists(scene.default_path)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _start(scene: Scene) -> str:
    """How a broker is started here, and what keeps it from starting."""
    unit = units.commands()
    how = unit.start if unit else "`usps-token-broker run`"
    if scene.config_refused:
        return f"put the configuration right first; then {how}"
    if unit:
        return f"{how}; if it does not stay up, {unit.why}"
    return f"{how}, or have systemd do it: `usps-token-broker install-units`"


def _move(path: Path) -> str:
    return f"`mv {path} {path}.old`, then restart the broker"


def _silent(scene: Scene, path: Path, error: Exception) -> Finding:
    """Why nothing that makes sense was heard, and from whom."""
    finding = judge_silence(path, error)
    match finding.code:
        case "not_running":
            return msgspec.structs.replace(finding, fix=_start(scene))
        case "timed_out" | "busy" | "not_a_broker":
            scene.is_heard = True
            unit = units.commands() if finding.code == "timed_out" else None
            if unit:
                how = f"`{unit.systemctl} restart usps-token-broker`, which loses no token"
                fix = f"{how}; what it logged before: `{unit.journal} -n 50`"
                finding = msgspec.structs.replace(finding, fix=fix)
            return _with_listener(finding, path)
        case _:
            return finding


def _with_listener(finding: Finding, path: Path) -> Finding:
    """The process behind it, where the kernel says which: what to do is done to that."""
    try:
        pid = probing.listener(path, ASK_SECONDS)
    except OSError:
        return finding
    running = probing.process(pid)
    if running is None or pid == 1:
        return finding
    who = f"process {pid} ({running.name})"
    if finding.code == "not_a_broker":
        fix = f"`kill {pid}` if it does not belong there; else give the broker another socket = …"
        return msgspec.structs.replace(finding, saw=f"{finding.saw}; it is {who}", fix=fix)
    if running.is_stopped:
        saw, fix = f"{finding.saw}; {who} is stopped", f"`kill -CONT {pid}` has it go on"
        return msgspec.structs.replace(finding, saw=saw, fix=fix)
    state = running.state.partition("(")[2].rstrip(")") or running.state
    saw = f"{finding.saw}; {who} began to listen there, and is {state}"
    return msgspec.structs.replace(finding, saw=saw)


_FIXES: Final = {
    "busy": "see whether the broker hangs, and who calls so much: `usps-token-broker top`",
    "timed_out": "end it (`kill PID`) and start it again, which loses no token",
    "unreachable": "put right what the system says of this path",
}
"""Where what a client should do is not what helps whoever looks at the host."""


def judge_silence(path: Path, error: Exception) -> Finding:
    """Why there was no answer, by what the system said."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            code, saw = "not_installed", f"{path} is not there any more"
        case PermissionError():
            code, saw = "no_permission", f"uid {os.geteuid()} may not open {path}"
        case ConnectionRefusedError():
            code, saw = "not_running", f"{path} is there, and nobody listens on it"
        case BlockingIOError():
            code, saw = "busy", f"more wait at {path} than it takes"
        case TimeoutError():
            code = "timed_out"
            saw = f"{path} takes connections and gives no answer within {ASK_SECONDS:g} s"
        case http.client.HTTPException() | ConnectionError() | ValueError():
            code, saw = "not_a_broker", f"what listens on {path} speaks no HTTP"
        case _:
            why = getattr(error, "strerror", None) or type(error).__name__
            code, saw = "unreachable", f"{path}: {why}"
    return failed(CHECK, code, saw, _FIXES.get(code, ""))


def judge_answer(path: Path, status: int, body: bytes) -> Finding:
    """What the answer to `GET /healthz` says."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return failed(CHECK, "not_a_broker", f"what listens on {path} is no broker ({status})")
    code = str(told.get("code"))
    if status == http.client.FORBIDDEN and code == "forbidden":
        saw = f"a broker answers on {path}, which is not open to uid {os.geteuid()}"
        return warned(CHECK, "forbidden", saw, _asked(told))
    if status >= http.client.BAD_REQUEST and code in {"too_many_requests", "restarting"}:
        return warned(CHECK, code, f"a broker answers on {path}: {_asked(told)}")
    try:
        alive = msgspec.convert(told, AliveMessage)
    except msgspec.ValidationError:
        return failed(CHECK, "bad_answer", f"{path} answers {status}, and not as a broker does")
    if not alive.alive:
        return failed(CHECK, "broker_stuck", f"the broker on {path} says that it is stuck")
    other = "" if alive.version == version() else f"; this command is of {version()}"
    return passed(CHECK, f"{path}: usps-token-broker {alive.version} answers{other}")


def _asked(told: dict[str, Any]) -> str:
    fix = told.get("fix")
    return fix if isinstance(fix, str) else ""


def _ask(path: Path, target: str) -> Heard:
    """The answer, all of it within the deadline. Raises what `probing.ask` does."""
    try:
        return within(ASK_SECONDS + 1, lambda: probing.ask(path, "GET", target, ASK_SECONDS))
    except HangsError:  # it sends a byte now and then
        raise TimeoutError from None


def _status(scene: Scene, path: Path, alive: bytes) -> Iterator[Finding]:
    """How all stands, for the checks that follow."""
    heard = _ask(path, "/v1/status")
    if heard.status != http.client.OK:
        yield judge_answer(path, heard.status, heard.body)
        return
    try:
        status = msgspec.json.decode(heard.body, type=StatusMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        theirs = msgspec.json.decode(alive, type=AliveMessage).version
        saw = f"{path}: the status of version {theirs} makes no sense to this one, {version()}"
        fix = "restart the broker if it was updated; else call the doctor of its own version"
        yield failed(CHECK, "bad_answer", saw, fix)
        return
    scene.status = status
    yield judge_process(status)


def judge_process(status: StatusMessage) -> Finding:
    """The process by its own word."""
    up = span(status.at - status.started_at)
    if status.state_trouble:
        return failed("state", "state_not_saved", f"tokens are not saved: {status.state_trouble}")
    return passed("state", f"process {status.pid}, up {up}, saves its tokens")
