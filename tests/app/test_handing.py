"""Which answers count as handing out a token, and to whom."""

import json
from dataclasses import replace

import anyio
import pytest
from interface import ADMIN, ALICE, app, open_interface

from usps_token_broker.drivers.peers import Peer
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request

pytestmark = pytest.mark.anyio

BEARER = "/v1/tokens/bearer"
HEADERS = "/v1/headers?payment=default"
ONE = ("default/bearer",)
BOTH = ("default/bearer", "default/payment")
PID = 7


def connect(who=ADMIN):
    """A new connection of one process."""
    uid, groups = who
    return Peer(uid, 0, PID, frozenset(groups))


async def ask(broker, peer, target, method="GET", headers=None, body=b""):
    """The status of the answer on this connection."""
    request = Request(method, target.encode(), headers or {}, body)
    handled = broker.door.handle(request, peer)
    return (handled if isinstance(handled, Reply) else await handled).status


@pytest.mark.parametrize("accept", [b"text/plain", b"application/json"])
@pytest.mark.parametrize(("target", "tokens"), [(BEARER, ONE), (HEADERS, BOTH)])
async def test_a_token_counts_that_was_waited_for_and_one_that_lay_ready(target, tokens, accept):
    """In both forms; each connection tells once."""
    async with open_interface() as broker:
        for _ in range(2):
            peer = connect()
            for _ in range(3):
                assert await ask(broker, peer, target, headers={b"accept": accept}) == 200
                await anyio.sleep(1)
        assert broker.handed == [(PID, tokens)] * 2


async def test_another_set_on_the_same_connection_counts():
    """The bearer first, then both."""
    async with open_interface() as broker:
        peer = connect()
        for target in (BEARER, HEADERS, BEARER, HEADERS):
            await ask(broker, peer, target)
        assert broker.handed == [(PID, ONE), (PID, BOTH)]


@pytest.mark.parametrize("dead", [True, False])
async def test_headers_in_the_answer_to_a_report_count(dead):
    """With a renewal, and without one."""
    async with open_interface() as broker:
        serial = (await broker.token())["serial"]
        await anyio.sleep(3600)
        said = {"status": 401, "path": "/addresses/v3/address", "serials": {"bearer": serial}}
        said["body"] = "" if dead else '{"error": {"message": "Insufficient OAuth scope"}}'
        body = json.dumps(said).encode()
        assert await ask(broker, connect(), "/v1/answers", "POST", body=body) == 200
        assert broker.handed == [(PID, ONE)]


async def test_what_has_no_token_in_it_does_not_count():
    """Its head, that it is still the one, a refusal, a question."""
    async with open_interface() as broker:
        etag = (await broker.get(BEARER)).headers["etag"].encode()
        assert await ask(broker, connect(), BEARER, "HEAD") == 200
        assert await ask(broker, connect(), BEARER, headers={b"if-none-match": etag}) == 304
        assert await ask(broker, connect(ALICE), "/v1/tokens/payment") == 403
        assert await ask(broker, connect(), "/v1/tokens/bearer?scope=nothing") == 403
        assert await ask(broker, connect(), "/v1/status") == 200
        assert broker.handed == []


async def test_a_head_first_hides_no_token_afterwards():
    """On the same connection."""
    async with open_interface() as broker:
        peer = connect()
        await ask(broker, peer, BEARER, "HEAD")
        await ask(broker, peer, BEARER)
        assert broker.handed == [(PID, ONE)]


async def test_who_leaves_while_waiting_was_handed_nothing():
    """And nobody has to await what it was promised."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 5.0
        with anyio.move_on_after(1):
            await ask(broker, connect(), BEARER)
        broker.door.handle(Request("GET", BEARER.encode(), {}), connect()).close()
        await anyio.sleep(30)
        assert broker.handed == []


async def test_who_waits_through_a_reload_is_handed_the_token_once():
    """By whichever configuration."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 5.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, broker, connect(), BEARER)
            await anyio.sleep(1)
            broker.reload(replace(app(), buffer_seconds=1700.0))
        assert broker.handed == [(PID, ONE)]
