"""Where the socket and the state lie: as the file says, else the environment, else by custom."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usps_token_broker.config.kinds import FullPath
from usps_token_broker.config.tables import Table, Variables

_NAME: Final = "usps-token-broker"
_STATE_NAME: Final = f"{_NAME}-state"
_NOWHERE: Final = Path("/nonexistent")


@dataclass(frozen=True, slots=True)
class _Place:
    """One of the two paths: its key, its variable, and its place in a run directory."""

    key: str
    variable: str
    kind: FullPath
    custom: str


# sun_path has 108 bytes with the NUL, unix(7). Clients look for USPS_TOKEN_SOCKET too.
_SOCKET: Final = _Place(
    "socket",
    "USPS_TOKEN_SOCKET",
    FullPath('"/run/usps-token-broker/broker.sock"', longest_bytes=107),
    f"{_NAME}/broker.sock",
)
# The admin socket lies in there.
_STATE_DIR: Final = _Place(
    "state_dir",
    "USPS_TOKEN_STATE_DIR",
    FullPath('"/var/lib/usps-token-broker"', longest_bytes=107 - len("/admin.sock")),
    _STATE_NAME,
)


def read_places(
    file: Table | None, environment: Variables, environ: Mapping[str, str], *, uid: int
) -> tuple[Path, Path]:
    """The socket's path and the state directory. What is wrong is noted on the tables."""
    directory = _run_directory(environ, uid=uid)
    socket_path = _read(_SOCKET, file, environment, directory)
    state_dir = _read(_STATE_DIR, file, environment, directory)
    if state_dir != _NOWHERE and socket_path.is_relative_to(state_dir):
        (file or environment).note(
            "a socket outside of the state directory, which is closed to workers",
            f"{socket_path} in {state_dir}",
            "give each a directory of its own",
            _SOCKET.variable if file is None else _SOCKET.key,
        )
    return socket_path, state_dir


def _read(
    place: _Place, file: Table | None, environment: Variables, directory: Path | None
) -> Path:
    if file is not None:
        path = file.take(place.key, place.kind, None)
        if place.key in file:
            return path or _NOWHERE
    if place.variable in environment:
        return environment.take(place.variable, place.kind, _NOWHERE)
    if directory is not None:
        custom = {place.key: str(directory / place.custom)}
        return Table(str(directory), custom, environment.problems).take(
            place.key, place.kind, _NOWHERE
        )
    example = place.kind.example
    written = "" if file is None else f"{file.assignment(place.key, example)}, or "
    (file or environment).note(
        "a path",
        "nothing, and no XDG_RUNTIME_DIR to take its place",
        f"{written}{environment.assignment(place.variable, example)}\n"
        "or set XDG_RUNTIME_DIR as a login does, to /run/user/UID",
        place.variable if file is None else place.key,
    )
    return _NOWHERE


def _run_directory(environ: Mapping[str, str], *, uid: int) -> Path | None:
    """The directory in which those of socket and state lie; None when there is none for us.

    For root and under our unit that is /run: the unit's RuntimeDirectory is named as ours. Under
    a user's own service manager, and by hand, it is that user's.
    """
    for path in environ.get("RUNTIME_DIRECTORY", "").split(":"):
        if path.startswith("/") and Path(path).name == _STATE_NAME:
            return Path(path).parent
    if uid == 0:
        return Path("/run")
    own = environ.get("XDG_RUNTIME_DIR", "")
    # The XDG Base Directory Specification has relative paths ignored.
    return Path(own) if own.startswith("/") else None
