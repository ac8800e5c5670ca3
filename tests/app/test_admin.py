"""Calls of the admin socket on virtual time, and that they are of no other."""

import anyio
import pytest
from interface import ADMIN, ALICE, app, open_interface
from virtual import DOWN, HOUR, INVALID_CLIENT

from usps_token_broker.core.values import SlotId

pytestmark = pytest.mark.anyio

RENEW = "/v1/tokens/bearer/renewals"
FORGET = "/v1/forget"
ORDERS = [RENEW, FORGET, "/v1/reload"]


@pytest.mark.parametrize("target", ORDERS)
@pytest.mark.parametrize("who", [ADMIN, ALICE], ids=["root", "a worker"])
async def test_the_socket_for_workers_takes_no_orders(target, who):
    """Not even from root: a container may mount it."""
    async with open_interface() as broker:
        answer = await broker.ask("POST", target, who=who)
    assert (answer.status, answer.code) == (404, "not_found")
    assert "admin.sock" in answer.json["fix"]


@pytest.mark.parametrize("target", ORDERS)
async def test_the_admin_socket_takes_no_orders_from_others(target):
    """Should its file ever be opened to them."""
    async with open_interface() as broker:
        answer = await broker.ask("POST", target, who=ALICE, admin=True)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("target", ORDERS)
async def test_an_order_is_a_post(target):
    """A browser or a crawler that follows links gives none."""
    async with open_interface() as broker:
        answer = await broker.ask("GET", target, admin=True)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_a_method_that_only_administrators_may_use_is_not_offered_to_workers():
    """The path is not there for them."""
    async with open_interface() as broker:
        answer = await broker.ask("DELETE", FORGET, who=ALICE)
    assert (answer.status, answer.code) == (404, "not_found")


async def test_the_admin_socket_serves_all_the_rest_as_well():
    """One socket is enough for an administrator."""
    async with open_interface() as broker:
        await broker.token()
        for target in ("/v1/tokens/bearer", "/v1/headers", "/v1/status", "/readyz"):
            assert (await broker.ask("GET", target, admin=True)).status == 200


async def test_a_renewal_is_answered_with_the_token_that_is_in_use_now():
    """Its serial and its end, not its value."""
    async with open_interface() as broker:
        before = await broker.token()
        await anyio.sleep(HOUR)
        answer = await broker.ask("POST", RENEW, admin=True)
        after = await broker.token()
    assert answer.status == 200
    assert answer.json["outcome"] == "renewed"
    assert answer.json["serial"] == after["serial"] > before["serial"]
    assert after["token"] not in answer.body.decode()


async def test_a_renewal_that_usps_refuses_says_so_and_the_token_stays():
    """502 with USPS's own code; nothing is lost by trying."""
    async with open_interface() as broker:
        before = await broker.token()
        await anyio.sleep(HOUR)
        broker.usps.down(0, float("inf"), INVALID_CLIENT)
        answer = await broker.ask("POST", f"{RENEW}?wait=3", admin=True)
        assert (answer.status, answer.code) == (502, "credentials_refused")
        assert (await broker.token())["serial"] == before["serial"]


async def test_a_renewal_that_fails_for_now_says_when_the_next_attempt_is():
    """503, and Retry-After."""
    async with open_interface() as broker:
        await broker.token()
        await anyio.sleep(HOUR)
        broker.usps.down(0, float("inf"), DOWN)
        answer = await broker.ask("POST", f"{RENEW}?wait=1", admin=True)
    assert (answer.status, answer.code) == (503, "upstream_unavailable")
    assert "retry-after" in answer.headers


async def test_renewals_by_hand_leave_the_last_two_attempts():
    """A script that renews in a loop cannot cost the shop its planned renewal."""
    async with open_interface() as broker:
        await broker.token()
        answers = [(await broker.ask("POST", f"{RENEW}?wait=1", admin=True)) for _ in range(20)]
        assert answers[-1].code == "budget_exhausted"
        assert len(broker.usps.calls_of(SlotId("default", "bearer"))) == 2


async def test_a_renewal_of_an_unknown_token_says_what_there_is():
    """As a read does."""
    async with open_interface() as broker:
        answer = await broker.ask("POST", "/v1/tokens/nope/renewals", admin=True)
    assert (answer.status, answer.code) == (404, "unknown_slot")


@pytest.mark.parametrize(
    ("query", "gone"),
    [
        ("?slot=payment", [("default", "payment")]),
        ("?app=default", [("default", "bearer"), ("default", "payment")]),
        ("", [("default", "bearer"), ("default", "payment"), ("two", "bearer")]),
        ("?app=two&slot=bearer", [("two", "bearer")]),
    ],
)
async def test_what_is_forgotten_is_what_was_named(query, gone):
    """One slot, an app, or everything."""
    async with open_interface(app(), app("two", payments=())) as broker:
        answer = await broker.ask("POST", f"{FORGET}{query}", admin=True)
    assert [(g["app"], g["slot"]) for g in answer.json["forgotten"]] == gone


async def test_a_forgotten_token_is_served_no_more_and_the_next_is_another():
    """Not from an answer that lay ready either."""
    async with open_interface() as broker:
        before = await broker.token()
        await broker.ask("POST", f"{FORGET}?slot=bearer", admin=True)
        assert (await broker.get("/v1/tokens/bearer?wait=0")).code == "not_ready"
        assert (await broker.token())["token"] != before["token"]


async def test_forgetting_an_unknown_app_or_slot_forgets_nothing():
    """A slip of the hand."""
    async with open_interface() as broker:
        before = await broker.token()
        for query, code in (("?app=nope", "unknown_app"), ("?slot=nope", "unknown_slot")):
            assert (await broker.ask("POST", f"{FORGET}{query}", admin=True)).code == code
        assert (await broker.token())["serial"] == before["serial"]


async def test_the_admin_socket_tells_who_takes_what():
    """And the socket for workers does not."""
    async with open_interface() as broker:
        over_admin = (await broker.ask("GET", "/v1/status", admin=True)).json
        over_other = (await broker.get("/v1/status")).json
    assert over_admin["peers"] == []
    assert {"peers", "left_out"}.isdisjoint(over_other)
