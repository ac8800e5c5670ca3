"""The end of the server: who has asked is answered, who has not is sent away."""

import asyncio
from contextlib import ExitStack

import anyio
import pytest
from raw_http import Client, get, post, serving, turns, until

from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire.replies import json_reply

pytestmark = pytest.mark.anyio

GRACE_SECONDS = 10


async def test_idle_clients_are_sent_away():
    """Connections on which nothing is asked are closed, and stop ends without waiting."""
    async with serving() as served:
        with Client(served.path) as used, Client(served.path) as fresh:
            await used.ask(get())
            with anyio.fail_after(GRACE_SECONDS / 2):
                await served.server.stop(GRACE_SECONDS)
            assert await used.is_closed()
            assert await fresh.is_closed()


async def test_a_client_that_has_just_come_may_still_ask():
    """It is between its connect and its request: a cut would be a failed call."""
    async with serving() as served:
        with Client(served.path) as client:
            await until(lambda: served.server.connections)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.server.stop, GRACE_SECONDS)
                await until(lambda: served.server._hub.stopping)
                await turns()
                await client.send(get())
                assert (await client.answer()).headers["connection"] == "close"
                assert await client.is_closed()


async def test_who_has_been_quiet_for_long_is_sent_away_at_once():
    """Only who has just come or just been answered is given a moment."""
    limits = Limits(parting_seconds=0.0)
    async with serving(limits=limits) as served:
        with Client(served.path) as client:
            await client.ask(get())
            await served.server.stop(GRACE_SECONDS)
            assert await client.is_closed()


async def test_request_already_sent_is_answered():
    """What a client has sent before the stop is answered, and it is told that this is the end."""
    async with serving() as served:
        with Client(served.path) as client:
            await client.ask(get())
            await client.send(get("/last"))
            await served.server.stop(GRACE_SECONDS)
            answer = await client.answer()
            assert answer.headers["connection"] == "close"
            assert await client.is_closed()


async def test_requests_of_a_crowd_already_sent_are_all_answered():
    """However many have asked at once, and however long ago they did so before."""
    limits = Limits(turn=8)
    async with serving(limits=limits) as served:
        with ExitStack() as stack:
            crowd = [stack.enter_context(Client(served.path)) for _ in range(40)]
            for client in crowd:
                await client.ask(get())
            for connection in served.server._hub.members:
                connection.deadline -= 2 * limits.parting_seconds
            for client in crowd:
                client.socket.send(get("/last"))
            await served.server.stop(GRACE_SECONDS)
            for client in crowd:
                assert (await client.answer()).headers["connection"] == "close"


async def test_request_half_sent_is_answered():
    """A client in the middle of a request may finish it."""
    async with serving() as served:
        with Client(served.path) as client:
            request = post(b"body")
            await client.send(request[:-2])
            await turns()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.server.stop, GRACE_SECONDS)
                await until(lambda: served.server._hub.stopping)
                await client.send(request[-2:])
                assert (await client.answer()).headers["connection"] == "close"


async def test_waiting_client_gets_its_reply():
    """Stop waits for the replies that the handler still owes."""
    future = asyncio.get_running_loop().create_future()
    async with serving(lambda *_: future) as served:
        with Client(served.path) as client:
            await client.send(get() + get())
            await until(lambda: served.server.waiting)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(served.server.stop, GRACE_SECONDS)
                await until(lambda: served.server._hub.stopping)
                future.set_result(json_reply(503, b"{}"))
                answer = await client.answer()
                assert (answer.status, answer.headers["connection"]) == (503, "close")
                assert await client.is_closed()


async def test_nobody_is_waited_for_longer_than_the_grace():
    """After the grace, whoever is left is cut off, and the server is done."""
    future = asyncio.get_running_loop().create_future()
    async with serving(lambda *_: future) as served:
        with Client(served.path) as client, Client(served.path) as half:
            await client.send(get())
            await half.send(b"GET /")
            await until(lambda: served.server.waiting)
            await served.server.stop(0)
            assert await client.is_closed()
            assert await half.is_closed()
            await until(lambda: future.cancelled() and not served.server.connections)


async def test_nobody_is_let_in_any_more():
    """Who comes after the stop stays in the queue of the socket, for whoever serves it next."""
    async with serving() as served:
        await served.server.stop(GRACE_SECONDS)
        with Client(served.path) as client:
            await client.send(get())
            await turns()
            with pytest.raises(BlockingIOError):
                client.socket.recv(1)
            assert served.server.connections == 0


async def test_server_ends_when_it_is_stopped():
    """The task that serves returns, so that a task group need not be cancelled."""
    async with serving() as served:
        finished = anyio.Event()

        async def stop():
            await served.server.stop(GRACE_SECONDS)
            finished.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
        assert finished.is_set()
        await turns()
        assert served.server._stopped


async def test_cancelled_server_leaves_nothing_open():
    """A server whose task is cancelled closes every connection."""
    future = asyncio.get_running_loop().create_future()
    async with serving(lambda *_: future) as served:
        client = Client(served.path)
        await client.send(get())
        await until(lambda: served.server.waiting)
    with client:
        assert await client.is_closed()
        assert future.cancelled()


async def test_socket_serves_again_after_a_stop():
    """The listening socket is the caller's: it stays open, as a reload of the app may need it."""
    async with serving() as served:
        await served.server.stop(GRACE_SECONDS)
        assert served.server._listener.fileno() >= 0
