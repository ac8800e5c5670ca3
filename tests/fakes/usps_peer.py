"""A server on loopback that does to each connection what a script says."""

import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

CHUNK_BYTES = 64 * 1024
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    line: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> object:
        """The body, decoded."""
        return json.loads(self.body)


class Connection:
    """One client, and the few things a script does with it."""

    def __init__(self, stream: ByteStream, peer: "Peer") -> None:
        self._stream = stream
        self._peer = peer

    async def request(self) -> Request:
        """Read a whole request and note it."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += await self._stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        named = (field.partition(":") for field in fields)
        headers = {name.lower(): value.strip() for name, _, value in named}
        while len(body) < int(headers.get("content-length", 0)):
            body += await self._stream.receive()
        request = Request(line, headers, body)
        self._peer.requests.append(request)
        return request

    async def send(self, data: bytes) -> None:
        """Write, and count what the other side made room for."""
        await self._stream.send(data)
        self._peer.bytes_sent += len(data)

    async def answer(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Read the request, answer it whole, and close."""
        await self.request()
        await self.send(whole(status, body, headers or {}))

    async def drain(self) -> None:
        """Read until the other side closes."""
        with contextlib.suppress(*GONE):
            while True:
                await self._stream.receive()

    async def flood(self, megabytes: int) -> None:
        """Write so much, as long as the other side reads."""
        for _ in range(megabytes * 16):
            await self.send(b"x" * CHUNK_BYTES)

    async def relay(self, port: int) -> None:
        """Pass everything on to another server on loopback, as a proxy does, and back."""
        server = await anyio.connect_tcp("127.0.0.1", port)
        async with server, anyio.create_task_group() as tasks:
            tasks.start_soon(_pump, self._stream, server)
            await _pump(server, self._stream)
            tasks.cancel_scope.cancel()

    def reset(self) -> None:
        """Close so that the other side gets an RST."""
        raw = self._stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Script = Callable[[Connection], Awaitable[None]]


class Peer:
    """The server, and what it saw."""

    def __init__(self, script: Script, port: int, scheme: str) -> None:
        self._script = script
        self.port = port
        self.url = f"{scheme}://localhost:{port}"
        self.requests: list[Request] = []
        self.bytes_sent = 0
        self.connections = 0

    async def serve(self, stream: ByteStream) -> None:
        """Play the script to one client."""
        self.connections += 1
        with contextlib.suppress(*GONE):
            async with stream:
                await self._script(Connection(stream, self))


@contextlib.asynccontextmanager
async def peer(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A server on 127.0.0.1, with TLS when a context is given, for the length of the block."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    server = Peer(script, port, "https" if context else "http")
    secure = TLSListener(listener, context, standard_compatible=False) if context else listener
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(secure.serve, server.serve)
        try:
            yield server
        finally:
            tasks.cancel_scope.cancel()


async def _pump(source: ByteStream, sink: ByteStream) -> None:
    with contextlib.suppress(*GONE):
        async for data in source:
            await sink.send(data)


def whole(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The bytes of an answer."""
    fields = {"Content-Length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} Any", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def answering(status: int, body: object, headers: Mapping[str, str] | None = None) -> Script:
    """A script that answers each request alike; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def script(connection: Connection) -> None:
        await connection.answer(status, content, headers)

    return script
