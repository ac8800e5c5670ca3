"""Addresses and labels check both tokens and answer as USPS does."""

import httpx
import pytest

from usps_token_broker.simulator import EXAMPLE_LABEL, ManualClock, Settings, running

pytestmark = pytest.mark.anyio


def calling(usps):
    return httpx.AsyncClient(base_url=usps.base_url, verify=False)


def words_of(answer):
    error = answer.json()["error"]
    return error["message"], [item["detail"] for item in error["errors"]]


async def test_an_address_is_found(shop):
    """In capitals, with the fields of USPS's own example."""
    body = (await shop.ask_address()).json()

    assert body["address"]["streetAddress"] == "1100 WYOMING ST"
    assert set(body) == {"firm", "address", "additionalInfo", "corrections", "matches"}


@pytest.mark.parametrize("missing", ["streetAddress", "state", "city"])
async def test_an_incomplete_address_is_refused(shop, missing):
    """400 in the shape of a recorded one, where source is a text."""
    answer = await shop.ask_address(**{missing: ""})

    assert answer.status_code == 400
    assert answer.json()["error"]["errors"][0]["source"] == "API"


async def test_a_refusal_is_laid_out_as_the_recorded_one(closed_shop):
    """A line break first, and 408 bytes in all, as recorded at this endpoint in May 2025."""
    answer = await closed_shop.ask_address()

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.content.startswith(b'\n            {\n                "apiVersion": "/addres')
    assert len(answer.content) == 408


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer not-a-jwt", "Bearer a.b.c", 'Bearer {"access_token": "e"}'],
)
async def test_what_is_no_jwt_is_malformed(closed_shop, header):
    """The answer that users get who send the whole JSON, or half of it."""
    answer = await closed_shop.http.get("/addresses/v3/address", headers={"Authorization": header})

    assert answer.status_code == 401
    assert words_of(answer)[0] == "Missing or malformed access token."


async def test_basic_is_no_bearer(shop):
    """Another scheme counts as none."""
    answer = await shop.http.get(
        "/addresses/v3/address", headers={"Authorization": f"Basic {shop.bearer}"}
    )

    assert answer.status_code == 401


async def test_the_scheme_may_be_in_lower_case(shop):
    """Schemes are case-insensitive (RFC 9110 11.1)."""
    answer = await shop.http.get(
        "/addresses/v3/address",
        params={"streetAddress": "1 A", "state": "MO", "city": "X"},
        headers={"Authorization": f"bearer {shop.bearer}"},
    )

    assert answer.status_code == 200


async def test_half_a_token_is_refused(shop):
    """A token that was cut is no token of this host."""
    shop.bearer = shop.bearer[:-40]

    assert (await shop.ask_address()).status_code == 401


async def test_a_bearer_is_good_to_the_last_second_of_its_life(shop, clock):
    """Eight hours after it was granted, less a moment."""
    clock.advance(28_799)

    assert (await shop.ask_address()).status_code == 200


async def test_a_bearer_dies_at_the_end_of_its_life(shop, clock):
    """401, and the answer says expired."""
    clock.advance(28_800)

    answer = await shop.ask_address()
    assert answer.status_code == 401
    assert words_of(answer)[0] == "Access token expired."


async def test_a_revoked_bearer_is_refused(shop, usps):
    """At once, while its life is not over; a new one is good."""
    assert usps.revoke("bearer") == 1

    assert (await shop.ask_address()).status_code == 401
    await shop.open()
    assert (await shop.ask_address()).status_code == 200


async def test_revoking_bearers_leaves_payment_tokens(shop, usps):
    """Nothing ties a payment token to a bearer."""
    usps.revoke("bearer")
    shop.bearer = (await shop.ask_token()).json()["access_token"]

    assert (await shop.ask_label()).status_code == 200


async def test_revoking_payment_tokens_leaves_bearers(shop, usps):
    """Only label calls notice."""
    assert usps.revoke("payment") == 1

    assert (await shop.ask_address()).status_code == 200
    answer = await shop.ask_label()
    assert answer.status_code == 401
    assert "revoked" in words_of(answer)[1][0]


async def test_revoking_one_app_leaves_the_others(shop, usps):
    """A client id narrows it."""
    usps.configure(more_apps={"second": "hush"})

    assert usps.revoke("all", client_id="second") == 0
    assert (await shop.ask_address()).status_code == 200


async def test_only_three_things_can_be_revoked(usps):
    """Anything else is refused, and the text says what can be."""
    with pytest.raises(ValueError, match="bearer, payment, all"):
        usps.revoke("everything")


async def test_a_token_of_another_host_gets_an_empty_message(shop):
    """As users report who mix api.usps.com and apis.usps.com."""
    async with running(clock=ManualClock()) as other, calling(other) as http:
        answer = await http.get("/addresses/v3/address", headers=shop.headers)

    assert answer.status_code == 401
    assert words_of(answer) == ("", [])


async def test_a_token_outlives_a_restart_of_its_host(shop, clock):
    """Tokens carry everything themselves, so the same host knows them again."""
    port = shop.usps.port
    await shop.usps.stop()
    async with running(clock=clock, port=port) as again, calling(again) as http:
        label = dict(EXAMPLE_LABEL)
        answer = await http.post("/labels/v3/label", json=label, headers=shop.headers)
        clock.advance(28_800)
        later = await http.post("/labels/v3/label", json=label, headers=shop.headers)

    assert answer.status_code == 200
    assert words_of(later)[0] == "Access token expired."


async def test_a_bearer_needs_the_scope_of_the_endpoint(shop, usps):
    """Here labels, which a bearer for addresses lacks."""
    usps.configure(scopes=["addresses"])
    shop.bearer = (await shop.ask_token()).json()["access_token"]

    assert (await shop.ask_address()).status_code == 200
    answer = await shop.ask_label()
    assert answer.status_code == 401
    assert words_of(answer)[0] == "Insufficient OAuth scope."


async def test_a_label_is_printed(shop):
    """USPS's own JSON type has the metadata and the image."""
    body = (await shop.ask_label()).json()

    assert set(body) == {"labelMetadata", "labelImage"}
    assert len(body["labelMetadata"]["trackingNumber"]) == 22


async def test_a_label_comes_in_parts_unless_its_json_type_is_asked_for(shop):
    """multipart/form-data with metadata and image, as by default at USPS."""
    answer = await shop.ask_label(headers={"Accept": "application/json"})

    assert answer.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert answer.text.count("Content-Disposition: form-data") == 2


async def test_every_label_has_a_number_of_its_own(shop):
    """Two labels, two tracking numbers."""
    numbers = {(await shop.ask_label()).json()["labelMetadata"]["trackingNumber"] for _ in range(2)}

    assert len(numbers) == 2


@pytest.mark.parametrize("missing", ["fromAddress", "toAddress", "packageDescription"])
async def test_an_incomplete_label_is_refused(shop, missing):
    """400 that names the part."""
    label = {key: value for key, value in EXAMPLE_LABEL.items() if key != missing}

    answer = await shop.ask_label(label)

    assert answer.status_code == 400
    assert answer.json()["error"]["errors"][0]["source"] == {"parameter": missing}


@pytest.mark.parametrize(
    ("token", "why"),
    [("", "is missing"), ("not-a-jwt", "is malformed"), ("e30.e30.e30", "not issued by this")],
)
async def test_a_label_needs_a_payment_token(shop, token, why):
    """Each way of not having one is told apart."""
    answer = await shop.ask_label(headers={"X-Payment-Authorization-Token": token})

    assert answer.status_code == 401
    assert why in words_of(answer)[1][0]


async def test_a_bearer_is_no_payment_token(shop):
    """Nor is a payment token a bearer."""
    swapped = {
        "Authorization": f"Bearer {shop.payment}",
        "X-Payment-Authorization-Token": shop.bearer,
    }

    assert (await shop.ask_label(headers={"X-Payment-Authorization-Token": shop.bearer})).is_error
    assert (await shop.ask_label(headers=swapped)).status_code == 401


async def test_a_payment_token_of_another_app_is_refused(shop, usps):
    """Both tokens have to be of one application."""
    usps.configure(more_apps={"second": "hush"})
    other = await shop.ask_token(client_id="second", client_secret="hush")
    shop.bearer = other.json()["access_token"]

    answer = await shop.ask_label()
    assert answer.status_code == 401
    assert "another application" in words_of(answer)[1][0]


async def test_the_status_of_a_dead_payment_token_can_be_chosen(shop, usps):
    """The real one is not known, so a test may try each."""
    usps.configure(payment_refusal_status=400)
    usps.revoke("payment")

    assert (await shop.ask_label()).status_code == 400


async def test_a_label_can_be_canceled_once(shop):
    """The second time there is no such order, in USPS's words."""
    number = (await shop.ask_label()).json()["labelMetadata"]["trackingNumber"]
    path = f"/labels/v3/label/{number}"

    first = await shop.http.delete(path, headers=shop.headers)
    second = await shop.http.delete(path, headers=shop.headers)

    assert first.json() == {"trackingNumber": number, "status": "CANCELED"}
    assert second.status_code == 400
    assert words_of(second)[1] == ["Order not found"]


async def test_canceling_needs_the_payment_token_too(shop):
    """Not only making a label does."""
    answer = await shop.http.delete(
        "/labels/v3/label/123", headers={"Authorization": f"Bearer {shop.bearer}"}
    )

    assert answer.status_code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
async def test_a_label_needs_an_object(shop, body):
    """Anything else is a bad request."""
    answer = await shop.http.post("/labels/v3/label", content=body, headers=shop.headers)

    assert answer.status_code == 400


async def test_another_path_is_not_there(closed_shop):
    """404 in USPS's shape, which says what is."""
    answer = await closed_shop.http.get("/prices/v3/base-rates/search")

    assert answer.status_code == 404
    assert "POST /oauth2/v3/token" in words_of(answer)[1][0]


async def test_the_issuer_is_a_setting(clock):
    """The test environment names another realm."""
    realm = "https://cat-keyc.usps.com/realms/USPS"
    async with running(Settings(issuer=realm), clock=clock) as usps, calling(usps) as http:
        answer = await http.post(
            "/oauth2/v3/token",
            json={
                "grant_type": "client_credentials",
                "client_id": "demo-client-id",
                "client_secret": "demo-client-secret",
            },
        )

    assert answer.json()["issuer"] == realm
