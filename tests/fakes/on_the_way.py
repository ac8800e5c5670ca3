"""What may stand between a broker and USPS: a proxy that tunnels, and the TLS of a server.

Both listen on loopback in a thread of their own, so that tests of real processes can use them.
"""

import contextlib
import ssl
from collections.abc import Iterator
from typing import Literal

import trustme
from anyio.from_thread import start_blocking_portal
from usps_peer import Connection, Peer, Script, peer

Conduct = Literal["tunnel", "hang"] | int


@contextlib.contextmanager
def listening(script: Script, context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """A server that follows this script, for the length of the block."""
    with (
        start_blocking_portal(backend="asyncio") as portal,
        portal.wrap_async_context_manager(peer(script, context)) as server,
    ):
        yield server


class ConnectProxy:
    """An HTTP proxy that brings every tunnel to one server, whatever name it was asked for.

    So a name that nobody can look up leads there through the proxy, and in no other way.
    """

    def __init__(self, onward_port: int = 9) -> None:
        self._onward_port = onward_port
        self.conduct: Conduct = "tunnel"
        """`tunnel`, `hang` without a word, or the status with which it refuses."""
        self.targets: list[str] = []
        """What each client asked for, such as `CONNECT usps.test:443`."""

    async def __call__(self, connection: Connection) -> None:
        """One client."""
        request = await connection.request()
        method, target, _ = request.line.split(" ")
        self.targets.append(f"{method} {target}")
        if self.conduct == "hang":
            await connection.drain()
        elif isinstance(self.conduct, int):
            refusal = f"HTTP/1.1 {self.conduct} No\r\nContent-Length: 0\r\n\r\n"
            await connection.send(refusal.encode())
        elif method == "CONNECT":
            await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await connection.relay(self._onward_port)
        else:
            await connection.send(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")


@contextlib.contextmanager
def with_tls(port: int, authority: trustme.CA, name: str) -> Iterator[Peer]:
    """The server at this port, spoken to in TLS under this name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    with listening(lambda connection: connection.relay(port), context) as front:
        yield front
