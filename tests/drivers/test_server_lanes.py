"""Whoever asks waits for a share of every other user, not for all that one of them asked for."""

from contextlib import ExitStack

import pytest
from raw_http import Client, get, serving, turns, until

from usps_token_broker.drivers.peers import read_peer
from usps_token_broker.drivers.server import Limits
from usps_token_broker.drivers.server.acceptor import ACCEPTED_AT_ONCE
from usps_token_broker.drivers.server.lanes import HEAVY
from usps_token_broker.wire.replies import json_reply

pytestmark = pytest.mark.anyio

READY = json_reply(200, b"{}")
REFUSAL = json_reply(404, b"{}")
SHARE = Limits().shared_turn
CROWD = 40
"""Connections of the greedy user."""
ROUNDS = 4
"""Until an answer was read and the next question is there: both sides share one loop."""


class Users:
    """A handler that writes down who was answered, and peers as they come: greedy, then modest."""

    def __init__(self, greedy_connections, reply=READY):
        self.greedy_connections = greedy_connections
        self.reply = reply
        self.connected = 0
        self.served = []

    def identify(self, connected):
        """The first to come are user 1, the last is user 2."""
        peer = read_peer(connected)
        peer.uid = 1 if self.connected < self.greedy_connections else 2
        self.connected += 1
        return peer

    def handle(self, _request, peer):
        """Answers and remembers whom."""
        self.served.append(peer.uid)
        return READY if peer.uid == 2 else self.reply

    def longest_wait(self):
        """The most requests of user 1 between two answers to user 2, or before the first."""
        runs = "".join(map(str, self.served)).split("2")[:-1]
        assert runs
        return max(map(len, runs))


async def ask_beside(users, sent, limits=None, questions=20, handle=None):
    """User 2 asks again and again while each connection of user 1 has `sent` to be answered."""
    limits = limits or Limits()
    handle = handle or users.handle
    async with serving(handle, limits=limits, identify=users.identify) as served:
        with ExitStack() as stack:
            crowd = [
                stack.enter_context(Client(served.path)) for _ in range(users.greedy_connections)
            ]
            modest = stack.enter_context(Client(served.path))
            await until(lambda: users.connected == users.greedy_connections + 1)
            await turns()
            modest.socket.send(get())  # all at once, before the server gets to read any of it
            for client in crowd:
                client.socket.send(sent)
            for left in reversed(range(questions)):
                await modest.answer()
                if left:
                    await modest.send(get())


async def test_many_connections_of_one_user_are_one_user():
    """With a request on each of 40 connections at once, 4 may be ahead of another's."""
    users = Users(CROWD)
    await ask_beside(users, get())
    assert users.longest_wait() <= ROUNDS * SHARE // 2, users.served


async def test_a_crowd_at_the_door_is_let_in_a_few_at_a_time():
    """Who is inside is answered meanwhile, and in the end all are let in."""
    users = Users(CROWD + 1)
    async with serving(users.handle, identify=users.identify) as served:
        with ExitStack() as stack:
            inside = stack.enter_context(Client(served.path))
            assert (await inside.ask(get())).status == 200
            for _ in range(CROWD):
                stack.enter_context(Client(served.path))
            inside.socket.send(get())
            assert (await inside.answer()).status == 200
            assert users.connected <= 1 + ROUNDS * ACCEPTED_AT_ONCE
            await until(lambda: users.connected == 1 + CROWD)


async def test_pipelining_gains_nothing():
    """One connection with hundreds of requests in its bytes is a user like any other."""
    users = Users(1)
    await ask_beside(users, get() * 300, questions=5)
    assert users.longest_wait() <= ROUNDS * SHARE, users.served


async def test_refusals_count_for_what_they_cost():
    """To be refused is dearer than to be served: it gets fewer in."""
    users = Users(CROWD, REFUSAL)
    await ask_beside(users, get() * 20, questions=10)
    assert users.longest_wait() <= ROUNDS * (SHARE // (HEAVY + 1) + 1), users.served


async def test_what_must_be_awaited_counts_for_more():
    """A report costs what a dozen reads cost, so hardly more than one gets in at a time."""
    users = Users(CROWD)

    async def later():
        return READY

    def handle(request, peer):
        users.handle(request, peer)
        return READY if peer.uid == 2 else later()

    await ask_beside(users, get() * 20, questions=10, handle=handle)
    assert users.longest_wait() <= ROUNDS * 2, users.served


async def test_without_shares_everybody_would_wait_for_all():
    """What the tests above would see if there were none."""
    users = Users(CROWD)
    limits = Limits(turn=100_000, shared_turn=100_000)
    await ask_beside(users, get() * 20, limits, questions=2)
    assert users.longest_wait() > 10 * SHARE


async def test_everything_that_was_put_off_is_answered_in_order():
    """A share is a delay and nothing else: every connection gets all its answers."""
    users = Users(3)
    limits = Limits(shared_turn=2)
    async with serving(users.handle, limits=limits, identify=users.identify) as served:
        with ExitStack() as stack:
            crowd = [stack.enter_context(Client(served.path)) for _ in range(4)]
            for client in crowd:
                await client.send(get() * 50)
            for client in crowd:
                for _ in range(50):
                    assert (await client.answer()).status == 200
            lanes = served.server._hub.lanes
            await until(lambda: not lanes.of(1)._put_off)


async def test_who_leaves_while_put_off_is_forgotten():
    """A connection that is cut does not hold up its user's others, nor stay in memory."""
    users = Users(2)
    limits = Limits(shared_turn=1)
    async with serving(users.handle, limits=limits, identify=users.identify) as served:
        with Client(served.path) as stays, Client(served.path) as leaves, Client(served.path):
            await until(lambda: users.connected == 3)
            leaves.socket.send(get() * 100)
            stays.socket.send(get())
            leaves.socket.close()
            assert (await stays.answer()).status == 200
            await until(lambda: served.server.connections == 2)
            await until(lambda: not served.server._hub.lanes.of(1)._put_off)


async def test_a_head_that_was_put_off_still_has_its_time():
    """A client in the middle of a head when its turn was over is sent away when it is slow."""
    users = Users(1)
    limits = Limits(shared_turn=1, head_seconds=0.05)
    async with serving(users.handle, limits=limits, identify=users.identify) as served:
        with Client(served.path) as slow, Client(served.path) as other:
            await until(lambda: users.connected == 2)
            await slow.send(get() * 3 + b"GET / HT")
            for _ in range(3):
                assert (await slow.answer()).status == 200
            await slow.send(b"TP")
            answer = await slow.answer()
            assert (answer.status, answer.json()["code"]) == (400, "bad_request")
            assert (await other.ask(get())).status == 200


async def test_alone_a_user_has_a_larger_share():
    """What may be ahead of a user who has yet to come is bounded as well."""
    users = Users(CROWD)
    async with serving(users.handle, identify=users.identify) as served:
        with ExitStack() as stack:
            crowd = [stack.enter_context(Client(served.path)) for _ in range(CROWD)]
            await until(lambda: users.connected == CROWD)
            await turns()
            for client in crowd:
                client.socket.send(get() * 64)
            modest = stack.enter_context(Client(served.path))
            modest.socket.send(get())
            assert (await modest.answer()).status == 200
    assert users.longest_wait() <= 2 * Limits().turn
