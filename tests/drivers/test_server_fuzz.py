"""Hostile clients against a live server: it answers or closes, stays small, and goes on."""

import asyncio
import random
import socket
import threading
from itertools import pairwise

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_http import DEADLINE_SECONDS, get, post, serving

from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire.replies import json_reply

SMALL = json_reply(200, b"{}")
LARGE = json_reply(200, b"x" * 300_000)


async def _later():
    await anyio.lowlevel.checkpoint()
    return SMALL


def handler(request, peer):
    """Answers now, later, at length, or not at all."""
    if request.path == "/later":
        return _later()
    if request.path == "/large":
        return LARGE
    if request.path == "/fail":
        raise ValueError
    return SMALL


class LiveServer:
    """A server in a thread of its own, for blocking clients."""

    def __init__(self, limits):
        self._limits = limits
        self._ready = threading.Event()
        self._thread = threading.Thread(target=anyio.run, args=(self._main,))

    async def _main(self):
        async with serving(handler, limits=self._limits) as served:
            self.served = served
            self._enough = asyncio.Event()
            self._loop = asyncio.get_running_loop()
            self._ready.set()
            await self._enough.wait()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(DEADLINE_SECONDS)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._enough.set)
        self._thread.join(DEADLINE_SECONDS)

    def connect(self):
        """A client that waits at most so long."""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(DEADLINE_SECONDS)
        client.connect(self.served.path)
        return client

    def is_well(self):
        """Whether a modest client is served."""
        with self.connect() as client:
            client.sendall(get())
            return client.recv(65536) == SMALL.whole


@pytest.fixture(scope="module")
def live():
    """One server for all that is thrown at it."""
    limits = Limits(head_seconds=2, body_seconds=2, linger_seconds=0.5, connections_per_uid=64)
    with LiveServer(limits) as server:
        yield server


def exchange(client, pieces):
    """Sends pieces and reads until the server has no more to say to a client that is done."""
    received = b""
    try:
        for piece in pieces:
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        while more := client.recv(65536):
            received += more
    except (BrokenPipeError, ConnectionResetError):
        pass
    return received


# fmt: off
parts = st.sampled_from(
    [
        get(), get("/later"), get("/large"), get("/fail"), get("/", "Connection: close"),
        get().replace(b"GET", b"HEAD"), post(b"abc"),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\r\n", b"\r\n", b"GET / HT",
        b"\0", b"Content-Length: 5\r\n", b"x" * 20_000,
    ]
)
# fmt: on


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(parts | st.binary(max_size=40), max_size=12), st.randoms(use_true_random=False))
def test_anything_is_answered_or_closed(live, sent, dice):
    """Any bytes in any pieces end in replies and the end of the connection, never in silence."""
    data = b"".join(sent)
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(4))
    edges = [0, *cuts, len(data)]
    with live.connect() as client:
        received = exchange(client, (data[a:b] for a, b in pairwise(edges) if a < b))
    assert received == b"" or received.startswith(b"HTTP/1.1 ")
    assert live.is_well()


def test_clients_that_vanish_leave_nothing(live):
    """Clients that leave at any moment are forgotten, and so is what was held for them."""
    dice = random.Random(7)
    for _ in range(300):
        with live.connect() as client:
            data = get("/later") + get("/large") + post(b"abc") * 3
            sent = dice.randrange(len(data))
            client.sendall(data[:sent])
            if sent >= len(get("/later")) and dice.random() < 0.5:
                client.recv(10)
    assert live.is_well()
    hub = live.served.server._hub
    with live.connect() as last:
        exchange(last, [get()])
    for _ in range(DEADLINE_SECONDS * 100):
        if not hub.members:
            break
        threading.Event().wait(0.01)
    assert not hub.members
    assert live.served.server.connections == live.served.server.waiting == hub.refusals == 0


def test_greedy_clients_are_held_to_their_share(live):
    """Sixty clients that ask without end and never read cost a bounded amount of memory."""
    greedy = [live.connect() for _ in range(60)]
    try:
        for client in greedy:
            client.settimeout(0)
            sent = 0
            try:
                while sent < 1_000_000:
                    sent += client.send(get("/large") * 500)
            except BlockingIOError:
                pass
        assert live.is_well()
        members = list(live.served.server._hub.members)
        held = sum(
            len(getattr(m, "_rest", b"")) + m._stream.get_write_buffer_size() for m in members
        )
        assert held <= 60 * (len(LARGE.whole) + 2 * 16 * 1024)
    finally:
        for client in greedy:
            client.close()
