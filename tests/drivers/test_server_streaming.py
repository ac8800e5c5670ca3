"""Replies that go on: their framing, their pace, their limits, and clients that leave."""

import asyncio
import logging
import os
import socket
from contextlib import asynccontextmanager

import anyio
import pytest
from raw_http import Client, get, serving, turns, until

from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire.problems import BadRequestError
from usps_token_broker.wire.replies import Streamed, json_reply

pytestmark = pytest.mark.anyio

SOON = 0.05
SECRET = "the-value-of-a-token"
DONE = json_reply(200, b'"done"')
LONG = b"z" * 500_000
STREAM = get("/stream")
CHUNKED_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/x-lines\r\nTransfer-Encoding: chunked\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)


class Source:
    """A handler whose streams of /stream give what it is told to; others are answered at once."""

    def __init__(self):
        self.streams = []

    def __call__(self, request, peer):
        """Answers, or makes a stream."""
        if request.path != "/stream":
            return DONE
        spring = Spring()
        self.streams.append(spring)
        return Streamed(200, "text/x-lines", spring.flow())

    async def only(self):
        """The one stream, once it flows."""
        await until(lambda: self.streams and self.streams[0].begun)
        return self.streams[0]


class Spring:
    """One stream: `give` its pieces, `None` for its end; tells what became of it."""

    def __init__(self):
        self.pieces = asyncio.Queue()
        self.begun = self.closed = False
        self.asked = 0

    def give(self, *pieces):
        """More of it."""
        for piece in pieces:
            self.pieces.put_nowait(piece)

    async def flow(self):
        """What the server asks."""
        self.begun = True
        try:
            while True:
                self.asked += 1
                piece = await self.pieces.get()
                if piece is None:
                    return
                yield piece
        finally:
            self.closed = True


async def endless():
    """Gives pieces without ever waiting."""
    while True:
        yield b"more\n"


@asynccontextmanager
async def stopping(served, grace_seconds):
    """Stops the server, and the block goes on while it does; at its end the stop has ended."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(served.server.stop, grace_seconds)
        await until(lambda: served.server._hub.stopping)
        yield


# -- what is written ------------------------------------------------------------------------------


async def test_pieces_are_chunks():
    """Each is sent when it comes, none is the end by mistake, and the end is told."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            assert await client.line_end(b"\r\n\r\n") == CHUNKED_HEAD
            spring = await source.only()
            spring.give(b"one\n")
            assert await client.line_end(b"one\n\r\n") == b"4\r\none\n\r\n"
            spring.give(b"", b"0123456789abcdef\n", None)
            assert await client.line_end(b"0\r\n\r\n") == b"11\r\n0123456789abcdef\n\r\n0\r\n\r\n"
            await until(lambda: not served.server.waiting)
            assert spring.closed


async def test_connection_goes_on_after_a_stream():
    """The next request is answered, even another stream."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            (await source.only()).give(None)
            await client.line_end(b"0\r\n\r\n")
            assert (await client.ask(get())).body == b'"done"'
            await client.send(STREAM)
            await until(lambda: len(source.streams) == 2)
            source.streams[1].give(b"again", None)
            assert b"5\r\nagain\r\n" in await client.line_end(b"0\r\n\r\n")


async def test_request_sent_meanwhile_is_answered_after_the_stream():
    """Replies keep the order of what was asked."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(get() + STREAM + get() + get())
            assert (await client.answer()).body == b'"done"'
            assert await client.line_end(b"\r\n\r\n") == CHUNKED_HEAD
            spring = await source.only()
            spring.give(b"piece", None)
            assert await client.line_end(b"0\r\n\r\n") == b"5\r\npiece\r\n0\r\n\r\n"
            assert (await client.answer()).body == b'"done"'
            assert (await client.answer()).body == b'"done"'


async def test_who_wants_no_more_is_told_so_in_the_head():
    """`Connection: close` is asked for: the connection ends with the stream."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(get("/stream", "Connection: close"))
            assert b"\r\nConnection: close\r\n" in await client.line_end(b"\r\n\r\n")
            (await source.only()).give(b"x", None)
            assert await client.rest() == b"1\r\nx\r\n0\r\n\r\n"


@pytest.mark.parametrize("header", [(), ("Connection: keep-alive",)])
async def test_http_1_0_knows_no_chunks(header):
    """The body is bare, and ends with the connection whatever the client would like."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(get("/stream", *header, version="1.0"))
            head = await client.line_end(b"\r\n\r\n")
            assert b"\r\nConnection: close\r\n" in head
            assert b"chunked" not in head
            (await source.only()).give(b"one\n", b"two\n", None)
            assert await client.rest() == b"one\ntwo\n"


async def test_head_has_the_head_alone():
    """Nothing is begun and nothing counted, and the connection goes on."""
    source = Source()
    async with serving(source, limits=Limits(streams_per_uid=0)) as served:
        with Client(served.path) as client:
            await client.send(b"HEAD /stream HTTP/1.1\r\n\r\n" + get())
            assert await client.line_end(b"\r\n\r\n") == CHUNKED_HEAD
            assert (await client.answer()).body == b'"done"'
            await client.send(b"HEAD /stream HTTP/1.0\r\n\r\n")
            assert b"Connection: close" in await client.rest()
    assert not any(spring.begun for spring in source.streams)


# -- clients that take it slowly, or leave --------------------------------------------------------


async def test_next_piece_waits_until_the_client_has_taken_the_last():
    """One piece is in memory, however many there would be."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            spring.give(LONG, LONG, None)
            (connection,) = served.server._hub.members
            await until(connection._stream.get_write_buffer_size)
            await turns()
            assert spring.asked == 1
            assert connection._stream.get_write_buffer_size() <= len(LONG) + 10
            body = await client.line_end(b"\r\n0\r\n\r\n")
            assert body.count(b"z") == 2 * len(LONG)


async def test_one_slow_client_holds_up_no_other():
    """Nor do streams without an end and without a pause."""
    async with serving(lambda r, _: Streamed(200, "a/b", endless())) as served:
        with Client(served.path) as blocked, Client(served.path) as reading:
            await blocked.send(get())
            await reading.send(get())
            await reading.line_end(b"more\n" + b"\r\n5\r\nmore\n" * 1000)


async def test_stream_of_nothing_stops_nobody():
    """A handler that gives empty pieces without a pause; its client may leave, too."""

    async def nothing():
        while True:
            yield b""

    streamed = iter([Streamed(200, "a/b", nothing())])
    async with serving(lambda *_: next(streamed, DONE)) as served:
        with Client(served.path) as empty, Client(served.path) as other:
            await empty.send(get())
            await until(lambda: served.server.waiting)
            assert (await other.ask(get())).body == b'"done"'
        await until(lambda: not served.server.waiting and not served.server.connections)


async def test_client_that_takes_nothing_is_cut_off():
    """After the time of any reply that is not read; the stream is closed."""
    source = Source()
    async with serving(source, limits=Limits(stalled_seconds=SOON)) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            spring.give(LONG, LONG)
            await until(lambda: spring.closed)
            await until(lambda: not served.server.waiting and not served.server.connections)
            assert not (await client.rest()).endswith(b"0\r\n\r\n")


async def test_client_that_takes_something_now_and_then_is_served():
    """Each byte taken buys more time."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            spring.give(LONG)
            hub = served.server._hub
            (connection,) = hub.members
            stream = connection._stream
            await until(stream.get_write_buffer_size)
            for _ in range(3):
                before = stream.get_write_buffer_size()
                await client.some()
                await until(lambda: stream.get_write_buffer_size() < before)  # noqa: B023
                connection.expire(hub.loop.time())
                assert not spring.closed
            connection.expire(hub.loop.time())
            await until(lambda: spring.closed)


async def test_client_that_leaves_a_quiet_stream_is_noticed():
    """No piece need come for that."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
        await until(lambda: spring.closed)
        await until(lambda: not served.server.waiting and not served.server.connections)


async def test_client_that_leaves_before_the_stream_began():
    """It does not begin."""
    source = Source()
    async with serving(source) as served:
        for _ in range(20):
            with Client(served.path) as client:
                await client.send(STREAM)
        await until(lambda: not served.server.waiting and not served.server.connections)
    assert all(spring.closed for spring in source.streams if spring.begun)


async def test_client_that_leaves_in_the_middle_of_a_piece():
    """What it has not taken is thrown away."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            spring.give(LONG)
            (connection,) = served.server._hub.members
            await until(connection._stream.get_write_buffer_size)
        await until(lambda: spring.closed and not served.server.connections)


@pytest.mark.parametrize("how", ["its half is closed", "too much is sent"])
async def test_client_whose_input_is_left_unread_is_noticed_when_it_leaves(how, monkeypatch):
    """It is looked after, since no read tells."""
    monkeypatch.setattr("usps_token_broker.drivers.server.connection._LOOK_SECONDS", SOON)
    source = Source()
    async with serving(source, limits=Limits(idle_seconds=SOON)) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            (connection,) = served.server._hub.members
            if how == "its half is closed":
                client.socket.shutdown(socket.SHUT_WR)
            else:
                await client.send(b"x" * 20_000)
            await until(lambda: not connection._stream.is_reading())
            spring.give(b"still there\n")
            await client.line_end(b"still there\n")
            looked = connection.deadline
            await until(lambda: connection.deadline > looked)
            assert not spring.closed
        await until(lambda: spring.closed and not served.server.connections)


@pytest.mark.parametrize("how", ["its half is closed", "too much is sent"])
async def test_client_is_looked_after_during_its_second_stream_too(how, monkeypatch):
    """Its input was left unread before that stream began."""
    monkeypatch.setattr("usps_token_broker.drivers.server.connection._LOOK_SECONDS", SOON)
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            first = await source.only()
            (connection,) = served.server._hub.members
            await client.send(STREAM)
            if how == "its half is closed":
                client.socket.shutdown(socket.SHUT_WR)
            else:
                await client.send(b"x" * 40_000)
            await until(lambda: not connection._stream.is_reading())
            first.give(None)
            await until(lambda: len(source.streams) == 2 and source.streams[1].begun)
        await until(lambda: source.streams[1].closed and not served.server.connections)


async def test_client_that_ends_its_half_gets_all_of_it():
    """`nc -N` does that."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM + get())
            client.socket.shutdown(socket.SHUT_WR)
            spring = await source.only()
            (connection,) = served.server._hub.members
            await until(lambda: connection._half_closed)
            spring.give(b"piece", None)
            body = await client.rest()
            assert b"5\r\npiece\r\n0\r\n\r\nHTTP/1.1 200 OK" in body
            assert body.endswith(b'"done"')


async def test_what_is_sent_during_a_stream_is_bounded():
    """Input is taken up to a bound, then left in the kernel, and answered in the end."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            many = 20_000
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.send, get() * many)
                (connection,) = served.server._hub.members
                await until(lambda: not connection._stream.is_reading())
                assert len(connection._rest) <= 2 * len(served.server._hub.buffer)
                spring.give(None)
                await client.line_end(b"0\r\n\r\n")
                for _ in range(many):
                    assert (await client.answer()).status == 200


async def test_quiet_stream_is_not_idle():
    """It has no time limit of the server's."""
    source = Source()
    async with serving(source, limits=Limits(idle_seconds=0.01)) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            (connection,) = served.server._hub.members
            assert connection.deadline == float("inf")
            spring.give(LONG)
            await client.line_end(b"z\r\n")
            assert connection.deadline == float("inf")


# -- limits ---------------------------------------------------------------------------------------


def is_too_many(answer) -> bool:
    return (answer.status, answer.json()["code"]) == (429, "too_many_requests")


async def test_streams_of_one_uid():
    """Beyond its limit they are refused, in words, and the connection is kept."""
    source = Source()
    async with serving(source, limits=Limits(streams_per_uid=1)) as served:
        with Client(served.path) as one, Client(served.path) as two:
            await one.send(STREAM)
            spring = await source.only()
            answer = await two.ask(STREAM)
            assert is_too_many(answer)
            assert f"uid {os.getuid()} already has 1 streams" in answer.json()["detail"]
            assert (await two.ask(get())).status == 200
            spring.give(None)
            await one.line_end(b"0\r\n\r\n")
            await until(lambda: not served.server.waiting)
            await two.send(STREAM)
            assert await two.line_end(b"\r\n\r\n") == CHUNKED_HEAD
    assert [spring.begun for spring in source.streams][:2] == [True, False]


async def test_stream_counts_as_a_waiting_request():
    """Of which a uid may have so many."""
    source = Source()
    async with serving(source, limits=Limits(waiting_per_uid=1)) as served:
        with Client(served.path) as one, Client(served.path) as two:
            await one.send(STREAM)
            await source.only()
            assert served.server.waiting == 1
            assert is_too_many(await two.ask(STREAM))
        await until(lambda: not served.server.waiting)
        assert not served.server._hub.ledger._streams


async def test_who_reads_a_stream_does_not_look_as_if_kept_waiting():
    """It has its answer, and a person who looks at who is connected looks for trouble."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            await source.only()
            assert served.server.by_uid() == [(os.getuid(), 1, 0, 1)]


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError(SECRET), BadRequestError(SECRET, SECRET)])
async def test_failing_stream_is_cut_off(error, caplog):
    """The client sees that the end is missing; the log has a traceback without its text."""

    async def fail():
        yield b"one"
        raise error

    async with serving(lambda *_: Streamed(200, "a/b", fail())) as served:
        with Client(served.path) as client:
            await client.send(get())
            assert (await client.rest()).endswith(b"3\r\none\r\n")
            await until(lambda: not served.server.waiting and not served.server.connections)
    text = "\n".join(r.getMessage() for r in caplog.records if r.levelno == logging.ERROR)
    assert "a stream failed" in text
    assert type(error).__name__ in text
    assert SECRET not in caplog.text


async def test_stream_that_will_not_close_is_reported(caplog):
    """A mistake of the handler's harms nobody else."""

    async def stubborn():
        try:
            while True:
                yield LONG
        finally:
            yield b"not yet"

    async with serving(lambda *_: Streamed(200, "a/b", stubborn())) as served:
        with Client(served.path) as client:
            await client.send(get())
            await client.some()
        await until(lambda: not served.server.waiting and not served.server.connections)
    assert "RuntimeError" in caplog.text


# -- the end of the server ------------------------------------------------------------------------


async def test_stop_waits_for_the_end_of_a_stream():
    """By the handler's doing, with the last chunk; what was asked behind it is dropped."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM + get())
            spring = await source.only()
            async with stopping(served, 10):
                spring.give(b"bye", None)
                assert await client.line_end(b"\r\n\r\n") == CHUNKED_HEAD
                assert await client.rest() == b"3\r\nbye\r\n0\r\n\r\n"


async def test_stream_that_does_not_end_is_ended_with_the_grace():
    """With its last chunk all the same."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            spring.give(b"one")
            await client.line_end(b"one\r\n")
            await served.server.stop(0)
            assert await client.rest() == b"0\r\n\r\n"
            await until(lambda: spring.closed and not served.server.waiting)


async def test_end_of_the_server_does_not_fake_the_end_of_a_piece():
    """A client in the middle of one sees that something is missing."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM)
            spring = await source.only()
            spring.give(LONG)
            (connection,) = served.server._hub.members
            await until(connection._stream.get_write_buffer_size)
            await served.server.stop(0)
            body = await client.rest()
            assert body.count(b"z") < len(LONG)
            assert not body.endswith(b"0\r\n\r\n")
            assert spring.closed


async def test_stream_asked_for_while_the_server_stops():
    """It is served as the last reply of its connection."""
    source = Source()
    async with serving(source) as served:
        with Client(served.path) as client:
            await client.send(STREAM[:-2])
            await until(lambda: served.server._hub.members)
            await turns()
            async with stopping(served, 10):
                await client.send(STREAM[-2:])
                (await source.only()).give(b"x", None)
                assert b"\r\nConnection: close\r\n" in await client.line_end(b"\r\n\r\n")
                assert await client.rest() == b"1\r\nx\r\n0\r\n\r\n"


async def test_cancelled_server_closes_its_streams():
    """Nothing is left running."""
    source = Source()
    async with serving(source) as served:
        client = Client(served.path)
        await client.send(STREAM)
        spring = await source.only()
    with client:
        assert (await client.rest()).endswith(b"0\r\n\r\n")
        assert spring.closed
