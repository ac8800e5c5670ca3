"""Calls an hour are limited by app and endpoint, on an injected clock."""

import pytest

pytestmark = pytest.mark.anyio


async def test_sixty_tokens_an_hour_are_granted(closed_shop):
    """As USPS gives each API of its default product; the next call gets 429."""
    for _ in range(60):
        assert (await closed_shop.ask_token()).status_code == 200

    answer = await closed_shop.ask_token()
    assert answer.status_code == 429
    assert answer.json()["error"] == "invalid_request"
    assert answer.headers["retry-after"] == "3600"


async def test_retry_after_counts_down(closed_shop, usps, clock):
    """It names the whole seconds until the hour is over."""
    usps.configure(quotas={"token": 1})
    await closed_shop.ask_token()
    clock.advance(1000.5)

    assert (await closed_shop.ask_token()).headers["retry-after"] == "2600"


async def test_the_next_hour_grants_again(closed_shop, usps, clock):
    """An hour after its first call."""
    usps.configure(quotas={"token": 1})
    await closed_shop.ask_token()
    await closed_shop.ask_token()

    clock.advance(3600)

    assert (await closed_shop.ask_token()).status_code == 200


async def test_each_endpoint_has_a_quota_of_its_own(shop, usps):
    """One that is used up leaves the others."""
    usps.configure(quotas={"token": 0, "addresses": 1})

    assert (await shop.ask_token()).status_code == 429
    assert (await shop.ask_address()).status_code == 200
    answer = await shop.ask_address()
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "429"
    assert (await shop.ask_label()).status_code == 200


async def test_each_app_has_a_quota_of_its_own(shop, usps):
    """Counted by client id, also where the token names it."""
    usps.configure(more_apps={"second": "hush"}, quotas={"token": 1})
    other = {"client_id": "second", "client_secret": "hush"}

    assert [(await shop.ask_token()).status_code for _ in range(2)] == [200, 429]
    assert [(await shop.ask_token(**other)).status_code for _ in range(2)] == [200, 429]


async def test_refused_calls_count(closed_shop, usps):
    """A wrong secret uses the quota of its app up, too."""
    usps.configure(quotas={"token": 1})

    assert (await closed_shop.ask_token(client_secret="wrong")).status_code == 401
    assert (await closed_shop.ask_token()).status_code == 429


async def test_strangers_share_a_quota(closed_shop, usps):
    """So nobody can make the simulator remember a million of them."""
    usps.configure(quotas={"token": 1})

    assert (await closed_shop.ask_token(client_id="a")).status_code == 401
    assert (await closed_shop.ask_token(client_id="b")).status_code == 429
    assert (await closed_shop.ask_token()).status_code == 200


async def test_no_limit_is_no_limit(closed_shop, usps):
    """None stands for it."""
    usps.configure(quotas={"token": None})

    assert {(await closed_shop.ask_token()).status_code for _ in range(70)} == {200}


async def test_resetting_opens_the_hour_anew(closed_shop, usps):
    """Together with the counters."""
    usps.configure(quotas={"token": 1})
    await closed_shop.ask_token()

    usps.reset()

    assert (await closed_shop.ask_token()).status_code == 200
    assert usps.calls.total() == 1
