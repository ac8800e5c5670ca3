"""One question, one connection, one answer, over a blocking socket."""

from __future__ import annotations

import _socket
import sys

from . import _finding, _fork
from ._http import AnswerReader, cut_answer
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._http import Answer

READ_BYTES = 65536
_COOPERATIVE = ("gevent", "eventlet")
SLOW = "it took the question, and then was silent or slow"
# Ours is no process to be killed by SIGPIPE because a broker went away.
SEND_FLAGS = getattr(_socket, "MSG_NOSIGNAL", 0)


def connect(paths: tuple[str, ...]) -> tuple[_socket.socket, str]:
    """A non-blocking connection to the first socket that exists, and its path.

    Connecting to a Unix socket never takes time: it works, or fails at once (EAGAIN with a full
    backlog, unix(7)). Raises a BrokerError that says which of the many ways it failed.
    """
    for path in paths:
        try:
            return _connect(path), path
        except OSError as error:
            if not _finding.is_missing(error):
                raise _finding.explain(path, error) from None
    raise _finding.not_installed(paths)


def _connect(path: str) -> _socket.socket:
    with _fork.changing:
        connection = _kind()(_socket.AF_UNIX, _socket.SOCK_STREAM)
        _fork.open_sockets.add(connection)
    try:
        connection.settimeout(0.0)
        connection.connect(path)
    except BaseException:
        disconnect(connection)
        raise
    return connection


def _kind() -> type[_socket.socket]:
    """The class of sockets: where gevent or eventlet has put its own in place of Python's, that.

    One greenlet that waits for the broker would stop all others of its thread else.
    """
    patched = getattr(sys.modules.get("socket"), "socket", _socket.socket)
    name: str = getattr(patched, "__module__", "")
    return patched if name.partition(".")[0] in _COOPERATIVE else _socket.socket


def disconnect(connection: _socket.socket) -> None:
    """Close what `connect` opened."""
    with _fork.changing:
        connection.close()
        _fork.open_sockets.discard(connection)


def exchange(
    paths: tuple[str, ...], message: bytes, deadline: float, now: Callable[[], float]
) -> Answer:
    """Ask and wait for the answer, both within `deadline` (an instant of `now`).

    Raises BrokerUnreachable, BrokerTimeout or ProtocolMismatch.
    """
    connection, path = connect(paths)
    try:
        _send(connection, path, message, deadline - now())
        return _receive(connection, path, deadline, now)
    finally:
        disconnect(connection)


def _send(connection: _socket.socket, path: str, message: bytes, seconds: float) -> None:
    try:
        connection.settimeout(max(seconds, 0.0))
        connection.sendall(message, SEND_FLAGS)
    except (BlockingIOError, _socket.timeout):
        raise _finding.timed_out(path, "it does not read the question") from None
    except OSError:
        # It hung up before it read all. Its refusal may lie in our buffer already.
        return


def _receive(
    connection: _socket.socket, path: str, deadline: float, now: Callable[[], float]
) -> Answer:
    reader = AnswerReader()
    while reader.answer is None:
        try:
            connection.settimeout(max(deadline - now(), 0.0))
            data = connection.recv(READ_BYTES)
        except (BlockingIOError, _socket.timeout):
            raise _finding.timed_out(path, SLOW) from None
        except OSError:
            raise cut_answer() from None
        if data:
            reader.feed(data)
        else:
            reader.end()
    return reader.answer
