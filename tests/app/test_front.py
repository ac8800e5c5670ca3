"""The interface while another configuration takes the place of the one before."""

import json
from dataclasses import replace

import anyio
import pytest
from interface import ADMIN, ALICE, BOB, LABELS, SHOP, STRANGER, answer_of, app, open_interface

from usps_token_broker.drivers.peers import Peer
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request

pytestmark = pytest.mark.anyio

BEARER = "/v1/tokens/bearer"
PAYMENT = "/v1/tokens/payment"
CLOSED = app(open_to={"bearer": (LABELS,), "payment": (LABELS,)})


def peer(who):
    """A connection of this identity, judged at accept."""
    uid, groups = who
    return Peer(uid, groups[0] if groups else 0, 1, frozenset(groups))


async def ask(broker, connected, target, method="GET", body=b""):
    """What a connection that stays open is answered."""
    handled = broker.door.handle(Request(method, target.encode(), {}, body), connected)
    return answer_of(handled if isinstance(handled, Reply) else await handled)


async def test_who_loses_access_loses_it_on_the_connection_it_has():
    """Not only when it connects again."""
    async with open_interface() as broker:
        alice = peer(ALICE)
        assert (await ask(broker, alice, BEARER)).status == 200
        broker.reload(CLOSED)
        answer = await ask(broker, alice, BEARER)
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_who_gains_access_has_it_on_the_connection_it_has():
    """A worker need not be restarted."""
    async with open_interface() as broker:
        alice = peer(ALICE)
        await broker.token("payment")
        assert (await ask(broker, alice, PAYMENT)).status == 403
        broker.reload(app(open_to={"bearer": (SHOP,), "payment": (SHOP,)}))
        assert (await ask(broker, alice, PAYMENT)).status == 200


async def test_who_waits_while_access_is_taken_away_gets_no_token():
    """The rules at the time of the answer count."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 5.0
        alice, answers = peer(ALICE), []

        async def wait():
            answers.append(await ask(broker, alice, BEARER))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.sleep(1)
            broker.reload(CLOSED)
    assert (answers[0].status, answers[0].code) == (403, "forbidden")


async def test_who_waits_through_two_reloads_is_judged_by_the_second():
    """Not by the one that came next and is in force no more."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 5.0
        alice, answers = peer(ALICE), []

        async def wait():
            answers.append(await ask(broker, alice, BEARER))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.sleep(1)
            broker.reload(app())
            broker.reload(CLOSED)
    assert (answers[0].status, answers[0].code) == (403, "forbidden")


REFUSED = {"status": 401, "body": "", "path": "/addresses/v3/address"}


@pytest.mark.parametrize(
    ("reloads", "status"),
    [((CLOSED,), 403), ((app(), CLOSED), 403), ((app(),), 200), ((CLOSED, app()), 200)],
    ids=["taken", "taken by the second", "left", "given back"],
)
async def test_who_reported_a_token_gets_the_next_by_the_rules_in_force(reloads, status):
    """The answer to a report has tokens in it too."""
    async with open_interface() as broker:
        serials = {"bearer": (await broker.token())["serial"]}
        await anyio.sleep(3600)
        broker.usps.latency_seconds = 5.0
        alice, answers = peer(ALICE), []
        body = json.dumps({**REFUSED, "serials": serials}).encode()

        async def report():
            answers.append(await ask(broker, alice, "/v1/answers", "POST", body))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(report)
            await anyio.sleep(1)
            for configuration in reloads:
                broker.reload(configuration)
    assert answers[0].status == status
    assert (b"token-default" in answers[0].body) == (status == 200)


async def test_who_reported_a_token_and_may_use_the_broker_for_others_is_told_which_it_lost():
    """As one that asks for it is."""
    async with open_interface() as broker:
        serials = {"bearer": (await broker.token())["serial"]}
        serials["payment"] = (await broker.token("payment"))["serial"]
        await anyio.sleep(3600)
        broker.usps.latency_seconds = 5.0
        bob, answers = peer(BOB), []
        said = {**REFUSED, "path": "/labels/v3/label", "serials": serials}

        async def report():
            body = json.dumps(said).encode()
            answers.append(await ask(broker, bob, "/v1/answers", "POST", body))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(report)
            await anyio.sleep(1)
            broker.reload(app(open_to={"bearer": (LABELS,), "payment": (SHOP,)}))
    assert (answers[0].status, answers[0].code) == (403, "forbidden")
    assert "default/payment" in answers[0].json["detail"]


async def test_who_reported_a_token_of_a_host_gets_none_of_another():
    """It would send it to the host that it called before."""
    async with open_interface() as broker:
        serials = {"bearer": (await broker.token())["serial"]}
        await anyio.sleep(3600)
        broker.usps.latency_seconds = 5.0
        root, answers = peer(ADMIN), []
        body = json.dumps({**REFUSED, "serials": serials}).encode()

        async def report():
            answers.append(await ask(broker, root, "/v1/answers", "POST", body))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(report)
            await anyio.sleep(1)
            host = "apis-tem.usps.com"
            broker.reload(replace(app(), base_url=f"https://{host}", host=host))
    assert (answers[0].status, answers[0].code) == (503, "restarting")
    assert b"token-default" not in answers[0].body


async def test_who_waits_through_a_reload_gets_the_token():
    """One that changes nothing for it is not noticed."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 5.0
        bob, answers = peer(BOB), []

        async def wait():
            answers.append(await ask(broker, bob, BEARER))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.sleep(1)
            broker.reload(CLOSED)
    assert (answers[0].status, answers[0].json["token"]) == (200, "token-default/bearer-1")
    assert len(broker.usps.calls_of(("default", "bearer"))) == 1


async def test_a_slot_that_a_reload_adds_is_served():
    """As soon as USPS has granted it."""
    async with open_interface() as broker:
        await broker.token()
        assert (await broker.get("/v1/tokens/payment-eu")).code == "unknown_slot"
        broker.reload(app(payments=("payment", "payment-eu")))
        assert (await broker.token("payment-eu"))["slot"] == "payment-eu"


async def test_a_slot_that_a_reload_takes_away_is_unknown():
    """Its token is not kept ready anywhere."""
    async with open_interface() as broker:
        await broker.token("payment")
        broker.reload(app(payments=()))
        assert (await broker.get(PAYMENT)).code == "payment_not_configured"


async def test_who_waits_for_a_slot_that_goes_is_told_at_once():
    """Not after its ten seconds."""
    async with open_interface() as broker:
        broker.usps.latency_seconds = 50.0
        answers = []

        async def wait():
            answers.append(await broker.get(PAYMENT))

        begin = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.sleep(1)
            broker.reload(app(payments=()))
        assert anyio.current_time() - begin < 2
    assert answers[0].code == "unknown_slot"


async def test_another_host_is_told_in_the_next_answer():
    """Headers must not go to the old one."""
    async with open_interface() as broker:
        await broker.token()
        host = "apis-tem.usps.com"
        broker.reload(replace(app(), base_url=f"https://{host}", host=host))
        headers = (await broker.get("/v1/headers")).json
    assert headers["base_url"] == "https://apis-tem.usps.com"
    assert headers["headers"]["Authorization"] != "Bearer token-default/bearer-1"


async def test_min_valid_is_bounded_by_the_buffer_in_force():
    """A reload may make it smaller."""
    async with open_interface() as broker:
        assert (await broker.get(f"{BEARER}?min_valid=1800")).status == 200
        broker.reload(app(buffer_seconds=600.0))
        assert (await broker.get(f"{BEARER}?min_valid=1800")).code == "bad_request"


async def test_a_stranger_is_told_the_rules_in_force():
    """What is open to whom may have changed since it was told last."""
    async with open_interface() as broker:
        stranger = peer(STRANGER)
        before = (await ask(broker, stranger, BEARER)).json["detail"]
        broker.reload(app(open_to={"bearer": (SHOP,), "payment": ()}))
        after = (await ask(broker, stranger, BEARER)).json["detail"]
    assert f"group {LABELS}" in before
    assert f"group {LABELS}" not in after


async def test_administrators_may_use_everything_under_every_configuration():
    """Whatever a reload does to the rules."""
    async with open_interface() as broker:
        root = peer(ADMIN)
        assert (await ask(broker, root, BEARER)).status == 200
        broker.reload(app(open_to={}))
        assert (await ask(broker, root, BEARER)).status == 200
