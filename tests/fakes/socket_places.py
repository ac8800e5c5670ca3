"""What a client may find where the broker's socket should be: one way to make each."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from scripted_broker import ScriptedBroker

Maker = Callable[[ScriptedBroker, ExitStack], str]
"""Makes a place in the broker's folder, and gives the path of the socket there."""


def runtime_of(broker: ScriptedBroker) -> Path:
    """What XDG_RUNTIME_DIR may name; it is there only where a place has made it."""
    return broker.folder / "runtime"


def _listening(broker: ScriptedBroker, _things: ExitStack) -> str:
    return broker.start().path


def _in_the_runtime_directory(broker: ScriptedBroker, _things: ExitStack) -> str:
    home = runtime_of(broker) / "usps-token-broker"
    home.mkdir(parents=True)
    (home / "broker.sock").symlink_to(broker.start().path)
    return broker.path


def _none(broker: ScriptedBroker, _things: ExitStack) -> str:
    return broker.path


def _no_directory(broker: ScriptedBroker, _things: ExitStack) -> str:
    return str(broker.folder / "none" / "broker.sock")


def _dead(broker: ScriptedBroker, _things: ExitStack) -> str:
    broker.start().stop()
    return broker.path


def _a_file(broker: ScriptedBroker, _things: ExitStack) -> str:
    Path(broker.path).touch()
    return broker.path


def _a_directory(broker: ScriptedBroker, _things: ExitStack) -> str:
    Path(broker.path).mkdir()
    return broker.path


def _for_datagrams(broker: ScriptedBroker, things: ExitStack) -> str:
    bound = things.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    bound.bind(broker.path)
    return broker.path


def _closed_to_this_user(broker: ScriptedBroker, things: ExitStack) -> str:
    """Closed to its owner too, unless that is root, whom nothing is closed to."""
    path = broker.folder / "closed" / "broker.sock"
    path.parent.mkdir()
    bound = things.enter_context(socket.socket(socket.AF_UNIX))
    bound.bind(str(path))
    bound.listen()
    broker.folder.chmod(0o755)
    path.parent.chmod(0o700 if os.geteuid() == 0 else 0)
    things.callback(path.parent.chmod, 0o700)
    return str(path)


def _full(broker: ScriptedBroker, things: ExitStack) -> str:
    broker.listen(backlog=0)
    waiting = things.enter_context(socket.socket(socket.AF_UNIX))
    waiting.connect(broker.path)
    return broker.path


PLACES: dict[str, Maker] = {
    "listening": _listening,
    "in the runtime directory": _in_the_runtime_directory,
    "none at the usual places": _none,
    "none": _none,
    "no directory": _no_directory,
    "dead": _dead,
    "a file": _a_file,
    "a directory": _a_directory,
    "for datagrams": _for_datagrams,
    "closed to this user": _closed_to_this_user,
    "full": _full,
}
USUAL = {"in the runtime directory", "none at the usual places"}
"""Places that can only be told where the machine has no broker of its own."""
