"""Limits of time and number: each harms only the client that meets it."""

import errno
import logging
import os
import socket
from contextlib import ExitStack

import pytest
from raw_http import Client, get, post, serving, turns, until

from usps_token_broker.drivers.peers import read_peer
from usps_token_broker.drivers.server import Limits
from usps_token_broker.drivers.server.limits import Ledger
from usps_token_broker.wire.replies import json_reply

pytestmark = pytest.mark.anyio

SOON = 0.02
LONG = json_reply(200, b"x" * 1_000_000)


async def is_refused_as_slow(client: Client, what: str) -> None:
    """Waits for what a client hears that took too long."""
    answer = await client.answer()
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert f"the {what} of the request took longer than" in answer.json()["detail"]
    assert await client.is_closed()


async def test_slow_head():
    """A head must be there within its time from the first byte, whatever trickles in."""
    async with serving(limits=Limits(head_seconds=SOON)) as served:
        with Client(served.path) as client:
            await client.send(get()[:-1])
            await is_refused_as_slow(client, "head")


async def test_slow_head_of_a_later_request():
    """A client that was served before has no more time than others."""
    async with serving(limits=Limits(head_seconds=SOON)) as served:
        with Client(served.path) as client:
            await client.send(get() + b"GET")
            assert (await client.answer()).status == 200
            await is_refused_as_slow(client, "head")


async def test_more_bytes_give_no_more_time():
    """The clock of a head runs from its first byte and is not set back by later ones."""
    async with serving() as served:
        with Client(served.path) as client:
            await client.send(b"GET /")
            await turns()
            (connection,) = served.server._hub.members
            deadline = connection.deadline
            await client.send_pieces([b"abc", b" HTTP/1.1\r\n", b"A: b\r\n"])
            assert connection.deadline == deadline


async def test_slow_body():
    """A body has its own time, from the end of the head."""
    for raw in (post(b"body"), b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody"):
        async with serving(limits=Limits(body_seconds=SOON)) as served:
            with Client(served.path) as client:
                await client.send(raw[:-1])
                await is_refused_as_slow(client, "body")


async def test_idle_client_is_sent_away():
    """A connection on which nothing is asked is closed without a word, used before or not."""
    async with serving(limits=Limits(idle_seconds=SOON)) as served:
        with Client(served.path) as fresh:
            assert await fresh.is_closed()
        with Client(served.path) as used:
            await used.ask(get())
            assert await used.is_closed()


async def test_a_crowd_that_idles_is_sent_away():
    """All of it, though it is looked after a few at a time."""
    async with serving(limits=Limits(idle_seconds=SOON)) as served:
        with ExitStack() as stack:
            crowd = [stack.enter_context(Client(served.path)) for _ in range(150)]
            for client in crowd:
                assert await client.is_closed()
            await until(lambda: not served.server.connections)


async def test_a_request_sets_the_idle_clock_back():
    """Only time without a request counts as idle."""
    async with serving() as served:
        with Client(served.path) as client:
            await client.ask(get())
            (connection,) = served.server._hub.members
            connection.deadline = nearly_over = served.server._hub.loop.time() + 1
            await client.ask(get())
            assert connection.deadline > nearly_over + 1


async def test_reader_that_takes_nothing_is_dropped():
    """A client that does not read its replies is closed, and others never notice."""
    limits = Limits(stalled_seconds=SOON)
    async with serving(lambda *_: LONG, limits=limits) as served:
        with Client(served.path) as stalled:
            await stalled.send(get())
            await until(lambda: not served.server.connections)


async def test_slow_reader_gets_everything():
    """A client that reads now and then is waited for: what it takes buys it time."""
    async with serving(lambda *_: LONG) as served:
        with Client(served.path) as client:
            await client.send(get("/", "Connection: close"))
            await until(lambda: served.server._hub.members)
            (connection,) = served.server._hub.members
            await until(lambda: connection._unsent)
            received = b""
            for _ in range(5):
                received += await client.some()
                await turns()
                connection.expire(served.server._hub.loop.time())
            received += await client.rest()
            assert received.endswith(LONG.body)


async def test_long_last_reply_reaches_a_client_that_sent_too_much():
    """A last reply is sent whole, however slowly it is taken and whatever comes in meanwhile."""
    limits = Limits(linger_seconds=SOON)
    async with serving(lambda *_: LONG, limits=limits) as served:
        with Client(served.path) as client:
            await client.send(get("/", "Connection: close") + get() * 100)
            assert (await client.answer()).body == LONG.body
            assert await client.is_closed()


async def test_reader_that_takes_nothing_costs_little():
    """However much a client asks for without reading, at most one reply waits for it."""
    async with serving(lambda *_: LONG) as served:
        with Client(served.path) as client:
            await client.send(get() * 1000)
            await until(lambda: served.server._hub.members)
            (connection,) = served.server._hub.members
            await until(lambda: connection._unsent)
            await turns()
            assert connection._stream.get_write_buffer_size() <= len(LONG.whole)
            assert len(connection._rest) <= len(served.server._hub.buffer)


async def test_one_client_that_does_not_read_stops_nobody():
    """While one client is blocked, another is served."""
    async with serving(lambda *_: LONG) as served:
        with Client(served.path) as blocked, Client(served.path) as other:
            await blocked.send(get() * 10)
            assert len((await other.ask(get())).body) == len(LONG.body)


def is_too_many(answer) -> bool:
    """Whether this is what a client hears that is one too many."""
    return (answer.status, answer.json()["code"]) == (429, "too_many_requests")


async def test_connections_of_one_uid():
    """A uid has so many connections and no more; the next one is told so, unasked, and closed."""
    async with serving(limits=Limits(connections_per_uid=2)) as served:
        with Client(served.path) as one, Client(served.path), Client(served.path) as three:
            answer = await three.answer()
            assert is_too_many(answer)
            assert f"uid {os.getuid()}" in answer.json()["detail"]
            assert answer.headers["connection"] == "close"
            assert await three.is_closed()
            assert (await one.ask(get())).status == 200
        await until(lambda: not served.server.connections)
        with Client(served.path) as again:
            assert (await again.ask(get())).status == 200


async def test_one_uid_at_its_limit_leaves_room_for_others():
    """What one uid has taken is counted against nobody else."""
    uids = iter([1, 1, 2])

    def pretend(connected):
        peer = read_peer(connected)
        peer.uid = next(uids)
        return peer

    async with serving(limits=Limits(connections_per_uid=1), identify=pretend) as served:
        with Client(served.path) as one, Client(served.path) as two, Client(served.path) as other:
            assert (await one.ask(get())).status == 200
            assert is_too_many(await two.answer())
            assert (await other.ask(get())).status == 200


async def test_connections_in_all():
    """All uids together have a limit too."""
    async with serving(limits=Limits(connections=1)) as served:
        with Client(served.path) as one, Client(served.path) as two:
            assert is_too_many(await two.answer())
            assert (await one.ask(get())).status == 200


async def test_refused_clients_are_not_lingered_for_without_end():
    """When many are refused at once, those beyond the limit hear it and are closed right away."""
    limits = Limits(connections=1, lingering_refusals=1)
    async with serving(limits=limits) as served:
        with Client(served.path), Client(served.path) as two, Client(served.path) as three:
            assert is_too_many(await two.answer())
            assert is_too_many(await three.answer())
            assert await three.is_closed()
            assert served.server._hub.refusals == 1


async def test_lingering_ends():
    """A refused client that does not go away is closed after a while."""
    limits = Limits(connections_per_uid=0, linger_seconds=SOON)
    async with serving(limits=limits) as served:
        with Client(served.path) as client:
            assert is_too_many(await client.answer())
            await until(lambda: not served.server._hub.refusals)


class Exhausted(socket.socket):
    """A listening socket whose accept fails as it does when there are no descriptors left."""

    failures = 0
    error = errno.EMFILE

    def accept(self):
        """Fails as often as it is told."""
        if self.failures:
            self.failures -= 1
            raise OSError(self.error, os.strerror(self.error))
        return super().accept()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_no_descriptors_left(error, caplog):
    """Out of descriptors, clients wait in the queue until there are some; one line is logged."""
    async with serving() as served:
        listener = Exhausted(fileno=os.dup(served.server._listener.fileno()))
        served.server._stop_accepting()
        served.server._listener = listener
        listener.failures, listener.error = 3, error
        served.server._start_accepting()
        for _ in range(3):
            with Client(served.path) as client:
                assert (await client.ask(get())).status == 200
            assert listener.failures == 0
            listener.failures = 1  # again, as in a crowd in which one leaves and another comes
        served.server._stop_accepting()
        listener.close()
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == [f"cannot accept connections for now: {os.strerror(error)}"]


async def test_stop_while_no_descriptors_are_left():
    """A server that waits for descriptors can be stopped, and does not wake up again."""
    async with serving() as served:
        served.server._pause(OSError(errno.EMFILE, "no"))
        await served.server.stop(0)
        assert served.server._retry is None


@pytest.mark.parametrize("fails", ["add_reader", "watch"])
async def test_callers_that_no_memory_is_left_for_do_not_count(monkeypatch, fails):
    """They are turned away; when there is memory again, there is room for as many as before."""
    limits = Limits(connections_per_uid=2)
    async with serving(limits=limits) as served:
        hub, failing = served.server._hub, []
        place = hub if fails == "watch" else hub.loop
        working = getattr(place, fails)

        def fail(*arguments, **more):
            failing.append(arguments)
            raise MemoryError

        monkeypatch.setattr(place, fails, fail)
        for _ in range(3):
            with Client(served.path) as client:
                assert await client.is_closed()
        monkeypatch.setattr(place, fails, working)
        assert len(failing) == 3
        assert (served.server.connections, list(hub.members)) == (0, [])
        with Client(served.path) as one, Client(served.path) as two:
            assert (await one.ask(get())).status == 200
            assert (await two.ask(get())).status == 200


async def test_caller_that_cannot_be_identified(caplog):
    """A connection whose peer the kernel will not tell is closed, and the next one served."""
    failing = iter([True, False])

    def identify(connected):
        if next(failing):
            raise OSError(errno.ENOPROTOOPT, "no")
        return read_peer(connected)

    async with serving(identify=identify) as served:
        with Client(served.path) as one, Client(served.path) as two:
            assert await one.is_closed()
            assert (await two.ask(get())).status == 200
            assert served.server.connections == 1
    assert "letting a caller in failed" in caplog.text


def test_limits_fit_the_process():
    """Few descriptors make for few connections, half of them for one uid."""
    limits = Limits().within(1024)
    assert limits.lanes == 32
    assert limits.connections == 1024 - 64 - limits.lanes - limits.lingering_refusals
    assert limits.connections_per_uid == limits.connections // 2
    assert Limits().within(1_000_000) == Limits()
    assert Limits().within(3).connections >= 1


def test_limits_strike_soon_enough():
    """A time limit is noticed within an eighth of the shortest, or a second."""
    assert Limits().resolution_seconds == 0.25
    assert Limits(head_seconds=0.08).resolution_seconds == pytest.approx(0.01)


def test_ledger_forgets_who_has_nothing():
    """A uid that has nothing open takes no memory."""
    ledger = Ledger(Limits())
    for uid in range(100):
        assert ledger.connect(uid) is None
        assert ledger.wait(uid) is None
    for uid in range(100):
        ledger.disconnect(uid)
        ledger.answered(uid)
    assert not ledger._connections
    assert not ledger._waiting
