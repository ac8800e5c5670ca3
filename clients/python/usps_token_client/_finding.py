"""Where the broker's socket is, and what it means when it cannot be reached."""

from __future__ import annotations

import errno
import os
import stat

from ._errors import (
    BrokerError,
    BrokerNotInstalled,
    BrokerNotRunning,
    BrokerTimeout,
    BrokerUnreachable,
    NoPermission,
    ProtocolMismatch,
)

VARIABLE = "USPS_TOKEN_SOCKET"
SYSTEM_SOCKET = "/run/usps-token-broker/broker.sock"
_START = "`systemctl status usps-token-broker.socket usps-token-broker` tells why"


def paths(argument: str | None) -> tuple[str, ...]:
    """Where to look, in order; the first that exists is the broker's.

    A path that somebody named is the only one: while that broker restarts, another one (say, of
    the production host) must not take its place.
    """
    named = argument or os.environ.get(VARIABLE)
    if named:
        return (named,)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = (f"{runtime}/usps-token-broker/broker.sock",) if runtime else ()
    return (SYSTEM_SOCKET, *own)


def is_missing(error: OSError) -> bool:
    """Whether there is nothing at this path, so that the next one may be tried."""
    return error.errno in {errno.ENOENT, errno.ENOTDIR}


def not_installed(tried: tuple[str, ...]) -> BrokerNotInstalled:
    """Nothing at any path.

    Passing where the socket's directory is there: a broker that is started by hand takes its
    socket away with it, and brings it back.
    """
    places = [os.path.dirname(path) or "." for path in tried]  # noqa: PTH120 - pathlib costs 10 ms
    return BrokerNotInstalled(
        f"no token broker on this host: there is no socket at {' or '.join(tried)}",
        fix=f"install and start usps-token-broker, or name its socket in {VARIABLE}; "
        "without a broker, set USPS_TOKEN_STATIC",
        passing=any(os.path.isdir(place) for place in places),  # noqa: PTH112 - as above
    )


def explain(path: str, error: OSError) -> BrokerError:
    """What a failed connect to this path means, as one of ours."""
    number = error.errno
    if number == errno.ECONNREFUSED:
        return _refused(path)
    if number in {errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS}:
        return BrokerUnreachable(
            f"the broker at {path} has more callers queued than it can take",
            fix="try again; if this goes on, something on this host asks in a loop",
            code="busy",
            passing=True,
        )
    if number in {errno.EACCES, errno.EPERM}:
        uid, gid = os.geteuid(), os.getegid()
        return NoPermission(
            f"the system does not let this process (uid {uid}, gid {gid}) open {path}",
            fix="let its directory be entered by all; who may have which token, the broker decides",
        )
    if number == errno.EPROTOTYPE:
        return ProtocolMismatch(
            f"{path} is a socket of another kind, not a broker's",
            fix=f"correct {VARIABLE}",
            code="not_a_broker",
        )
    return BrokerUnreachable(f"cannot connect to the broker at {path}: {_words(error)}")


def _words(error: OSError) -> str:
    if error.errno is not None:
        return os.strerror(error.errno)
    # The one OSError without a number that connecting raises: the path does not fit.
    return "the path is longer than the 107 bytes a Unix socket may have"


def _refused(path: str) -> BrokerNotRunning:
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116 - pathlib costs 10 ms
    except OSError:
        is_socket = True
    if not is_socket:
        return BrokerNotRunning(
            f"{path} is not a socket, so no broker listens there", fix=f"correct {VARIABLE}"
        )
    return BrokerNotRunning(
        f"the token broker is not running: nobody listens on {path}", fix=_START, passing=True
    )


def timed_out(path: str, what: str) -> BrokerTimeout:
    """The deadline passed while we waited for this."""
    return BrokerTimeout(
        f"the broker at {path} gave no answer in time: {what}",
        fix=f"{_START}; give the client a longer `timeout` if USPS is only slow",
    )
