"""`usps-token exec`: another program in our place, with the tokens where it was told."""

from __future__ import annotations

import os
import signal
import sys

from . import _exits, _handing
from ._status_text import span
from ._typing import TYPE_CHECKING
from ._values import AUTHORIZATION, PAYMENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from ._values import Headers

ENVIRONMENT = ""
FD = "--fd"
FILE = "--file"
_SAID = {
    ENVIRONMENT: "{cmd} has the tokens in its environment: this user and root can read them in "
    "/proc/PID/environ, every child inherits them, and reporters of crashes send them. --fd and "
    "--file keep them out of it.",
    FD: "{cmd} has the request headers in a descriptor that USPS_TOKEN_HEADERS names: its children "
    "inherit it where they do not close it, and this user and root can read it in /proc/PID/fd.",
    FILE: "{cmd} has the request headers in a file that USPS_TOKEN_HEADERS names: this user and "
    "root can read it, and it is removed when {cmd} has ended.",
}
"""What each way gives away."""


def become(command: list[str], headers: Headers, expires_in: float | None, into: str) -> NoReturn:
    """Run the command instead of this process; end it when that cannot be.

    The tokens go `into` its ENVIRONMENT, or all header lines into a FD or a FILE.
    """
    dies = "" if expires_in is None else f" and die in {span(expires_in)}"
    said = _SAID[into].format(cmd=command[0])
    _exits.say(f"{said} They are not renewed{dies}.")
    path = ""
    if into == ENVIRONMENT:
        more = {"USPS_BEARER_TOKEN": headers[AUTHORIZATION].partition(" ")[2]}
        if PAYMENT_HEADER in headers:
            more["USPS_PAYMENT_TOKEN"] = headers[PAYMENT_HEADER]
    else:
        text = "".join(f"{name}: {value}\n" for name, value in headers.items()).encode("ascii")
        path = _handing.in_file(text) if into == FILE else _handing.in_descriptor(text)
        more = {"USPS_TOKEN_HEADERS": path}
    _exec(command, more, path if into == FILE else "")


def _exec(command: list[str], more: Mapping[str, str], path: str) -> NoReturn:
    # Python ignores these, and a program inherits what is ignored.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, {**os.environ, **more})  # noqa: S606 - what it is for
    except OSError as error:
        _handing.remove(path)
        missing = isinstance(error, FileNotFoundError)
        _exits.say(f"cannot run {command[0]}: {error.strerror}")
        sys.exit(_exits.NOT_FOUND if missing else _exits.CANNOT_RUN)
