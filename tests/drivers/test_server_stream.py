"""The transport under the server, on a socket pair."""

import asyncio
import contextlib
import errno
import socket

import pytest
from raw_http import turns, until

from usps_token_broker.drivers.server.lanes import Lane
from usps_token_broker.drivers.server.limits import Ledger, Limits
from usps_token_broker.drivers.server.stream import Stream

pytestmark = pytest.mark.anyio


class Recorder(asyncio.BufferedProtocol):
    """Notes what the stream calls."""

    def __init__(self, *, keeps_half_open=False):
        self.buffer = bytearray(100)
        self.calls = []
        self.keeps_half_open = keeps_half_open

    def get_buffer(self, sizehint):
        """A small buffer."""
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes):
        """Notes input; a certain byte is a mistake."""
        data = bytes(self.buffer[:nbytes])
        if data == b"!":
            raise RuntimeError
        self.calls.append(data)

    def eof_received(self):
        """Notes the end of input."""
        self.calls.append("eof")
        return self.keeps_half_open

    def pause_writing(self):
        """Notes it."""
        self.calls.append("pause")

    def resume_writing(self):
        """Notes it."""
        self.calls.append("resume")

    def connection_lost(self, exc):
        """Notes the end."""
        self.calls.append("lost")


@pytest.fixture
def pair():
    """Two ends; ours has room for little."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.settimeout(10)
    yield ours, theirs
    ours.close()
    theirs.close()


def lane():
    """That of somebody who is alone."""
    limits = Limits()
    return Lane(limits, Ledger(limits), asyncio.get_running_loop(), lambda: None)


def start(pair, **kinds):
    """A stream on our end."""
    recorder = Recorder(**kinds)
    return Stream(lane(), pair[0], recorder), recorder


async def read_all(theirs):
    """Takes everything at the other end, giving the loop its turns."""
    theirs.settimeout(0)
    received = b""
    while True:
        try:
            more = theirs.recv(65536)
        except BlockingIOError:
            await turns()
            continue
        if not more:
            return received
        received += more


async def test_what_does_not_fit_is_sent_later(pair):
    """A write beyond the room in the socket is kept, told, and sent in order as room is made."""
    stream, recorder = start(pair)
    data = bytes(range(256)) * 1000
    stream.write(data)
    assert recorder.calls == ["pause"]
    assert 0 < stream.get_write_buffer_size() < len(data)
    stream.write(b"more")
    stream.close()
    assert stream.is_closing()
    assert await read_all(pair[1]) == data + b"more"
    await turns()
    assert recorder.calls[-1] == "lost"


async def test_room_made_is_told(pair):
    """When everything has been taken, the protocol may go on."""
    stream, recorder = start(pair)
    stream.write(b"x" * 100_000)
    received = 0
    while received < 100_000:
        received += len(pair[1].recv(65536))
        await turns()
    assert recorder.calls == ["pause", "resume"]
    stream.abort()
    await turns()


async def test_our_half_ends_after_all_is_written(pair):
    """The end of our half waits for what was written before, and input is still taken."""
    stream, recorder = start(pair)
    stream.write(b"x" * 100_000)
    stream.write_eof()
    stream.write(b"ignored")
    assert len(await read_all(pair[1])) == 100_000
    pair[1].send(b"still here")
    await until(lambda: b"still here" in recorder.calls)
    stream.abort()
    await turns()


async def test_ended_half_is_not_watched(pair):
    """Once the other side has ended its half, nothing spins on it."""
    stream, recorder = start(pair, keeps_half_open=True)
    pair[1].shutdown(socket.SHUT_WR)
    await until(lambda: recorder.calls)
    await turns()
    assert recorder.calls == ["eof"]
    assert not stream.is_gone()
    stream.write(b"reply")
    assert pair[1].recv(10) == b"reply"
    pair[1].close()
    assert stream.is_gone()
    stream.abort()
    await turns()


async def test_ended_half_closes_unless_kept(pair):
    """A protocol that has nothing more to say has the stream closed at the end of input."""
    stream, recorder = start(pair)
    pair[1].close()
    await until(lambda: "lost" in recorder.calls)
    assert recorder.calls == ["eof", "lost"]
    assert stream.is_gone()


async def test_reader_that_left_is_noticed_in_writing(pair):
    """A write to nobody loses the connection, told once and never from within a call."""
    stream, recorder = start(pair)
    pair[1].close()
    stream.write(b"x")
    stream.write(b"y")
    assert recorder.calls == []
    await turns()
    assert recorder.calls == ["lost"]


async def test_reader_that_leaves_is_noticed_in_waiting_for_room(pair):
    """While a write waits for room, the other side's leaving loses the connection."""
    stream, recorder = start(pair)
    stream.pause_reading()
    stream.write(b"x" * 100_000)
    pair[1].close()
    await until(lambda: "lost" in recorder.calls)
    assert stream.get_write_buffer_size() == 0


async def test_failing_protocol_loses_its_connection_only(pair, caplog):
    """A mistake in the protocol ends the connection and is reported, and not raised."""
    _, recorder = start(pair)
    pair[1].send(b"!")
    await until(lambda: "lost" in recorder.calls)
    assert "a connection failed: RuntimeError" in caplog.text


async def test_protocol_that_fails_to_go_on_loses_its_connection_only(pair, caplog):
    """A mistake made when there is room again is held to its connection too."""
    _stream, recorder = start(pair)
    recorder.resume_writing = lambda: 1 / 0
    _stream.write(b"x" * 100_000)
    pair[1].settimeout(0)
    received = 0
    while received < 100_000:
        with contextlib.suppress(BlockingIOError):
            received += len(pair[1].recv(65536))
        await turns()
    await until(lambda: "lost" in recorder.calls)
    assert "a connection failed: ZeroDivisionError" in caplog.text


async def test_what_was_written_is_let_go(pair):
    """Once a long reply is sent, the stream keeps nothing of it alive."""
    stream, recorder = start(pair)
    data = bytearray(100_000)
    stream.write(data)
    pair[1].settimeout(0)
    while "resume" not in recorder.calls:
        with contextlib.suppress(BlockingIOError):
            pair[1].recv(65536)
        await turns()
    data.clear()  # a buffer that somebody still looks at cannot be resized
    stream.abort()
    await turns()


async def test_everything_is_harmless_after_the_end(pair):
    """A stream that is lost takes every call."""
    stream, recorder = start(pair)
    stream.abort()
    for call in (
        stream.abort, stream.close, stream.write_eof, stream.pause_reading, stream.resume_reading,
        stream._readable, stream._writable,
    ):  # fmt: skip
        call()
    stream.write(b"x")
    await turns()
    assert recorder.calls == ["lost"]


async def test_socket_that_cannot_be_watched_is_lost(pair, monkeypatch):
    """When the kernel will not watch one more socket, that connection ends, and nothing else."""

    def fail(*_):
        raise OSError(errno.ENOSPC, "no")

    monkeypatch.setattr(Lane, "watch", fail)
    _, recorder = start(pair)
    await turns()
    assert recorder.calls == ["lost"]
