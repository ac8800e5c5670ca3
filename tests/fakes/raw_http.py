"""A server under test on its own socket, and a client that writes the very bytes it is told."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import anyio
import msgspec

from usps_token_broker.drivers.peers import Peer, look_up_groups, read_peer
from usps_token_broker.drivers.server import Limits, Server, serve
from usps_token_broker.wire.replies import Reply, json_reply
from usps_token_broker.wire.requests import Request

DEADLINE_SECONDS = 10
"""Long enough for a loaded machine; a test that needs it has failed."""


class Answer(NamedTuple):
    """A reply taken apart."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body decoded."""
        return msgspec.json.decode(self.body)


class Served(NamedTuple):
    """A running server and where to find it."""

    server: Server[Peer]
    path: str


def describe(request: Request, peer: Peer) -> Reply:
    """Answers with what was asked."""
    said = {
        "method": request.method,
        "path": request.path,
        "query": dict(request.query),
        "body": request.body.decode("latin-1"),
        "headers": {k.decode(): v.decode("latin-1") for k, v in request.headers.items()},
    }
    return json_reply(200, msgspec.json.encode(said))


def let_in(peer: Peer) -> None:
    """A gate that refuses nobody."""


@asynccontextmanager
async def serving(
    handler: Callable[[Request, Peer], Any] = describe,
    *,
    gate: Callable[[Peer], Reply | None] = let_in,
    limits: Limits | None = None,
    identify: Callable[[socket.socket], Peer] = read_peer,
    groups: Callable[[Peer], None] = look_up_groups,
) -> AsyncIterator[Served]:
    """Runs a server for the length of a test."""
    directory = tempfile.mkdtemp(prefix="utb-")
    path = str(Path(directory, "s"))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    start = partial(
        serve,
        listener,
        handler,
        gate,
        limits or Limits(),
        identify=identify,
        look_up_groups=groups,
    )
    try:
        async with anyio.create_task_group() as tasks:
            yield Served(await tasks.start(start), path)
            tasks.cancel_scope.cancel()
    finally:
        listener.close()
        shutil.rmtree(directory)


class Client:
    """One connection, with nothing done behind the test's back."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.socket.settimeout(0)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    async def send(self, data: bytes) -> None:
        """Sends all of it."""
        with anyio.fail_after(DEADLINE_SECONDS):
            await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Sends each piece on its own, the server reading each before the next, until it closes."""
        with contextlib.suppress(BrokenPipeError):
            for piece in pieces:
                await self.send(piece)
                await turns()

    async def some(self) -> bytes:
        """Whatever comes next; empty at the end."""
        with anyio.fail_after(DEADLINE_SECONDS):
            return await asyncio.get_running_loop().sock_recv(self.socket, 65536)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        while more := await self.some():
            self._received += more
        received, self._received = self._received, b""
        return received

    async def line_end(self, mark: bytes) -> bytes:
        """Everything up to and with a mark."""
        while mark not in self._received:
            more = await self.some()
            assert more, f"closed after {self._received!r}"
            self._received += more
        found, _, self._received = self._received.partition(mark)
        return found + mark

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """The next reply; `bodiless` for one to HEAD."""
        head = (await self.line_end(b"\r\n\r\n")).decode("ascii")
        status, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = dict(field.lower().split(": ", 1) for field in fields)
        length = 0 if bodiless else int(headers.get("content-length", "0"))
        while len(self._received) < length:
            more = await self.some()
            assert more, "closed in the middle of a body"
            self._received += more
        body, self._received = self._received[:length], self._received[length:]
        return Answer(int(status.split(" ")[1]), headers, body)

    async def ask(self, data: bytes) -> Answer:
        """Sends a request and takes its reply."""
        await self.send(data)
        return await self.answer()

    async def is_closed(self) -> bool:
        """Waits for the server to close, and tells whether it did so without another byte."""
        return not self._received and not await self.some()


def get(path: str = "/", *headers: str, version: str = "1.1") -> bytes:
    """The bytes of a GET."""
    fields = "".join(f"{header}\r\n" for header in headers)
    return f"GET {path} HTTP/{version}\r\nHost: localhost\r\n{fields}\r\n".encode()


def post(body: bytes, *headers: str) -> bytes:
    """The bytes of a POST with a body of known length."""
    fields = "".join(f"{header}\r\n" for header in headers)
    return f"POST / HTTP/1.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def turns(count: int = 3) -> None:
    """Lets the loop do what it has to do."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def until(condition: Callable[[], object]) -> None:
    """Waits for something that the loop will make true."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for announces nothing
            await anyio.sleep(0.001)
