"""POST /payments/v3/payment-authorization answers as USPS does."""

import base64
import copy
import json

import pytest

from usps_token_broker.simulator import EXAMPLE_ROLES

pytestmark = pytest.mark.anyio


def roles_with(index, **changes):
    """The example roles with one of them changed; None leaves a key out."""
    roles = copy.deepcopy(list(EXAMPLE_ROLES))
    roles[index] = {k: v for k, v in {**roles[index], **changes}.items() if v is not None}
    return roles


def with_role(**role):
    return [*EXAMPLE_ROLES, role]


def errors_of(answer):
    return answer.json()["error"]["errors"]


async def test_a_grant_is_a_token_and_the_roles(shop):
    """Nothing else: no lifetime, no issued_at."""
    body = (await shop.ask_payment()).json()

    assert list(body) == ["paymentAuthorizationToken", "roles"]
    assert body["roles"] == list(EXAMPLE_ROLES)


async def test_only_the_jwt_says_how_long_it_lives(shop, clock):
    """exp less iat is eight hours, from now."""
    token = (await shop.ask_payment()).json()["paymentAuthorizationToken"]

    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["iat"] == int(clock.now())
    assert claims["exp"] - claims["iat"] == 28_800
    assert claims["aud"] == ["labels", "international-labels"]
    assert claims["roles"] == list(EXAMPLE_ROLES)


async def test_it_may_live_shorter_than_the_bearer(shop, usps, clock):
    """payment_life_seconds is a setting of its own."""
    usps.configure(payment_life_seconds=60)
    shop.payment = (await shop.ask_payment()).json()["paymentAuthorizationToken"]

    clock.advance(60)

    answer = await shop.ask_label()
    assert "has expired" in errors_of(answer)[0]["detail"]
    assert (await shop.ask_address()).status_code == 200


async def test_the_scope_payments_is_needed(shop, usps):
    """A bearer without it gets 401 and the words users report."""
    usps.inject("missing_scope=payments@tokenx1")
    shop.bearer = (await shop.ask_token()).json()["access_token"]

    answer = await shop.ask_payment()

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Insufficient OAuth scope" in errors_of(answer)[0]["detail"]


async def test_a_bearer_is_needed(closed_shop):
    """Without one: 401, and the text of a recorded answer."""
    answer = await closed_shop.ask_payment()

    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == "Missing or malformed access token."


@pytest.mark.parametrize(
    ("code", "roles"),
    [
        ("160218", roles_with(0, CRID=None)),
        ("160219", roles_with(0, roleName=None)),
        ("160221", roles_with(1, MID=None)),
        ("160222", roles_with(1, manifestMID=None)),
        ("160223", roles_with(0, accountType=None)),
        ("160224", roles_with(0, accountNumber=None)),
        ("160225", roles_with(0, accountType="PERMIT", permitZIP="63155")),
        ("160226", roles_with(0, accountType="OMAS", permitNumber="42")),
        ("160227", with_role(**EXAMPLE_ROLES[1])),
        ("160228", [EXAMPLE_ROLES[1]]),
        ("160229", [EXAMPLE_ROLES[0]]),
        ("160228", []),
        ("160254", with_role(roleName="LOGISTICS_MANAGER")),
        ("160289", roles_with(0, accountType="METER", accountNumber=None)),
        ("160290", roles_with(0, accountType="METER")),
        ("160372", with_role(roleName="LABEL_PROVIDER", CRID="12345678", accountType="PERMIT")),
        ("160390", roles_with(0, accountType="CASH")),
        ("160390", roles_with(0, accountType=["EPS"])),
        ("160223", with_role(roleName="RATE_HOLDER", CRID="12345678")),
        ("160221", with_role(roleName="RETURN_LABEL_OWNER", CRID="1234", manifestMID="123456")),
        ("160218", with_role(roleName="SHIPPER")),
    ],
)
async def test_roles_that_do_not_do_are_refused_by_number(shop, code, roles):
    """400, and an entry with USPS's number for what is wrong."""
    answer = await shop.ask_payment(roles)

    assert answer.status_code == 400
    assert code in [error.get("code") for error in errors_of(answer)]


@pytest.mark.parametrize(
    ("where", "roles"),
    [
        ("roles.MID", roles_with(1, MID="12345")),
        ("roles.MID", roles_with(1, MID="1234567")),
        ("roles.manifestMID", roles_with(1, manifestMID="abcdef")),
        ("roles.CRID", roles_with(1, CRID="1")),
        ("roles.CRID", roles_with(1, CRID="1" * 19)),
        ("roles.CRID", roles_with(1, CRID=12345678)),
        ("roles.accountNumber", roles_with(0, accountNumber=1000000001)),
        ("roles.roleName", with_role(roleName="KING", CRID="12345678")),
        ("roles.roleName", with_role(roleName=["PAYER"], CRID="12345678")),
        ("roles", {"roleName": "PAYER"}),
        ("roles", ["PAYER"]),
        ("roles", None),
    ],
)
async def test_values_that_the_schema_refuses_are_named(shop, where, roles):
    """400, and the source says which field."""
    answer = await shop.ask_payment(roles)

    assert answer.status_code == 400
    assert where in [error["source"]["parameter"] for error in errors_of(answer)]


async def test_an_error_has_the_shape_of_the_specification(shop):
    """apiVersion, and an error of code, message and errors; the code is a string."""
    body = (await shop.ask_payment([EXAMPLE_ROLES[1]])).json()

    assert body == {
        "apiVersion": "/payments/v3",
        "error": {
            "code": "400",
            "message": "Bad Request",
            "errors": [
                {
                    "code": "160228",
                    "title": "Bad Request",
                    "detail": "PAYER is required",
                    "source": {"parameter": "roles"},
                }
            ],
        },
    }


async def test_all_roles_of_the_specification_do(shop):
    """Its largest example is granted."""
    more = [
        {"roleName": "RATE_HOLDER", "CRID": "12", "accountType": "PERMIT", "permitNumber": "4"},
        {"roleName": "RETURN_LABEL_PAYER", "CRID": "12", "accountType": "EPS"},
        {"roleName": "RETURN_LABEL_OWNER", "CRID": "12", "MID": "123456", "manifestMID": "123456"},
        {"roleName": "MAIL_OWNER", "CRID": "12"},
        {"roleName": "PLATFORM", "CRID": "12"},
        {"roleName": "SHIPPER", "CRID": "12"},
        {"roleName": "LABEL_PROVIDER", "CRID": "12", "accountType": "EPS", "accountNumber": "6"},
    ]
    more[0]["permitZIP"] = "12345"
    more[1]["accountNumber"] = "2000000000"

    assert (await shop.ask_payment([*EXAMPLE_ROLES, *more])).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"roles": 1}', b"[" * 50_000])
async def test_a_body_that_is_no_request_is_a_bad_one(shop, body):
    """400 in the shape of the API."""
    answer = await shop.http.post(
        "/payments/v3/payment-authorization", content=body, headers=shop.headers
    )

    assert answer.status_code == 400
    assert answer.json()["apiVersion"] == "/payments/v3"
