"""Listening on a port: what is said when it cannot be had, and what one visitor may take."""

import errno
import os
import socket
import struct

import anyio
import pytest
from free_port import free_port, has_ipv6
from raw_http import DEADLINE_SECONDS, describe, get, let_in

from usps_token_broker.app.http_door import LIMITS
from usps_token_broker.drivers.server import Limits, Server
from usps_token_broker.drivers.tcp_listener import ListenError, Visitor, _refused, identify, listen

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def refusal(address, port):
    with pytest.raises(ListenError) as refused:
        listen(address, port, "http.listen").close()
    return str(refused.value)


def connect(port, address="127.0.0.1"):
    return socket.create_connection((address, port), timeout=DEADLINE_SECONDS)


def said(port, data, address="127.0.0.1"):
    """Everything that is answered to these bytes."""
    with connect(port, address) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b""))


class serving:  # noqa: N801 - read as a word, in `async with`
    """A server on a port of this machine."""

    def __init__(self, limits=LIMITS, address="127.0.0.1"):
        self._limits, self._address = limits, address

    async def __aenter__(self):
        self._port = free_port(self._address)
        self.port = self._port.__enter__()
        self._listener = listen(self._address, self.port, "http.listen")
        self.server = Server(
            self._listener, describe, let_in, self._limits, identify=identify, look_up_groups=let_in
        )
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self._tasks.start(self.server.run)
        return self

    async def __aexit__(self, *error):
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(*error)
        self._listener.close()
        self._port.__exit__(None, None, None)

    async def said(self, data):
        return await anyio.to_thread.run_sync(said, self.port, data, self._address)


def test_a_port_that_somebody_has_is_said_with_key_and_fix():
    """And how to find out who it is."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = refusal("127.0.0.1", port)
    assert text.startswith(f"http.listen: cannot listen on 127.0.0.1:{port}: Address already in us")
    assert f"ss -ltnp sport = :{port}" in text
    assert "set http.listen to another port" in text


def test_an_address_that_the_machine_has_not_is_said():
    """192.0.2.0/24 is for documentation (RFC 5737), so nobody has it."""
    text = refusal("192.0.2.1", 9842)
    assert "192.0.2.1:9842" in text
    assert "an address that this machine has" in text


def test_a_port_can_be_had_again_at_once():
    """Although connections of the broker before linger for a minute."""
    with free_port() as port:
        with listen("127.0.0.1", port, "k") as first, connect(port) as client:
            first.settimeout(DEADLINE_SECONDS)
            connected, _ = first.accept()
            connected.close()  # the one that closes first is the one that lingers
            assert client.recv(1) == b""
        listen("127.0.0.1", port, "k").close()


@needs_ipv6
def test_the_unspecified_address_of_ipv6_takes_both():
    """A pod has addresses of either kind."""
    with free_port("::") as port, listen("::", port, "k") as listener:
        listener.settimeout(DEADLINE_SECONDS)
        for address in ("::1", "127.0.0.1"):
            with connect(port, address):
                listener.accept()[0].close()


@needs_ipv6
def test_an_ipv4_visitor_is_the_same_over_either():
    """So that it has no second share of connections."""
    keys = set()
    for address in ("::", "127.0.0.1"):
        with free_port(address) as port, listen(address, port, "k") as listener:
            listener.settimeout(DEADLINE_SECONDS)
            with connect(port):
                connected, _ = listener.accept()
                with connected:
                    keys.add(identify(connected).uid)
    assert keys == {0x7F000001}


def test_a_visitor_who_has_left_is_anybody():
    """A scan of ports leaves no trace in the log."""
    with free_port() as port, listen("127.0.0.1", port, "k") as listener:
        listener.settimeout(DEADLINE_SECONDS)
        client = connect(port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connected, _ = listener.accept()
        client.close()  # with a reset
        with connected:
            assert identify(connected).uid == 0


def test_a_visitor_is_in_no_group():
    """So nothing is looked up for it."""
    assert Visitor(1).groups == frozenset()


@pytest.mark.anyio
async def test_it_speaks_http():
    """As on the Unix socket."""
    async with serving() as served:
        answer = await served.said(get("/x", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"path":"/x"' in answer


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"bad_request"),  # a TLS client
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 9000, b"too_large"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1025\r\n\r\n", b"too_large"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"bad_request"),
    ],
)
async def test_what_is_no_request_is_refused(data, code):
    """And the connection ends."""
    async with serving() as served:
        answer = await served.said(data)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert code in answer


@pytest.mark.anyio
async def test_a_slow_head_ends():
    """Told why, within its time."""
    async with serving(Limits(head_seconds=0.02, counted_by="address")) as served:
        answer = await served.said(b"GET / HT")
    assert b"the head of the request took longer than" in answer


@pytest.mark.anyio
async def test_one_address_has_its_share_and_no_more():
    """In words that do not speak of users."""
    limits = Limits(connections_per_uid=2, connections=8, counted_by="address")
    async with serving(limits) as served:
        with connect(served.port), connect(served.port):
            answer = await served.said(b"")
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"this address already has 2 connections, the most that one address may have" in answer
    assert b"uid" not in answer


@pytest.mark.anyio
async def test_another_address_is_served_meanwhile():
    """Who takes its share keeps only itself waiting."""
    limits = Limits(connections_per_uid=2, connections=8, counted_by="address")

    def from_elsewhere(port):
        with socket.socket() as client:
            client.settimeout(DEADLINE_SECONDS)
            client.bind(("127.0.0.2", 0))
            client.connect(("127.0.0.1", port))
            client.sendall(get("/", "Connection: close"))
            return client.recv(65536)

    async with serving(limits) as served:
        with connect(served.port), connect(served.port):
            answer = await anyio.to_thread.run_sync(from_elsewhere, served.port)
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("number", "port", "fix"),
    [
        (errno.EACCES, 80, "set http.listen to a port from 1024 on"),
        (errno.EPERM, 9843, "SocketBindAllow=tcp:9843"),
        (errno.EACCES, 9843, "SocketBindAllow=tcp:9843"),
        (errno.EAFNOSUPPORT, 9842, "this machine has no IPv6"),
        (errno.EMFILE, 9842, "or take it out"),
    ],
)
def test_each_way_to_be_refused_has_a_fix(number, port, fix):
    """Those that not every machine can be brought to."""
    error = _refused(OSError(number, os.strerror(number)), "::1", port, "http.listen")
    assert str(error).startswith(f"http.listen: cannot listen on [::1]:{port}: ")
    assert fix in str(error)
