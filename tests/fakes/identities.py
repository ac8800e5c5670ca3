"""A child process that is somebody else: for peers whose uid and groups the kernel vouches for."""

import os
import socket
from collections.abc import Callable, Iterable
from typing import NamedTuple

DEADLINE_SECONDS = 30.0


class Identity(NamedTuple):
    """Who a process is."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def as_identity(identity: Identity, call: Callable[[], bytes]) -> bytes:
    """What `call` returns in a child process of this identity; only root can have one."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            os.setgroups(identity.groups)
            os.setresgid(identity.gid, identity.gid, identity.gid)
            os.setresuid(identity.uid, identity.uid, identity.uid)
            _write(writing, call())
            code = 0
        except BaseException as error:  # noqa: BLE001 - it is told to the parent
            _write(writing, f"raised {error!r}".encode())
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, answer
    return answer


def _write(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(data)


def exchange(path: str, sent: Iterable[bytes]) -> bytes:
    """Everything that a server sends until it closes, after these bytes were sent."""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(DEADLINE_SECONDS)
        connected.connect(path)
        for piece in sent:
            connected.sendall(piece)
        received = b""
        while more := connected.recv(65536):
            received += more
        return received


def request(target: str, method: str = "GET") -> bytes:
    """One request, after whose answer the server closes."""
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
