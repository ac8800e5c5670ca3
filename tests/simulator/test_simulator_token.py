"""POST /oauth2/v3/token answers as USPS does."""

import base64
import json
from email.utils import parsedate_to_datetime

import pytest

pytestmark = pytest.mark.anyio

REAL_FIELDS = [
    "access_token",
    "token_type",
    "issued_at",
    "expires_in",
    "status",
    "scope",
    "issuer",
    "client_id",
    "application_name",
    "api_products",
    "public_key",
]
FORM = "application/x-www-form-urlencoded"


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_a_grant_has_the_real_fields_in_the_real_order(closed_shop):
    """The body has what real answers of client_credentials have, and no refresh token."""
    assert list((await closed_shop.ask_token()).json()) == REAL_FIELDS


async def test_numbers_are_numbers(closed_shop, clock):
    """issued_at is in milliseconds, and expires_in one second less than the life."""
    body = (await closed_shop.ask_token()).json()

    assert body["issued_at"] == int(clock.now() * 1000)
    assert body["expires_in"] == 28_799


async def test_the_jwt_lives_a_second_longer_than_expires_in_says(closed_shop):
    """exp less iat is the whole life, as in every recorded token."""
    claims = claims_of((await closed_shop.ask_token()).json()["access_token"])

    assert claims["exp"] - claims["iat"] == 28_800


async def test_exp_falls_up_to_a_second_after_expires_in(closed_shop):
    """As recorded: 0.4 to 1.1 s after issued_at + expires_in."""
    body = (await closed_shop.ask_token()).json()

    gap = claims_of(body["access_token"])["exp"] - body["issued_at"] / 1000 - body["expires_in"]
    assert 0 < gap <= 1


async def test_the_jwt_has_the_real_header(closed_shop):
    """kid, typ and alg, which says RS256."""
    head = (await closed_shop.ask_token()).json()["access_token"].split(".")[0]

    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    assert list(header) == ["kid", "typ", "alg"]
    assert header["alg"] == "RS256"


async def test_the_jwt_has_the_claims_of_a_linked_app(closed_shop):
    """Those of an application that belongs to a business."""
    claims = claims_of((await closed_shop.ask_token()).json()["access_token"])

    assert {"sub", "azp", "iss", "scope", "exp", "iat", "jti", "organization_id"} <= set(claims)
    assert {"crid", "sub_id", "mail_owners", "payment_accounts", "contracts"} <= set(claims)
    assert claims["azp"] == "demo-client-id"


async def test_a_bearer_is_about_as_long_as_a_real_one(closed_shop):
    """About 1,600 characters, which matters to whoever has a limit for headers."""
    assert 1500 < len((await closed_shop.ask_token()).json()["access_token"]) < 1700


async def test_the_scopes_have_a_double_space_in_them(closed_shop):
    """As in USPS's own example; whoever splits on one space gets an empty name."""
    scope = (await closed_shop.ask_token()).json()["scope"]

    assert "  " in scope
    assert "payments" in scope.split()


async def test_products_are_a_text_that_looks_like_a_list(closed_shop):
    """[Public Access I], as a string."""
    assert (await closed_shop.ask_token()).json()["api_products"] == "[Public Access I]"


async def test_the_public_key_is_a_pem_file(closed_shop):
    """base64 of a PEM, of the length of a real one."""
    key = (await closed_shop.ask_token()).json()["public_key"]

    assert key.startswith("LS0tLS1CRUdJTi")
    assert base64.b64decode(key).decode().endswith("-----END PUBLIC KEY-----")


async def test_two_grants_are_two_tokens(closed_shop, usps):
    """Each grant has a token of its own, and both are counted."""
    first, second = [(await closed_shop.ask_token()).json()["access_token"] for _ in range(2)]

    assert first != second
    assert usps.tokens_granted("bearer") == 2


async def test_a_form_does_as_well_as_json(closed_shop):
    """Both media types are in the specification."""
    answer = await closed_shop.http.post("/oauth2/v3/token", data=closed_shop.credentials)

    assert answer.request.headers["content-type"] == FORM
    assert answer.status_code == 200


async def test_a_charset_is_no_hindrance(closed_shop):
    """It broke v1 and is fixed in v3."""
    answer = await closed_shop.http.post(
        "/oauth2/v3/token",
        content=json.dumps(closed_shop.credentials),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )

    assert answer.status_code == 200


async def test_further_fields_are_no_hindrance(closed_shop):
    """A client that sends response_type works with the real one."""
    assert (await closed_shop.ask_token(response_type="token")).status_code == 200


async def test_naming_scopes_gets_less(closed_shop):
    """Scopes are for asking less than the default; unknown ones are passed over."""
    body = (await closed_shop.ask_token(scope="payment labels prices")).json()

    assert body["scope"].split() == ["labels", "prices"]


async def test_an_unknown_client_is_refused(closed_shop):
    """401 invalid_client with USPS's own words, which begin InvalidApiKey."""
    answer = await closed_shop.ask_token(client_id="nobody")

    assert answer.status_code == 401
    assert list(answer.json()) == ["error", "error_description", "error_uri"]
    assert answer.json()["error"] == "invalid_client"
    assert answer.json()["error_description"].startswith("InvalidApiKey: ")
    assert answer.headers["www-authenticate"].startswith("Bearer realm=")


async def test_a_wrong_secret_is_refused_in_other_words(closed_shop):
    """Same status and error, another description."""
    answer = await closed_shop.ask_token(client_secret="wrong")

    assert answer.status_code == 401
    assert answer.json()["error_description"] == "Client authentication failed."


async def test_another_grant_type_is_refused(closed_shop):
    """Only client_credentials is simulated, and the answer says so."""
    answer = await closed_shop.ask_token(grant_type="refresh_token")

    assert answer.status_code == 400
    assert answer.json()["error"] == "unsupported_grant_type"
    assert "client_credentials" in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b""),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"grant_type": 1}'),
        ("application/json", b'"\xff\xfe"'),
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"grant_type": "\\ud800"}'),
        (FORM, b"\xff=\xfe"),
        (FORM, b""),
        ("text/plain", b"hello"),
    ],
)
async def test_a_body_that_is_no_request_is_a_bad_one(closed_shop, media_type, body):
    """400 in the shape of RFC 6749, whatever it is."""
    answer = await closed_shop.http.post(
        "/oauth2/v3/token", content=body, headers={"Content-Type": media_type}
    )

    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_request", "unsupported_grant_type")


async def test_only_post_asks_for_a_token(closed_shop):
    """405, and Allow says what does."""
    answer = await closed_shop.http.get("/oauth2/v3/token")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


async def test_the_date_follows_the_clock_of_usps(closed_shop, clock):
    """A client that compares it with its own clock sees the skew."""
    date = parsedate_to_datetime((await closed_shop.ask_token()).headers["date"])

    assert date.timestamp() == int(clock.now())


async def test_every_answer_sets_the_cookie(closed_shop):
    """TLTSID, a new one each time: a client should not keep it."""
    answers = [await closed_shop.ask_token(), await closed_shop.ask_address()]

    cookies = {answer.headers["set-cookie"] for answer in answers}
    assert len(cookies) == 2
    assert all(cookie.startswith("TLTSID=") for cookie in cookies)


async def test_a_second_app_has_tokens_of_its_own(closed_shop, usps):
    """more_apps adds applications, with their own client id in the token."""
    usps.configure(more_apps={"second": "hush"})

    body = (await closed_shop.ask_token(client_id="second", client_secret="hush")).json()

    assert body["client_id"] == "second"
    assert claims_of(body["access_token"])["azp"] == "second"


async def test_a_rotated_secret_refuses_the_old_one(closed_shop, usps):
    """From the change on, only the new one counts; tokens granted before go on."""
    shop = await closed_shop.open()
    usps.configure(client_secret="rotated")

    assert (await shop.ask_token()).status_code == 401
    assert (await shop.ask_token(client_secret="rotated")).status_code == 200
    assert (await shop.ask_address()).status_code == 200
