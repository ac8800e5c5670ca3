"""The simulator outlives every client: rude, slow, greedy or gone."""

import errno
import socket
import struct

import anyio
import pytest

from usps_token_broker.simulator import Limits, running
from usps_token_broker.simulator.reader import timed_out

pytestmark = pytest.mark.anyio

GET = b"GET /addresses/v3/address HTTP/1.1\r\nHost: usps\r\n\r\n"
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
DEADLINE = 10


async def connect(usps):
    return await anyio.connect_tcp("127.0.0.1", usps.port)


async def read_all(stream):
    """Everything until the other end closes."""
    received = b""
    with anyio.fail_after(DEADLINE):
        try:
            async for piece in stream:
                received += piece
        except anyio.BrokenResourceError:
            received += b"<reset>"
    return received


async def exchange(usps, *pieces):
    async with await connect(usps) as stream:
        for piece in pieces:
            await stream.send(piece)
        return await read_all(stream)


async def eventually(condition):
    """For what only the kernel knows: nothing tells of it."""
    with anyio.fail_after(DEADLINE):
        while not condition():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.01)


async def is_well(usps):
    """A good call is still answered."""
    return (await exchange(usps, LAST)).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, b"hello\r\n\r\n"),
        (431, b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nAuthorization: Bearer " + b"a" * 40_000 + b"\r\n\r\n"),
        (413, b"POST /oauth2/v3/token HTTP/1.1\r\nContent-Length: 1000001\r\n\r\n"),
    ],
)
async def test_a_refusal_is_sent_and_the_connection_closed(usps, status, raw):
    """In JSON, with a word on why."""
    answer = await exchange(usps, raw)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answer
    assert b'{"error":"' in answer
    assert await is_well(usps)


async def test_a_refusal_reaches_a_client_that_is_still_sending(usps):
    """Closing at once would reset the connection and lose it."""
    head = b"POST /oauth2/v3/token HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n"
    async with await connect(usps) as stream:
        await stream.send(head)
        for _ in range(10):
            await stream.send(b"a" * 10_000)
        answer = await read_all(stream)

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_kept_connection_serves_many_requests(usps):
    """One after the other."""
    answer = await exchange(usps, GET, GET, LAST)

    assert answer.count(b"HTTP/1.1 401 ") == 3


async def test_requests_may_be_sent_ahead(usps):
    """They are answered in their order."""
    path = b"GET /nowhere HTTP/1.1\r\n\r\n"

    answer = await exchange(usps, GET + path + LAST)

    parts = answer.split(b"HTTP/1.1 ")[1:]
    assert [part[:3] for part in parts] == [b"401", b"404", b"401"]


async def test_requests_behind_a_slow_one_wait_their_turn(usps):
    """The first is delayed, the second not, and yet comes second."""
    usps.inject("delay=0.05x1")
    path = b"GET /nowhere HTTP/1.1\r\n\r\n"

    answer = await exchange(usps, GET + path + LAST)

    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"401", b"404", b"401"]


async def test_too_many_requests_sent_ahead_end_the_connection(usps):
    """While the first is held, nobody may pile up more than a hundred."""
    usps.inject("hold")
    async with await connect(usps) as stream:
        await stream.send(GET)
        await usps.calls.wait_for(1)
        await stream.send(GET * 200)
        assert await read_all(stream) in (b"", b"<reset>")
    usps.clear_faults()
    assert await is_well(usps)


async def test_a_head_request_gets_no_body(usps):
    """Or the next answer would be read from the middle."""
    answer = await exchange(usps, GET.replace(b"GET", b"HEAD") + LAST)

    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"apiVersion") == 1


async def test_a_client_may_ask_before_it_sends_its_body(usps):
    """As curl does with large ones."""
    body = b'{"grant_type": "client_credentials"}'
    head = b"POST /oauth2/v3/token HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n"
    async with await connect(usps) as stream:
        await stream.send(head + b"Content-Length: %d\r\n\r\n" % len(body))
        with anyio.fail_after(DEADLINE):
            assert await stream.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send(body)
        assert (await read_all(stream)).startswith(b"HTTP/1.1 401 ")


async def test_another_protocol_is_not_spoken(usps):
    """An upgrade is passed over, and the connection closed after the answer."""
    answer = await exchange(usps, GET[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"Connection: close" in answer


async def test_a_request_that_does_not_end_times_out(clock):
    """Drop by drop does not help: the time counts from the first byte."""
    async with running(clock=clock, limits=Limits(request_seconds=0.1)) as usps:
        async with await connect(usps) as stream, anyio.create_task_group() as task_group:
            task_group.start_soon(drop_by_drop, stream)
            answer = await read_all(stream)
            task_group.cancel_scope.cancel()

        assert answer.startswith(b"HTTP/1.1 408 ")
        assert await is_well(usps)


async def drop_by_drop(stream):
    try:
        await stream.send(b"GET / HTTP/1.1\r\nX: ")
        while True:
            await stream.send(b"a")
            await anyio.sleep(0.01)
    except anyio.BrokenResourceError:
        return


async def test_an_idle_connection_is_closed(clock):
    """After its time, without a word."""
    async with running(clock=clock, limits=Limits(idle_seconds=0.05)) as usps:
        assert await exchange(usps) in (b"", b"<reset>")


async def test_a_call_that_is_held_is_not_idle(clock):
    """A hanging USPS hangs for as long as the client waits."""
    async with running(clock=clock, limits=Limits(idle_seconds=0.02)) as usps:
        usps.inject("delay=0.2x1")

        assert (await exchange(usps, LAST)).startswith(b"HTTP/1.1 401 ")


async def test_a_client_that_does_not_read_is_dropped(clock):
    """Its answers do not pile up for longer than the limit."""
    async with running(clock=clock, limits=Limits(stall_seconds=0.1)) as usps:
        usps.inject("huge_body=50x1")
        async with await connect(usps) as stream:
            await stream.send(GET)
            await eventually(lambda: not usps._connections)
        assert await is_well(usps)


async def test_a_client_that_leaves_ends_its_call(usps):
    """Nobody holds a request for a client that is gone."""
    usps.inject("hang")
    async with await connect(usps) as stream:
        await stream.send(GET)
        await usps.calls.wait_for(1)
    await eventually(lambda: not usps._connections)
    usps.clear_faults()
    assert await is_well(usps)


@pytest.mark.parametrize("fault", ["hang", "delay=5", "drip=0.01", "huge_body=50", "hold"])
async def test_a_client_may_vanish_in_the_middle(usps, fault):
    """With a reset, whatever its call is doing."""
    usps.inject(fault)
    stream = await connect(usps)
    await stream.send(GET)
    await usps.calls.wait_for(1)
    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await anyio.aclose_forcefully(stream)

    await eventually(lambda: not usps._connections)
    usps.clear_faults()
    assert await is_well(usps)


async def test_a_reset_is_a_reset(usps):
    """RST, and no FIN before it: the client's system says ECONNRESET."""
    usps.inject("reset")
    async with await connect(usps) as stream:
        await stream.send(GET)
        with anyio.fail_after(DEADLINE), pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.receive()
    assert caught.value.__cause__.errno == errno.ECONNRESET


async def test_a_cut_answer_ends_in_order(usps):
    """Half the body and then a FIN, so that only the length tells."""
    usps.inject("cut_body")

    answer = await exchange(usps, GET)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: 817\r\n" in head
    assert len(body) == 204


async def test_too_many_connections_are_turned_away(clock):
    """Those that are there go on."""
    async with running(clock=clock, limits=Limits(connections=2)) as usps:
        async with await connect(usps) as first, await connect(usps) as second:
            for stream in (first, second):
                await stream.send(GET)
                with anyio.fail_after(DEADLINE):
                    assert (await stream.receive()).startswith(b"HTTP/1.1 401 ")
            assert await exchange(usps) in (b"", b"<reset>")
        await eventually(lambda: len(usps._connections) <= 1)
        assert await is_well(usps)


async def test_sixty_clients_are_served_at_once(usps):
    """Each keeps its connection over five requests."""
    answers = []

    async def client():
        answers.append(await exchange(usps, *[GET] * 4, LAST))

    async with anyio.create_task_group() as task_group:
        for _ in range(60):
            task_group.start_soon(client)

    assert [answer.count(b"HTTP/1.1 401 ") for answer in answers] == [5] * 60


async def test_a_reset_that_is_not_yet_noticed_harms_nothing(usps):
    """The client is gone at the moment when its last answer is sent."""
    with socket.create_connection(("127.0.0.1", usps.port)) as client:
        client.sendall(b"GET")
        await eventually(lambda: usps._connections)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection = next(iter(usps._connections))

    connection._refuse(timed_out())

    assert await is_well(usps)


async def test_a_slow_reader_gets_all(usps):
    """The simulator waits for it, and closes in order."""
    usps.inject("huge_body=20x1")
    received = 0
    async with await connect(usps) as stream:
        await stream.send(LAST)
        await eventually(lambda: any(one._writable for one in usps._connections))
        with anyio.fail_after(DEADLINE):
            async for piece in stream:
                received += len(piece)

    assert received > 20_000_000
