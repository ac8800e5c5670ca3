"""What lies on the disk: client secrets, and the directories of socket and state."""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from usps_token_broker.config import AppSettings
from usps_token_broker.core.values import Secret
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.drivers import probing
from usps_token_broker.drivers.probing import Identity, Room
from usps_token_broker.drivers.secret_source import (
    CredentialSource,
    EnvironmentSource,
    FileSource,
    Judge,
    SecretError,
    SecretSource,
    forbidden,
    read_secret,
)

_SECRET: Final = "secret"  # noqa: S105 - the name of a check
_PLACES: Final = "directories"
_CONNECT: Final = 0o222
"""What connecting takes (unix(7)); the broker and the socket unit give it to everybody."""
_OR: Final = ", or set state_dir to another; tokens are served meanwhile, and lost with the process"
_ENOUGH_BYTES: Final = 1024 * 1024
"""The state of hundreds of tokens, twice."""


def look_at_secrets(scene: Scene) -> Iterator[Finding]:
    """Each app's client secret, as the daemon's user would read it. Never shown. Blocks."""
    if scene.settings is None:
        yield unseen(_SECRET, "there is no configuration that says where one is")
        return
    daemon = scene.daemon()
    for app in scene.settings.apps:
        yield _secret(app, daemon, scene)


def _secret(app: AppSettings, daemon: Identity, scene: Scene) -> Finding:
    name = f"app {app.name}"
    match app.secret:
        case CredentialSource() if "CREDENTIALS_DIRECTORY" not in scene.environ:
            return unseen(
                _SECRET,
                f"{name}: a systemd credential, which only the unit is given",
                "`systemctl show -p LoadCredential usps-token-broker` says which file it is",
            )
        case EnvironmentSource(variable) if variable not in scene.environ:
            return unseen(_SECRET, f"{name}: a variable that only the broker's environment has")
        case _:
            return _readable_secret(name, app.secret, daemon, scene)


def _readable_secret(name: str, source: SecretSource, daemon: Identity, scene: Scene) -> Finding:
    """By reading it, which judges its way, its owner and its mode."""
    try:
        read_as(daemon, source, scene.environ)
    except SecretError as error:
        if os.geteuid() not in (0, daemon.uid) and "may not read" in error.why:
            return unseen(_SECRET, f"{name}: {error.what} is not open to this user", "use sudo")
        return failed(_SECRET, error.reason, f"{name}: {error.what}: {error.why}", error.do)
    if not isinstance(source, FileSource):
        return passed(_SECRET, f"{name}: it is there")
    return passed(_SECRET, f"{name}: {source.path}, for uid {daemon.uid} and root alone")


def read_as(daemon: Identity, source: SecretSource, environ: Mapping[str, str]) -> Secret:
    """The secret, if the daemon's user could read it as well; only root can tell for another.

    Blocks. Raises SecretError.
    """
    secret = read_secret(source, environ, uid=daemon.uid, gid=daemon.gid)
    if isinstance(source, FileSource) and probing.may(daemon, "r", source.path) is False:
        raise _forbidden(source.path, daemon)
    return secret


def _forbidden(path: Path, daemon: Identity) -> SecretError:
    """The first on the way that the daemon's user may not pass, or the file itself."""
    way = reversed(path.parents)
    closed = next((at for at in way if probing.may(daemon, "x", at) is False), path)
    return forbidden(Judge(f"the secret file {path}", daemon.uid, daemon.gid), path, closed)


def look_at_places(scene: Scene) -> Iterator[Finding]:
    """The directories of socket and state. Blocks."""
    if scene.settings is None:
        yield unseen(_PLACES, "there is no configuration that says where they are")
        return
    daemon = scene.daemon()
    yield from _socket_directory(scene.settings.socket_path.parent)
    with contextlib.suppress(OSError):
        if scene.is_heard:  # a stale one is told already
            yield from judge_socket_file(
                scene.settings.socket_path, scene.settings.socket_path.stat()
            )
    yield from _state_directory(scene.settings.state_dir, daemon)


def _socket_directory(path: Path) -> Iterator[Finding]:
    try:
        status = path.stat()
    except FileNotFoundError:
        yield judge_missing(path, "socket")
        return
    except PermissionError:
        yield failed(_PLACES, "no_permission", f"uid {os.geteuid()} cannot look at {path}")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield failed(_PLACES, "not_installed", f"{path}, for the socket, is no directory")
        return
    closed = next((at for at in (path, *path.parents) if not _is_open(at)), None)
    mode = stat.S_IMODE(status.st_mode)
    if closed is not None:
        saw = f"{closed}, on the way to the socket, is closed to users whom its mode does not name"
        yield warned(_PLACES, "no_permission", saw, f"`chmod o+x {closed}`, if workers need it")
    elif mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        saw = f"everybody may put another socket into {path} (mode {mode:04o})"
        yield failed(_PLACES, "socket_replaceable", saw, f"`chmod o-w {path}`")
    else:
        yield passed(_PLACES, f"{path}, for the socket: mode {mode:04o}, open to workers")


def judge_missing(path: Path, what: str) -> Finding:
    """A directory is made at the start, and none of those above it."""
    if path.parent.is_dir():
        return unseen(_PLACES, f"{path}, for the {what}: the broker makes it when it starts")
    saw = f"{path}, for the {what}, cannot be made: {path.parent} is not there"
    return failed(_PLACES, "not_running", saw, f"`mkdir -p -m 755 {path.parent}`")


def judge_socket_file(path: Path, status: os.stat_result) -> Iterator[Finding]:
    """Nothing, where everybody may connect: the configuration decides who is answered."""
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISSOCK(status.st_mode) and mode & _CONNECT != _CONNECT:
        saw = f"{path} is not open to everybody (mode {mode:04o}), so workers are turned away"
        yield warned(_PLACES, "no_permission", saw, f"`chmod 666 {path}`, or restart the broker")


def _is_open(path: Path) -> bool:
    """Whether everybody may pass."""
    return bool(path.stat().st_mode & stat.S_IXOTH)


def _state_directory(path: Path, daemon: Identity) -> Iterator[Finding]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        yield judge_missing(path, "state")
        return
    except PermissionError:
        yield unseen(_PLACES, f"{path}, for the state, is not open to this user", "use sudo")
        return
    yield judge_state_directory(path, status, daemon)
    if not stat.S_ISDIR(status.st_mode):
        return
    with contextlib.suppress(PermissionError):
        yield from judge_room(path, probing.room(path))


def judge_room(path: Path, room: Room) -> Iterator[Finding]:
    """Nothing, where there is enough of it."""
    if room.read_only:
        why, fix = "can only be read", f"`mount -o remount,rw` it, if nothing is wrong with it{_OR}"
    elif not room.files:
        why, fix = "takes no more files", f"remove files that nobody needs there{_OR}"
    elif room.free < _ENOUGH_BYTES:
        why, fix = f"has {room.free // 1024} KiB left", f"make room there{_OR}"
    else:
        return
    yield failed(_PLACES, "state_not_saved", f"the file system of {path} {why}", fix)


def judge_state_directory(path: Path, status: os.stat_result, daemon: Identity) -> Finding:
    """By what it is, whose, and whom it is open to."""
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        saw = f"{path}, for the state, is no directory"
        return failed(_PLACES, "state_not_saved", saw, "move it away, or set state_dir to another")
    if status.st_uid != daemon.uid:
        saw = f"{path} belongs to uid {status.st_uid}, and the broker runs as uid {daemon.uid}"
        return failed(_PLACES, "state_not_saved", saw, f"`chown {daemon.uid} {path}`")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        saw = f"{path}, in which tokens lie, is open to others (mode {mode:04o})"
        return failed(_PLACES, "state_exposed", saw, f"`chmod 700 {path}`")
    return passed(_PLACES, f"{path}, for the state: mode {mode:04o}, of uid {status.st_uid}")
