"""All hosts of the world on this machine's loopback, over TLS or not, as a client asks for them.

Names lead to a listener of their own for each host and port, so what a request says it is for and
where it really went are two things. A certificate is made for whatever name a client asks.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import trustme
from scripted_broker import DEADLINE_SECONDS, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_TLS_HANDSHAKE = b"\x16"


@dataclass
class Seen:
    """One request: where it arrived, and what it said."""

    scheme: str
    host: str
    port: int
    method: str
    target: str
    pairs: list[tuple[str, str]]
    body: bytes

    @property
    def place(self) -> tuple[str, str, int]:
        """Scheme, host and port that were really called."""
        return self.scheme, self.host, self.port

    def header(self, name: str) -> str | None:
        """The values of a header, None without one."""
        values = [value for key, value in self.pairs if key.lower() == name.lower()]
        return ", ".join(values) if values else None


@cache
def authority() -> trustme.CA:
    """Who signs the certificates of this world."""
    return trustme.CA()


@cache
def _context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = _show_certificate
    authority().issue_cert(name).configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """What a client trusts in this world."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


@dataclass
class World:
    """Answers every request with 200 `done`, or with what lies in `answers`, in order.

    `refuses` is a function of the request that gives a Reply to send in place of that, or None.
    """

    answers: list[Reply] = field(default_factory=list)
    refuses: Callable[[Seen], Reply | None] | None = None
    hangs_up: bool = False
    """After each answer."""
    seen: list[Seen] = field(default_factory=list)
    _doors: dict[tuple[str, int], socket.socket] = field(default_factory=dict)
    _connections: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        """As `socket.getaddrinfo`: the listener that stands for this host and port."""
        name = host.decode("ascii") if isinstance(host, bytes) else str(host)
        with self._lock:
            door = self._doors.get((name, int(port)))
            if door is None:
                door = socket.create_server(("127.0.0.1", 0))
                self._doors[name, int(port)] = door
                self._spawn(self._accept, door, name, int(port))
        address = door.getsockname()
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]

    def close(self) -> None:
        """Hang up on everybody."""
        for listener in self._doors.values():
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            left = list(self._connections)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, door: socket.socket, host: str, port: int) -> None:
        while True:
            try:
                connection, _ = door.accept()
            except OSError:
                return
            connection.settimeout(DEADLINE_SECONDS)
            with self._lock:
                self._connections.append(connection)
                self._spawn(self._converse, connection, host, port)

    def _converse(self, connection: socket.socket, host: str, port: int) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            scheme = "http"
            if connection.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
                scheme = "https"
                connection = _context(host).wrap_socket(connection, server_side=True)
                stack.callback(connection.close)
                with self._lock:
                    self._connections.append(connection)
            stream = stack.enter_context(connection.makefile("rb"))
            while self._serve(connection, stream, (scheme, host, port)):
                pass

    def _serve(
        self, connection: socket.socket, stream: BinaryIO, place: tuple[str, str, int]
    ) -> bool:
        request = _read(stream, place)
        if request is None:
            return False
        with self._lock:
            self.seen.append(request)
            reply = self.refuses(request) if self.refuses else None
            if reply is None:
                reply = self.answers.pop(0) if self.answers else Reply(200, b"done")
        connection.sendall(reply.encode())
        return not self.hangs_up


def _show_certificate(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    if name is not None:
        connection.context = _context(name)


def _read(stream: BinaryIO, place: tuple[str, str, int]) -> Seen | None:
    first = stream.readline().decode("latin-1").split()
    if not first:
        return None
    pairs = []
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        pairs.append((name, value.strip()))
    seen = Seen(*place, first[0], first[1], pairs, b"")
    if seen.header("Transfer-Encoding"):
        while size := int(stream.readline(), 16):
            seen.body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        seen.body = stream.read(int(seen.header("Content-Length") or 0))
    return seen


def zipped(text: bytes, status: int) -> Reply:
    """An answer in gzip."""
    return Reply(status, gzip.compress(text), {"Content-Encoding": "gzip"})
