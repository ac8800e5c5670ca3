"""Replies that are not there yet: their order, their limits, and clients that leave."""

import asyncio
import logging

import anyio
import pytest
from raw_http import Client, get, serving, until

from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire.problems import BadRequestError
from usps_token_broker.wire.replies import json_reply

pytestmark = pytest.mark.anyio

SECRET = "the-value-of-a-token"
DONE = json_reply(200, b'"done"')


class Later:
    """A handler whose replies to /wait come when they are let go; others come at once."""

    def __init__(self):
        self.release = asyncio.Event()
        self.waiting = 0
        self.cancelled = 0

    def __call__(self, request, peer):
        """Answers, or begins to wait."""
        return self.wait() if request.path == "/wait" else DONE

    async def wait(self):
        """Waits to be let go."""
        self.waiting += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return json_reply(200, b'"waited"')


async def test_reply_comes_when_it_is_there():
    """An awaitable is awaited, and what it returns is the reply."""
    later = Later()
    async with serving(later) as served:
        with Client(served.path) as client:
            await client.send(get("/wait"))
            await until(lambda: later.waiting)
            assert served.server.waiting == 1
            later.release.set()
            assert (await client.answer()).body == b'"waited"'
            assert (await client.ask(get())).body == b'"done"'
            assert served.server.waiting == 0


async def test_a_future_is_awaitable_too():
    """A handler may hand out a future that it resolves later."""
    future = asyncio.get_running_loop().create_future()
    async with serving(lambda *_: future) as served:
        with Client(served.path) as client:
            await client.send(get())
            await until(lambda: served.server.waiting)
            future.set_result(DONE)
            assert (await client.answer()).status == 200


async def test_requests_behind_a_waiting_one_keep_their_order():
    """A reply that is ready is not sent before one that was asked for earlier."""
    later = Later()
    async with serving(later) as served:
        with Client(served.path) as client:
            await client.send(get() + get("/wait") + get() + get("/wait") + get())
            assert (await client.answer()).body == b'"done"'
            await until(lambda: later.waiting)
            later.release.set()
            bodies = [(await client.answer()).body for _ in range(4)]
            assert bodies == [b'"waited"', b'"done"', b'"waited"', b'"done"']


async def test_waiting_client_can_send_only_so_much():
    """While a reply is awaited, input is taken up to a bound, and then left in the kernel."""
    later = Later()
    async with serving(later) as served:
        with Client(served.path) as client:
            await client.send(get("/wait"))
            await until(lambda: later.waiting)
            many = 20_000
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.send, get() * many)
                (connection,) = served.server._hub.members
                await until(lambda: not connection._stream.is_reading())
                assert len(connection._rest) <= 2 * len(served.server._hub.buffer)
                later.release.set()
                for _ in range(many + 1):
                    assert (await client.answer()).status == 200


async def test_client_that_leaves_is_waited_for_no_more():
    """A client that closes while its reply is awaited has the waiting cancelled."""
    later = Later()
    async with serving(later) as served:
        with Client(served.path) as client:
            await client.send(get("/wait"))
            await until(lambda: later.waiting)
        await until(lambda: later.cancelled)
        await until(lambda: not served.server.waiting and not served.server.connections)


async def test_client_that_leaves_at_once_is_not_waited_for():
    """A client that has gone before its waiting began leaves nothing behind."""
    later = Later()
    async with serving(later) as served:
        for _ in range(20):
            with Client(served.path) as client:
                await client.send(get("/wait"))
        await until(lambda: not served.server.waiting and not served.server.connections)
        assert later.waiting == 0


async def test_connection_lost_before_the_waiting_began():
    """A reply that nobody will wait for is not begun, and its coroutine is not left hanging."""
    begun = []

    async def begin():
        begun.append(True)

    def lose_at_once(request, peer):
        hub = served.server._hub
        hub.loop.call_soon(hub.abort_all)
        return begin()

    async with serving(lose_at_once) as served:
        with Client(served.path) as client:
            await client.send(get())
            assert await client.is_closed()
            await until(lambda: not served.server.waiting)
    assert begun == []


async def test_client_that_ends_its_half_is_still_waited_for():
    """A client that only closed its sending half gets the reply it waits for."""
    later = Later()
    async with serving(later) as served:
        with Client(served.path) as client:
            await client.send(get("/wait") + get())
            client.socket.shutdown(1)
            await until(lambda: later.waiting)
            (connection,) = served.server._hub.members
            await until(lambda: connection._half_closed)
            later.release.set()
            assert (await client.rest()).count(b"200 OK") == 2


async def test_too_many_waiting_requests_of_one_uid():
    """Beyond its limit a uid's requests are not awaited but refused, and its connections kept."""
    later = Later()
    async with serving(later, limits=Limits(waiting_per_uid=2)) as served:
        with Client(served.path) as one, Client(served.path) as two, Client(served.path) as three:
            await one.send(get("/wait"))
            await two.send(get("/wait"))
            await until(lambda: later.waiting == 2)
            answer = await three.ask(get("/wait"))
            assert (answer.status, answer.json()["code"]) == (429, "too_many_requests")
            assert answer.headers["retry-after"] == "1"
            assert (await three.ask(get())).status == 200
            later.release.set()
            await one.answer()
            await two.answer()
            assert (await three.ask(get("/wait"))).status == 200


async def test_waiting_client_is_not_idle():
    """Waiting for a reply has no time limit of the server's."""
    later = Later()
    async with serving(later, limits=Limits(idle_seconds=0.01)) as served:
        with Client(served.path) as client:
            await client.send(get("/wait"))
            await until(lambda: later.waiting)
            hub = served.server._hub
            (connection,) = hub.members
            assert connection.deadline == float("inf")
            later.release.set()
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("when", ["at once", "later"])
async def test_failing_handler(when, caplog):
    """An exception in the handler is a 503 that tells nothing, and a traceback without its text."""

    async def fail_later():
        raise RuntimeError(SECRET)

    def fail(request, peer):
        if when == "later":
            return fail_later()
        raise RuntimeError(SECRET)

    async with serving(fail) as served:
        with Client(served.path) as client:
            answer = await client.ask(get("/a-path"))
            assert (answer.status, answer.json()["code"]) == (503, "not_ready")
            assert answer.json()["detail"] == "internal error"
            assert await client.is_closed()
        with Client(served.path) as client:
            assert (await client.ask(get())).status == 503
    text = "\n".join(r.getMessage() for r in caplog.records if r.levelno == logging.ERROR)
    assert "RuntimeError" in text
    assert "test_server_waiting.py" in text
    assert SECRET not in caplog.text
    assert "a-path" not in caplog.text


async def test_handler_may_refuse_later():
    """A bad request that is noticed while waiting is a 400 all the same."""

    async def refuse():
        raise BadRequestError("no", "yes")

    async with serving(lambda *_: refuse()) as served:
        with Client(served.path) as client:
            assert (await client.ask(get())).status == 400
            assert (await client.ask(get())).status == 400


async def test_handler_that_gives_up_ends_the_connection():
    """A reply that is cancelled by the handler's own doing never comes, so the client is told."""
    future = asyncio.get_running_loop().create_future()
    async with serving(lambda *_: future) as served:
        with Client(served.path) as client:
            await client.send(get())
            await until(lambda: served.server.waiting)
            future.cancel()
            assert await client.is_closed()
            assert served.server.waiting == 0


async def test_handler_that_answers_nonsense(caplog):
    """What is neither a reply nor awaitable is the handler's mistake, not the client's."""
    async with serving(lambda *_: 42) as served:
        with Client(served.path) as client:
            assert (await client.ask(get())).status == 503
    assert "TypeError" in caplog.text
