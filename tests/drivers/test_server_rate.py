"""Requests a minute: beyond so many a user is told when to come again, at next to no cost."""

import pytest
from raw_http import Client, get, post, serving

from usps_token_broker.drivers.peers import read_peer
from usps_token_broker.drivers.server import Limits
from usps_token_broker.drivers.server import replies as server_replies
from usps_token_broker.wire.replies import json_reply

pytestmark = pytest.mark.anyio

READY = json_reply(200, b"{}")


class Counting:
    """A handler that knows how often it was asked."""

    def __init__(self):
        self.asked = 0

    def __call__(self, _request, _peer):
        """Counts."""
        self.asked += 1
        return READY


async def test_beyond_the_rate_a_user_hears_when_to_come_again():
    """The limit and its key are named, and `Retry-After` is a time at which it helps."""
    async with serving(Counting(), limits=Limits(requests_per_minute_per_uid=2)) as served:
        with Client(served.path) as client:
            assert [(await client.ask(get())).status for _ in range(2)] == [200, 200]
            answer = await client.ask(get())
    assert (answer.status, answer.json()["code"]) == (429, "too_many_requests")
    assert "more than 2 times a minute" in answer.json()["detail"]
    assert "limits.requests_per_minute_per_uid" in answer.json()["detail"]
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    assert answer.json()["retry_after"] == int(answer.headers["retry-after"])


async def test_the_connection_goes_on():
    """A refusal is an answer: what comes behind it on the connection gets one as well."""
    async with serving(Counting(), limits=Limits(requests_per_minute_per_uid=1)) as served:
        with Client(served.path) as client:
            await client.send(get() * 5 + post(b"{}") + get("/", "Connection: close"))
            statuses = [(await client.answer()).status for _ in range(7)]
            assert statuses == [200, *[429] * 6]
            assert await client.is_closed()


async def test_the_handler_hears_nothing_of_it():
    """So a refused request is no read, whatever is counted."""
    counting = Counting()
    async with serving(counting, limits=Limits(requests_per_minute_per_uid=3)) as served:
        with Client(served.path) as client:
            for _ in range(10):
                await client.ask(get())
    assert counting.asked == 3


async def test_more_connections_give_no_more():
    """It is the user that counts, and others have their own."""
    uids = iter([1, 1, 2])

    def pretend(connected):
        peer = read_peer(connected)
        peer.uid = next(uids)
        return peer

    limits = Limits(requests_per_minute_per_uid=1)
    async with serving(Counting(), limits=limits, identify=pretend) as served:
        with Client(served.path) as one, Client(served.path) as two, Client(served.path) as other:
            assert (await one.ask(get())).status == 200
            assert (await two.ask(get())).status == 429
            assert (await other.ask(get())).status == 200


async def test_root_is_a_user_like_any_other():
    """A loop that runs wild does the same under every uid."""

    def as_root(connected):
        peer = read_peer(connected)
        peer.uid = 0
        return peer

    limits = Limits(requests_per_minute_per_uid=1)
    async with serving(Counting(), limits=limits, identify=as_root) as served:
        with Client(served.path) as client:
            assert [(await client.ask(get())).status for _ in range(2)] == [200, 429]


async def test_none_is_no_limit():
    """As on the administrator's socket."""
    async with serving(Counting(), limits=Limits(requests_per_minute_per_uid=0)) as served:
        with Client(served.path) as client:
            await client.send(get() * 1000)
            for _ in range(1000):
                assert (await client.answer()).status == 200


async def test_all_who_hear_the_same_hear_one_reply():
    """It is made once: to refuse costs less than to serve."""
    assert server_replies.too_often(5, 3) is server_replies.too_often(5, 3)
