"""`usps-token exec`: another program in our place, with the tokens in its environment."""

from __future__ import annotations

import os
import signal
import sys

from . import _exits
from ._status_text import span
from ._typing import TYPE_CHECKING
from ._values import AUTHORIZATION, PAYMENT_HEADER

if TYPE_CHECKING:
    from typing import NoReturn

    from ._values import Headers


def become(command: list[str], headers: Headers, expires_in: float | None) -> NoReturn:
    """Run the command instead of this process; end it when that cannot be."""
    environment = dict(os.environ)
    environment["USPS_BEARER_TOKEN"] = headers[AUTHORIZATION].partition(" ")[2]
    if PAYMENT_HEADER in headers:
        environment["USPS_PAYMENT_TOKEN"] = headers[PAYMENT_HEADER]
    dies = "" if expires_in is None else f" and die in {span(expires_in)}"
    _exits.say(
        f"{command[0]} has the tokens in its environment, as have its children; this user and "
        f"root can read them there. They are not renewed{dies}."
    )
    # Python ignores these, and a program inherits what is ignored.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - that is what it is for
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        _exits.say(f"cannot run {command[0]}: {error.strerror}")
        sys.exit(_exits.NOT_FOUND if missing else _exits.CANNOT_RUN)
