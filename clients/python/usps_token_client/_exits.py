"""What a process of the command line ends with: a status (sysexits.h) and some words."""

from __future__ import annotations

import sys

from ._errors import (
    BrokerError,
    BrokerTimeout,
    BrokerUnreachable,
    NoPermission,
    ProtocolMismatch,
)

OK = 0
USAGE = 64
DATA_ERROR = 65
UNAVAILABLE = 69
CANNOT_CREATE = 73
IO_ERROR = 74
TRY_AGAIN = 75
PROTOCOL = 76
NO_PERMISSION = 77
CONFIGURATION = 78
CANNOT_RUN = 126
NOT_FOUND = 127
INTERRUPTED = 130

_OF_CODE = {"bad_request": USAGE, "too_large": USAGE, "busy": TRY_AGAIN}
_OF_TYPE = (
    (NoPermission, NO_PERMISSION),
    (BrokerUnreachable, UNAVAILABLE),
    (BrokerTimeout, TRY_AGAIN),
    (ProtocolMismatch, PROTOCOL),
)


def of(error: BrokerError) -> int:
    """The exit status that tells a script what to do about this error."""
    if error.code in _OF_CODE:
        return _OF_CODE[error.code]
    for error_type, status in _OF_TYPE:
        if isinstance(error, error_type):
            return status
    return CONFIGURATION if error.permanent else TRY_AGAIN


def say(*lines: str) -> None:
    """Tell the person at the terminal; empty lines are left out."""
    first, *more = [line for line in lines if line]
    text = "\n  ".join([f"usps-token: {first}", *more])
    # A closed stderr is None, which print takes for stdout: that is for tokens, or for CMD.
    if sys.stderr is not None:
        print(text, file=sys.stderr)  # noqa: T201
