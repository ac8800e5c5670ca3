"""How many calls for the same thing were under way at once: what counts, and when a call ends."""

import contextlib

import anyio
import httpx
import pytest

from usps_token_broker.simulator import EXAMPLE_ROLES

pytestmark = pytest.mark.anyio

OTHER_ROLES = [{**role, "CRID": "87654321"} for role in EXAMPLE_ROLES]


async def together(shop, api, *asks):
    """Let these calls be under way at once at an endpoint, then let them go."""
    before = shop.usps.calls.total(api)
    shop.usps.inject(f"hold@{api}")
    async with anyio.create_task_group() as group:
        for ask in asks:
            group.start_soon(ask)
        await shop.usps.calls.wait_for(before + len(asks), api)
        shop.usps.clear_faults()


async def seen(shop, api):
    answer = await shop.http.get("/sim/calls")
    return answer.json()["by_endpoint"][api]["most_at_once"]


async def test_two_calls_for_one_token_are_seen(shop):
    """By the counters, by the log, and by a test in Python."""
    await together(shop, "token", shop.ask_token, shop.ask_token)

    assert await seen(shop, "token") == {"demo-client-id": 2}
    assert [call.at_once for call in shop.usps.calls.log][-2:] == [1, 2]
    assert shop.usps.calls.most_at_once("token") == 2


async def test_calls_one_after_another_are_one_at_a_time(shop):
    """However many."""
    for _ in range(3):
        await shop.ask_token()

    assert await seen(shop, "token") == {"demo-client-id": 1}


async def test_calls_for_other_roles_or_scopes_do_not_count_together(shop):
    """A broker may fetch two payment tokens at once, and not one twice."""

    async def ask_for_others():
        await shop.ask_payment(OTHER_ROLES)

    async def ask_for_less():
        await shop.ask_token(scope="labels")

    await together(shop, "payment-authorization", shop.ask_payment, ask_for_others)
    await together(shop, "token", shop.ask_token, ask_for_less)

    assert await seen(shop, "payment-authorization") == {"demo-client-id": 1}
    assert await seen(shop, "token") == {"demo-client-id": 1}


@pytest.mark.parametrize("fault", ["hang", "hold", "drip=60", "delay=60"])
async def test_a_call_is_over_when_its_client_has_left(shop, fault):
    """Whoever gives up and asks anew has one call under way."""
    shop.usps.inject(f"{fault}@tokenx1")
    async with anyio.create_task_group() as group:
        group.start_soon(shop.ask_token)
        await shop.usps.calls.wait_for(shop.usps.calls.total("token") + 1, "token")
        group.cancel_scope.cancel()

    await shop.ask_token()

    assert await seen(shop, "token") == {"demo-client-id": 1}


@pytest.mark.parametrize("fault", ["cut_body", "reset", "huge_body=1", "unavailable"])
async def test_a_call_is_over_when_its_answer_is_whatever_it_was(shop, fault):
    """None of the ways in which an answer goes wrong leaves a call behind."""
    shop.usps.inject(f"{fault}@tokenx1")
    with contextlib.suppress(httpx.TransportError):
        await shop.ask_token()

    await shop.ask_token()

    assert await seen(shop, "token") == {"demo-client-id": 1}


async def test_a_reset_forgets_what_was_and_not_what_is_under_way(shop):
    """A second call that begins after a reset is a second one all the same."""
    shop.usps.inject("hold@token")
    begun = shop.usps.calls.total("token")
    async with anyio.create_task_group() as group:
        group.start_soon(shop.ask_token)
        await shop.usps.calls.wait_for(begun + 1, "token")
        shop.usps.reset()
        assert await seen(shop, "token") == {}
        group.start_soon(shop.ask_token)
        await shop.usps.calls.wait_for(1, "token")
        shop.usps.clear_faults()

    assert await seen(shop, "token") == {"demo-client-id": 2}
