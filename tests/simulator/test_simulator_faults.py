"""Every fault of the table shows, where it should and as often as it should."""

import base64
import contextlib
import json
from email.utils import parsedate_to_datetime

import anyio
import httpx
import pytest

from usps_token_broker.simulator import FAULTS, Fault
from usps_token_broker.simulator.effects import REPLACEMENTS
from usps_token_broker.simulator.fault_table import Stage

pytestmark = pytest.mark.anyio

OBSERVERS = {}


def observes(function):
    """Registers what is seen of the fault that the function is named for."""
    OBSERVERS[function.__name__] = function
    return function


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def errors_of(answer):
    return answer.json()["error"]["errors"]


@observes
async def delay(shop):
    shop.usps.inject("delay=0.05@token")
    began = anyio.current_time()
    assert (await shop.ask_token()).status_code == 200
    assert anyio.current_time() - began >= 0.05


@observes
async def hang(shop):
    shop.usps.inject("hang@token")
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(shop.ask_token)
        await shop.usps.calls.wait_for(1)
        await anyio.wait_all_tasks_blocked()
        assert shop.usps.calls.log[0].status == 0
        task_group.cancel_scope.cancel()


@observes
async def hold(shop):
    held = shop.usps.inject("hold@tokenx1")
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(shop.ask_token)
        await shop.usps.calls.wait_for(1)
        await anyio.wait_all_tasks_blocked()
        assert shop.usps.calls.log[0].status == 0
        held.lift()
    assert shop.usps.calls.log[0].status == 200


@observes
async def reset(shop):
    shop.usps.inject("reset")
    with pytest.raises(httpx.ReadError) as caught:
        await shop.ask_token()
    assert isinstance(first_cause(caught.value), ConnectionResetError)


@observes
async def server_error(shop):
    shop.usps.inject("server_error=502@token")
    shop.usps.inject("server_error@labels")
    assert (await shop.ask_token()).status_code == 502
    assert (await shop.ask_label()).json()["error"]["code"] == "500"


@observes
async def unavailable(shop):
    shop.usps.inject("unavailable@token")
    shop.usps.inject("unavailable=7@addresses")
    plain, timed = await shop.ask_token(), await shop.ask_address()
    assert (plain.status_code, plain.headers.get("retry-after")) == (503, None)
    assert (timed.status_code, timed.headers["retry-after"]) == (503, "7")


@observes
async def rate_limited(shop):
    shop.usps.inject("rate_limited=12")
    token, label = await shop.ask_token(), await shop.ask_label()
    assert (token.status_code, token.headers["retry-after"]) == (429, "12")
    assert token.json()["error"] == "invalid_request"
    assert token.json()["error_description"].startswith("SpikeArrestViolation:")
    assert label.json()["error"]["code"] == "429"


@observes
async def rate_limited_until(shop):
    shop.usps.inject("rate_limited_until=90")
    answer = await shop.ask_token()
    until = parsedate_to_datetime(answer.headers["retry-after"])
    now = parsedate_to_datetime(answer.headers["date"])
    assert answer.status_code == 429
    assert (until - now).total_seconds() == 90


@observes
async def html(shop):
    shop.usps.inject("html=403")
    answer = await shop.ask_token()
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "text/html"
    assert answer.text.startswith("<HTML>")


@observes
async def blocked(shop):
    shop.usps.inject("blocked")
    answer = await shop.ask_token()
    assert answer.status_code == 403
    assert "Access Denied" in answer.text


@observes
async def not_json(shop):
    shop.usps.inject("not_json")
    answer = await shop.ask_token()
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


@observes
async def empty_body(shop):
    shop.usps.inject("empty_body@token")
    shop.usps.inject("empty_body=204@labels")
    answer = await shop.ask_token()
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await shop.ask_label()).status_code == 204
    assert (await shop.ask_address()).status_code == 200


@observes
async def gateway_fault(shop):
    shop.usps.inject("gateway_fault=403")
    answer = await shop.ask_token()
    assert answer.status_code == 403
    assert answer.json()["fault"]["detail"]["errorcode"] == "steps.raisefault.RaiseFault"


@observes
async def redirect(shop):
    shop.usps.inject("redirect=https://elsewhere.example/")
    answer = await shop.ask_token()
    assert (answer.status_code, answer.headers["location"]) == (302, "https://elsewhere.example/")


@observes
async def redirect_307(shop):
    shop.usps.inject("redirect_307")
    answer = await shop.ask_label()
    assert (answer.status_code, answer.headers["location"]) == (307, "/redirected")


@observes
async def huge_body(shop):
    shop.usps.inject("huge_body=3@token")
    answer = await shop.ask_token()
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["content-length"]) == 3_000_000
    assert answer.content.startswith(b'{"access_token": "AAAA')


@observes
async def invalid_client(shop):
    for why, words in (
        ("unknown_key", "InvalidApiKey: "),
        ("wrong_secret", "Client authentication failed."),
        ("other_product", "InvalidApiKeyForGivenResource: "),
    ):
        shop.usps.inject(f"invalid_client={why}x1")
        answer = await shop.ask_token()
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.json()["error_description"].startswith(words)


@observes
async def unauthorized(shop):
    for why, message in (
        ("expired", "Access token expired."),
        ("revoked", "Invalid access token."),
        ("malformed", "Missing or malformed access token."),
        ("insufficient_scope", "Insufficient OAuth scope."),
        ("other_host", ""),
        ("product", "The client application identifier is invalid."),
    ):
        shop.usps.inject(f"unauthorized={why}x1")
        answer = await shop.ask_label()
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, message)
    assert (await shop.ask_label()).status_code == 200


@observes
async def contract_refused(shop):
    shop.usps.inject("contract_refused")
    answer = await shop.ask_label()
    assert answer.status_code == 403
    assert "contract information is not authorized" in answer.json()["error"]["message"]


@observes
async def not_enrolled(shop):
    shop.usps.inject("not_enrolled")
    answer = await shop.ask_payment()
    assert answer.status_code == 400
    assert answer.json()["body"] == "CRID isn't enrolled in USPS Ship Outbound"
    assert "error" not in answer.json()


@observes
async def account_state(shop):
    for code in range(100_001, 100_008):
        shop.usps.inject(f"account_state={code}x1")
        answer = await shop.ask_payment()
        assert answer.status_code == 400
        assert errors_of(answer)[0]["code"] == str(code)


@observes
async def label_refused(shop):
    for code in ("160302", "160303", "160369", "160259"):
        shop.usps.inject(f"label_refused={code}x1")
        answer = await shop.ask_label()
        assert answer.status_code == 400
        assert errors_of(answer)[0]["code"] == code


@observes
async def missing_scope(shop):
    shop.usps.inject("missing_scope")
    shop.usps.inject("missing_scope=labels")
    body = (await shop.ask_token()).json()
    assert {"payments", "labels"} & set(body["scope"].split()) == set()
    assert claims_of(body["access_token"])["scope"].split() == body["scope"].split()


@observes
async def revoked_early(shop):
    shop.usps.inject("revoked_early=20")
    await shop.open()
    shop.usps.clock.advance(19)
    assert (await shop.ask_label()).status_code == 200
    shop.usps.clock.advance(1)
    assert (await shop.ask_label()).json()["error"]["message"] == "Invalid access token."


@observes
async def revoke_on_renewal(shop):
    shop.usps.inject("revoke_on_renewal")
    await shop.ask_token()
    assert (await shop.ask_address()).status_code == 401
    shop.usps.clear_faults()
    await shop.open()
    shop.usps.inject("revoke_on_renewal")
    await shop.ask_payment()
    assert (await shop.ask_address()).status_code == 200
    assert (await shop.ask_label()).status_code == 401


@observes
async def short_life(shop):
    shop.usps.inject("short_life=30")
    body = (await shop.ask_token()).json()
    claims = claims_of(body["access_token"])
    assert (body["expires_in"], claims["exp"] - claims["iat"]) == (29, 30)
    await shop.open()
    shop.usps.clock.advance(30)
    assert (await shop.ask_address()).status_code == 401


@observes
async def past_end(shop):
    shop.usps.inject("past_end=-5")
    bearer = (await shop.ask_token()).json()
    payment = claims_of((await shop.ask_payment()).json()["paymentAuthorizationToken"])
    assert bearer["expires_in"] == -5
    assert payment["exp"] - payment["iat"] == -5
    shop.bearer = bearer["access_token"]
    assert (await shop.ask_address()).json()["error"]["message"] == "Access token expired."


@observes
async def no_token(shop):
    shop.usps.inject("no_token")
    bearer, payment = await shop.ask_token(), await shop.ask_payment()
    assert (bearer.status_code, "access_token" in bearer.json()) == (200, False)
    assert (payment.status_code, list(payment.json())) == (200, ["roles"])


@observes
async def no_expires_in(shop):
    shop.usps.inject("no_expires_in")
    body = (await shop.ask_token()).json()
    assert "access_token" in body
    assert "expires_in" not in body


@observes
async def string_numbers(shop):
    shop.usps.inject("string_numbers")
    body = (await shop.ask_token()).json()
    assert body["expires_in"] == "28799"
    assert isinstance(body["issued_at"], str)


@observes
async def line_breaks(shop):
    shop.usps.inject("line_breaks")
    assert "\r\n" in (await shop.ask_token()).json()["access_token"]
    assert "\r\n" in (await shop.ask_payment()).json()["paymentAuthorizationToken"]


@observes
async def opaque_token(shop):
    shop.usps.inject("opaque_token")
    await shop.open()
    assert "." not in shop.bearer
    assert "." not in shop.payment
    assert (await shop.ask_label()).status_code == 200


@observes
async def same_token(shop):
    shop.usps.inject("same_token")
    shop.usps.clock.advance(100)
    bearer, payment = await shop.ask_token(), await shop.ask_payment()
    assert bearer.json()["access_token"] == shop.bearer
    assert bearer.json()["expires_in"] == 28_699
    assert payment.json()["paymentAuthorizationToken"] == shop.payment
    assert shop.usps.tokens_granted("bearer") == 1


@observes
async def wrong_clock(shop):
    shop.usps.inject("wrong_clock=-7200")
    answer = await shop.ask_token()
    true = int(shop.usps.clock.now())
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == true - 7200
    assert answer.json()["issued_at"] // 1000 == true - 7200
    assert answer.json()["expires_in"] == 28_799
    shop.bearer = answer.json()["access_token"]
    assert claims_of(shop.bearer)["iat"] == true - 7200
    shop.usps.clock.advance(28_799)
    assert (await shop.ask_address()).status_code == 200


@observes
async def cut_body(shop):
    shop.usps.inject("cut_body@token")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        await shop.ask_token()
    assert shop.usps.tokens_granted("bearer") == 2


@observes
async def drip(shop):
    shop.usps.inject("drip=0.001@addressesx1")
    async with shop.http.stream("GET", "/addresses/v3/address") as answer:
        pieces = [len(piece) async for piece in answer.aiter_raw()]
    assert sum(pieces) == 408
    assert len(pieces) > 10


def first_cause(error):
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return error


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_shows(shop, name):
    """Each fault of the table does what the table says."""
    await OBSERVERS[name](shop)


def test_every_replacement_is_in_the_table():
    """What answers in place of USPS is what the table lists at that stage."""
    named = {kind.name for kind in FAULTS.values() if kind.stage is Stage.INSTEAD}

    assert set(REPLACEMENTS) == named


AT_EACH_ENDPOINT = [(kind.name, api) for kind in FAULTS.values() for api in kind.apis]
ENDLESS = {"hang", "hold", "drip"}


@pytest.mark.parametrize(("name", "api"), AT_EACH_ENDPOINT)
async def test_a_fault_shows_at_each_of_its_endpoints_and_is_gone(shop, name, api):
    """Injected once with its default value, one call meets it and the next does not."""
    value = {"huge_body": 0.1, "drip": 0.001, "delay": 0}.get(name)
    injected = shop.usps.inject(Fault(name, value, endpoint=api, count=1))

    async with anyio.create_task_group() as task_group:
        task_group.start_soon(ask_in_vain, shop, api)
        await shop.usps.calls.wait_for(1)
        if name in ENDLESS:
            task_group.cancel_scope.cancel()

    assert injected.times_shown == 1
    assert shop.usps.faults == []
    assert shop.usps.calls.log[0].faults == (name,)
    assert (await shop.ask(api)).status_code == 200
    assert shop.usps.calls.log[1].faults == ()


async def ask_in_vain(shop, api):
    with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
        await shop.ask(api)


async def test_a_fault_leaves_other_endpoints_alone(shop):
    """Named for one endpoint, it shows there only."""
    shop.usps.inject("server_error@labels")

    assert (await shop.ask_address()).status_code == 200
    assert (await shop.ask_label()).status_code == 500


async def test_a_fault_ends_with_its_time(shop, clock):
    """for_seconds is counted on the simulator's clock."""
    shop.usps.inject(Fault("server_error", for_seconds=60))

    clock.advance(59)
    assert (await shop.ask_address()).status_code == 500
    clock.advance(1)
    assert (await shop.ask_address()).status_code == 200


async def test_faults_of_different_stages_combine(shop):
    """A late answer can be a refusal that is cut, too."""
    shop.usps.inject("delay=0")
    shop.usps.inject("server_error")
    shop.usps.inject("wrong_clock=60")
    shop.usps.inject("drip=0.001")

    answer = await shop.ask_address()

    assert answer.status_code == 500
    assert shop.usps.calls.log[0].faults == ("delay", "wrong_clock", "server_error", "drip")


async def test_of_two_replacements_the_older_goes_first(shop):
    """The younger waits until the older is used up."""
    shop.usps.inject("server_errorx1")
    shop.usps.inject("unavailablex1")

    statuses = [(await shop.ask_address()).status_code for _ in range(3)]

    assert statuses == [500, 503, 200]


async def test_clearing_takes_all_away(shop):
    """And says how many stood."""
    shop.usps.inject("server_error")
    shop.usps.inject("delay=0.01")

    assert shop.usps.clear_faults() == 2
    assert (await shop.ask_address()).status_code == 200


async def test_clearing_lets_held_calls_go(shop):
    """Also those that a used-up hold has."""
    shop.usps.inject("holdx1")
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(shop.ask_address)
        await shop.usps.calls.wait_for(1)
        await anyio.wait_all_tasks_blocked()

        shop.usps.clear_faults()

    assert shop.usps.calls.log[0].status == 200


async def test_a_fault_waits_for_what_it_is_about(shop):
    """A fault of grants does not show in a refusal, and keeps its count for the next grant."""
    injected = shop.usps.inject("no_tokenx1")

    await shop.ask_token(client_secret="wrong")
    assert injected.times_shown == 0
    await shop.ask_token()
    assert injected.times_shown == 1


async def test_the_offset_of_the_settings_is_the_same_wrong_clock(shop, usps, clock):
    """clock_offset_seconds stays until it is changed."""
    usps.configure(clock_offset_seconds=500)

    date = parsedate_to_datetime((await shop.ask_address()).headers["date"])
    assert date.timestamp() == int(clock.now()) + 500


async def test_a_far_wrong_clock_can_be_written(shop, usps):
    """Also one that lies before 1970 or beyond this century."""
    usps.configure(clock_offset_seconds=-1_000_000_000.0)
    shop.usps.inject(Fault("wrong_clock", -10_000_000.0))
    usps.configure(clock_offset_seconds=-1_000_000_000.0)

    assert (await shop.ask_token()).status_code == 200
