"""`usps-token`: the client for shells and for people. Says on stderr what went wrong, and why."""

from __future__ import annotations

import os
import sys

from . import _arguments, _exits, _help
from ._errors import BrokerError
from ._http import VERSION
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._arguments import Arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    try:
        arguments = _arguments.parse(sys.argv[1:] if argv is None else argv)
        text, status = _run(arguments)
        return _print(text) or status
    except _arguments.UsageError as error:
        return _complain(_exits.USAGE, str(error), _help.USAGE)
    except BrokerError as error:
        again = "" if error.retry_after is None else f"try again in {error.retry_after:.0f} s"
        return _complain(_exits.of(error), f"{error.detail} [{error.named}]", error.fix, again)
    except ValueError as error:
        # A setting of the environment, or a name that no token can have.
        return _complain(_exits.CONFIGURATION, str(error))
    except KeyboardInterrupt:
        return _exits.INTERRUPTED


def _run(arguments: Arguments) -> tuple[str | None, int]:
    """What the command prints, if anything, and what it ends with then."""
    if arguments.command == "help":
        return _help.HELP.rstrip("\n"), _exits.OK
    if arguments.command == "version":
        return _version(), _exits.OK
    from ._commands import Session  # noqa: PLC0415 - help and wrong usage need none of it

    session = Session(arguments)
    if arguments.command == "explain":
        text, known = session.explain_text()
        return text, _exits.OK if known else _exits.DATA_ERROR
    commands = {
        "bearer": session.bearer_text,
        "payment": session.payment_text,
        "headers": session.headers_text,
        "wait": session.wait_text,
        "status": session.status_text,
        "exec": session.execute,
    }
    return commands[arguments.command](), _exits.OK


def _version() -> str:
    """Our version first, for programs; then what a report of trouble needs."""
    system = os.uname()
    return "\n".join(
        (
            f"usps-token-client {VERSION}",
            f"python     {sys.version.partition(' ')[0]} {sys.executable}",
            f"kernel     {system.sysname} {system.release} {system.machine}",
            f"installed  {__file__.rpartition('/')[0]}",
        )
    )


def _print(text: str | None) -> int:
    if text is None:
        return _exits.OK
    try:
        data = f"{text}\n".encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        # Whoever read has read enough.
        return _exits.OK
    except OSError as error:
        return _complain(_exits.IO_ERROR, f"cannot write the answer: {error.strerror}")
    return _exits.OK


def _complain(status: int, *lines: str) -> int:
    _exits.say(*lines)
    return status


if __name__ == "__main__":
    sys.exit(main())
