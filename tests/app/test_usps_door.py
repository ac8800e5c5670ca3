"""USPS's two token calls over TCP: what a key opens, for how long, and what nothing opens."""

import base64
import json
from dataclasses import replace
from urllib.parse import urlencode

import anyio
import pytest
from asked_roles_cases import OWNER, PAYER
from interface import answer_of, app, open_interface
from virtual import DOWN

from usps_token_broker.app import usps_door
from usps_token_broker.app.http_door import HttpDoor
from usps_token_broker.app.key_audit import KeyAudit
from usps_token_broker.app.usps_door import KeysUnusableError, UspsDoor
from usps_token_broker.core.values import Secret, SlotId
from usps_token_broker.drivers.tcp_listener import Visitor
from usps_token_broker.wire.local_keys import LocalKey, digest_of
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request

pytestmark = pytest.mark.anyio

TOKEN = "/oauth2/v3/token"
PAYMENT = "/payments/v3/payment-authorization"
SECRET = "5" * 64
BOTH = ("bearer", "payment")


def key(name="odoo", slots=BOTH, *, app="default", secret=SECRET):
    return LocalKey(name, f"utb{name}", digest_of(Secret(secret)), app, slots, 0.0)


def with_roles(name="default", roles=(PAYER, OWNER), **payments):
    """An app whose payment slots have these roles."""
    given = {"payment": roles, **payments}
    made = app(name, given)
    slots = tuple(replace(slot, roles=tuple(given[slot.name])) for slot in made.payments)
    return replace(made, payments=slots)


class Shop:
    """A door with keys in front of a broker on virtual time."""

    def __init__(self, broker, *keys):
        self.broker = broker
        self.keys = list(keys)
        self.unusable = False
        self.lines = []
        self.audit = KeyAudit(self.lines.append, self.lines.append)
        usps = UspsDoor(broker.door, broker.loop, self.read, self.audit)
        self.door = HttpDoor(broker.door, broker.inside.tally, local=True, usps=usps)

    async def read(self):
        if self.unusable:
            raise KeysUnusableError("a reason for the log")
        return tuple(self.keys)

    async def post(self, path, body, headers=None, *, method="POST", visitor=1, host=b"127.0.0.1"):
        given = {b"host": host, **(headers or {})}
        request = Request(method, path.encode(), given, body)
        handled = self.door.handle(request, Visitor(visitor))
        return answer_of(handled if isinstance(handled, Reply) else await handled)

    async def token(self, client_id="utbodoo", secret=SECRET, **more):
        said = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
        }
        return await self.post(TOKEN, json.dumps(said).encode(), **more)

    async def payment(self, bearer, roles=(PAYER, OWNER), **more):
        headers = {b"authorization": f"Bearer {bearer}".encode()}
        return await self.post(PAYMENT, json.dumps({"roles": roles}).encode(), headers, **more)


# -- a bearer -------------------------------------------------------------------------------------


async def test_a_key_opens_the_brokers_bearer_in_usps_own_fields():
    """The token, and numbers as numbers; of what only USPS knows nothing is made up."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        ours = await broker.token()
        answer = await shop.token()
        now = broker.clock().wall
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json
    assert said["access_token"] == ours["token"]
    assert (said["token_type"], said["status"]) == ("Bearer", "approved")
    assert said["issued_at"] == int(now * 1000)
    assert said["expires_in"] == int(ours["use_until"] - now)
    assert said["scope"].split() == ours["scopes"]
    assert (said["client_id"], said["application_name"]) == ("utbodoo", "default")
    assert not {"api_products", "public_key", "refresh_token"} & set(said)


async def test_it_counts_down():
    """Programs add it to the instant of the answer, or to `issued_at`: both come to the same."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        first = (await shop.token()).json
        await anyio.sleep(3600.5)
        later = (await shop.token()).json
    assert first["expires_in"] - later["expires_in"] in {3600, 3601}
    ends = [(said["issued_at"] / 1000 + said["expires_in"]) for said in (first, later)]
    assert abs(ends[0] - ends[1]) <= 1


async def test_in_its_buffer_a_token_is_good_for_a_minute_and_not_beyond_its_end():
    """USPS is away: the program asks again every minute, as long as there is something."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        await shop.token()
        broker.usps.answers = lambda _command, _now: DOWN
        await anyio.sleep(27_500)
        late = await shop.token()
        assert (late.status, late.json["expires_in"]) == (200, 60)
        await anyio.sleep(28_710 - 27_500)
        last = await shop.token()
        assert last.status == 200
        assert 0 < last.json["expires_in"] < 30
        await anyio.sleep(60)
        assert (await shop.token()).status == 503


@pytest.mark.parametrize("how", ["json", "form", "basic", "wrong type", "basic and json"])
async def test_every_way_in_which_programs_send_credentials(how):
    """JSON, a form, and HTTP Basic as libraries for OAuth do; by content, not by its type."""
    grant = {"grant_type": "client_credentials"}
    mine = {"client_id": "utbodoo", "client_secret": SECRET, "scope": "addresses labels"}
    basic = b"Basic " + base64.b64encode(f"utbodoo:{SECRET}".encode())
    form, text = urlencode({**grant, **mine}).encode(), json.dumps({**grant, **mine}).encode()
    body, headers = {
        "json": (text, {b"content-type": b"application/json; charset=utf-8"}),
        "form": (form, {b"content-type": b"application/x-www-form-urlencoded"}),
        "basic": (urlencode(grant).encode(), {b"authorization": basic}),
        "wrong type": (form, {b"content-type": b"application/json"}),
        "basic and json": (json.dumps(grant).encode(), {b"authorization": basic}),
    }[how]
    async with open_interface(with_roles()) as broker:
        answer = await Shop(broker, key()).post(TOKEN, body, headers)
    assert answer.status == 200, answer


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("utbodoo", "6" * 64),
        ("utbodoo", SECRET[:-1]),
        ("utbodoo", ""),
        ("utbnobody", SECRET),
        ("", SECRET),
        ("", ""),
        ("odoo", SECRET),
        ("utbodoo", digest_of(Secret(SECRET))),
        ("utbodoö", SECRET),
        ("utbother", SECRET),
        ("\ud800", "\ud800"),
    ],
)
async def test_a_wrong_key_gets_nothing_and_learns_nothing(client_id, secret):
    """The same for an id that there is and one that there is not; not the digest of the file."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key(), key("other", secret="7" * 64))
        await broker.token()
        said = json.dumps(
            {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        ).encode()
        answer = await shop.post(TOKEN, said)
        known = await shop.token("utbodoo", "0" * 64)
    if "\ud800" in client_id:  # half of a character is no JSON
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")
        return
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer == known
    assert "usps-token-broker key list" in answer.json["error_description"]


async def test_without_keys_nothing_is_opened():
    """As a broker begins."""
    async with open_interface(with_roles()) as broker:
        ours = await broker.token()
        answer = await Shop(broker).token()
        payment = await Shop(broker).payment(ours["token"])
    assert (answer.status, payment.status) == (401, 403)


async def test_basic_is_answered_by_basic():
    """RFC 6749 5.2: in the scheme that was used."""
    headers = {b"authorization": b"Basic " + base64.b64encode(b"a:b")}
    async with open_interface(with_roles()) as broker:
        answer = await Shop(broker).post(TOKEN, b"grant_type=client_credentials", headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"", {}, "invalid_request"),
        (b"{", {}, "invalid_request"),
        (b'{"grant_type": 1}', {}, "invalid_request"),
        (b"\xff\xfe", {}, "invalid_request"),
        (b"&".join(b"a=1" for _ in range(1000)), {}, "invalid_request"),
        (b'{"a":' * 5000, {}, "invalid_request"),
        (b"grant_type=client_credentials", {b"authorization": b"Basic !"}, "invalid_request"),
        (b"grant_type=client_credentials", {b"authorization": b"Basic YQ=="}, "invalid_request"),
        (b"grant_type=refresh_token&refresh_token=x", {}, "unsupported_grant_type"),
        (b"grant_type=authorization_code", {}, "unsupported_grant_type"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_usps_shape(body, headers, error):
    """400 with `error` and `error_description`."""
    async with open_interface(with_roles()) as broker:
        answer = await Shop(broker, key()).post(TOKEN, body, headers)
    assert (answer.status, answer.json["error"]) == (400, error)
    assert answer.json["error_description"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_only_by_post(method):
    """As `Allow` says."""
    async with open_interface(with_roles()) as broker:
        answer = await Shop(broker, key()).post(TOKEN, b"", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_a_page_in_a_browser_gets_nowhere():
    """A name that was pointed at this machine, with the right key."""
    async with open_interface(with_roles()) as broker:
        answer = await Shop(broker, key()).token(host=b"evil.example")
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_nothing_is_served_unless_it_is_switched_on():
    """And who looks for it is told how."""
    async with open_interface(with_roles()) as broker:
        door = HttpDoor(broker.door, broker.inside.tally, local=True)
        for path in usps_door.CALLS:
            request = Request("POST", path.encode(), {b"host": b"127.0.0.1"}, b"{}")
            answer = answer_of(door.handle(request, Visitor(1)))
            assert answer.status == 404
            assert "http.tokens" in answer.json["detail"]


async def test_no_other_call_is_opened_by_it():
    """Nor by a key in any place."""
    async with open_interface(with_roles()) as broker:
        ours = await broker.token()
        shop = Shop(broker, key())
        basic = {b"authorization": b"Basic " + base64.b64encode(f"utbodoo:{SECRET}".encode())}
        for path in ("/v1/tokens/bearer", "/v1/headers", "/v1/reload", "/oauth2/v3/revoke"):
            for method in ("GET", "POST"):
                answer = await shop.post(path, b"", basic, method=method)
                assert answer.status == 404
                assert ours["token"].encode() not in answer.body


# -- while there is none --------------------------------------------------------------------------


async def test_without_a_token_yet_the_reason_is_told_and_when_to_come():
    """503 in USPS's shape, so that the program takes it for a USPS that is down, as it is."""
    async with open_interface(with_roles()) as broker:
        broker.usps.answers = lambda _command, _now: DOWN
        answer = await Shop(broker, key()).token()
    assert (answer.status, answer.json["error"]) == (503, "invalid_request")
    assert int(answer.headers["retry-after"]) > 0
    assert (
        "upstream_unavailable" in answer.json["error_description"]
        or "503" in (answer.json["error_description"])
    )


async def test_who_comes_too_early_waits_for_the_token():
    """And many are one call to USPS."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        answers = []

        async def ask():
            answers.append(await shop.token())

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
        assert {answer.status for answer in answers} == {200}
        assert len(broker.usps.calls_of(SlotId("default", "bearer"))) == 1


async def test_a_key_that_is_revoked_while_its_program_waits_opens_nothing():
    """It is looked at once more when the token is there."""
    async with open_interface(with_roles(), start=False) as broker:
        shop = Shop(broker, key())
        answers, answered = [], anyio.Event()

        async def ask():
            answers.append(await shop.token())
            answered.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            shop.keys.clear()
            tasks.start_soon(broker.loop.run)
            await answered.wait()
            tasks.cancel_scope.cancel()
    assert answers[0].status == 401


# -- what a key is for ----------------------------------------------------------------------------


async def test_each_key_has_the_tokens_of_its_app_alone():
    """Of two apps."""
    async with open_interface(with_roles("one"), with_roles("two")) as broker:
        shop = Shop(broker, key(app="two"))
        answer = await shop.token()
        other = (await broker.get("/v1/tokens/bearer?app=one")).json["token"]
        mine = (await broker.get("/v1/tokens/bearer?app=two")).json["token"]
    assert answer.json["access_token"] == mine != other


async def test_a_key_of_an_app_that_is_gone_opens_nothing():
    """After a reload without it."""
    async with open_interface(with_roles("one"), with_roles("two")) as broker:
        shop = Shop(broker, key(app="two"))
        assert (await shop.token()).status == 200
        broker.reload(with_roles("one"))
        answer = await shop.token()
    assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")


async def test_a_revoked_key_opens_nothing_at_once():
    """Whatever it had before."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key(), key("other", secret="7" * 64))
        assert (await shop.token()).status == 200
        shop.keys = shop.keys[1:]
        assert (await shop.token()).status == 401
        assert (await shop.token("utbother", "7" * 64)).status == 200


async def test_keys_that_cannot_be_read_open_nothing():
    """It is not known who has one; the reason is for the log."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        bearer = (await shop.token()).json["access_token"]
        shop.unusable = True
        token, payment = await shop.token(), await shop.payment(bearer)
    assert (token.status, payment.status) == (503, 503)
    assert token.headers["retry-after"] == payment.headers["retry-after"] == "60"
    assert b"a reason for the log" not in token.body + payment.body


# -- a payment token ------------------------------------------------------------------------------


async def test_the_bearer_opens_the_payment_token_of_the_roles():
    """As at USPS, with the roles of the configuration for an echo."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        bearer = (await shop.token()).json["access_token"]
        answer = await shop.payment(bearer, [{**PAYER, "MID": "1"}, OWNER])
        ours = await broker.token("payment")
        now = broker.clock().wall
    assert answer.status == 200
    assert answer.json["paymentAuthorizationToken"] == ours["token"]
    assert answer.json["roles"] == [PAYER, OWNER]
    assert answer.json["expires_in"] == int(ours["use_until"] - now)


@pytest.mark.parametrize("roles", [[{**PAYER, "accountNumber": "2"}, OWNER], [OWNER]])
async def test_roles_of_another_account_are_refused(roles):
    """In USPS's shape; labels at the cost of an account that was not meant are worse than none."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        bearer = (await shop.token()).json["access_token"]
        answer = await shop.payment(bearer, roles)
    assert answer.status == 400
    error = answer.json["error"]
    assert (answer.json["apiVersion"], error["code"]) == ("/payments/v3", "400")
    [item] = error["errors"]
    assert item["source"] == {"parameter": "roles"}
    assert "the same CRID and account" in item["detail"]
    assert PAYER["accountNumber"].encode() not in answer.body


async def test_of_several_payment_slots_the_roles_say_which():
    """Each account has its own."""
    theirs = [{**PAYER, "accountNumber": "1000000009"}, OWNER]
    shape = {"payment-acme": theirs}
    async with open_interface(with_roles(**shape)) as broker:
        shop = Shop(broker, key(slots=("bearer", "payment", "payment-acme")))
        bearer = (await shop.token()).json["access_token"]
        answers = [await shop.payment(bearer, roles) for roles in ([PAYER, OWNER], theirs)]
        ours = [await broker.token(slot) for slot in ("payment", "payment-acme")]
    assert [a.json["paymentAuthorizationToken"] for a in answers] == [t["token"] for t in ours]


@pytest.mark.parametrize("slots", [("bearer",), ("bearer", "payment-gone")])
async def test_without_a_payment_slot_there_is_no_payment_token(slots):
    """However right the roles are."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key(slots=slots))
        bearer = (await shop.token()).json["access_token"]
        answer = await shop.payment(bearer)
    assert answer.status == 403
    assert "--slots bearer,payment" in answer.json["error"]["errors"][0]["detail"]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer nope", "Basic eDp5", "nope"])
async def test_without_a_bearer_of_ours_there_is_none(header):
    """401, and the program asks for a bearer anew."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        await shop.token()
        body = json.dumps({"roles": [PAYER, OWNER]}).encode()
        answer = await shop.post(PAYMENT, body, {b"authorization": header.encode()})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json["error"]["errors"][0]["title"] == "invalid_token"


async def test_the_bearer_of_another_app_opens_nothing_of_this_one():
    """Though its key is there."""
    async with open_interface(with_roles("one"), with_roles("two")) as broker:
        shop = Shop(broker, key(app="one"), key("b", ("bearer",), app="two", secret="7" * 64))
        bearer = (await shop.token("utbb", "7" * 64)).json["access_token"]
        answer = await shop.payment(bearer)
    assert answer.status == 403


async def test_a_bearer_that_was_renewed_meanwhile_still_opens_it_until_its_end():
    """A program keeps it for as long as it was told."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        bearer = (await shop.token()).json["access_token"]
        await anyio.sleep(24_500)
        assert (await shop.token()).json["access_token"] != bearer
        assert (await shop.payment(bearer)).status == 200
        await anyio.sleep(28_800 - 24_500)
        assert (await shop.payment(bearer)).status == 401


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"roles": []}', b'{"roles": 1}', b'{"roles": [1]}']
)
async def test_without_roles_the_request_is_wrong(body):
    """As USPS has it."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        bearer = (await shop.token()).json["access_token"]
        headers = {b"authorization": f"Bearer {bearer}".encode()}
        answer = await shop.post(PAYMENT, body, headers)
    assert (answer.status, answer.json["error"]["code"]) == (400, "400")


# -- how often ------------------------------------------------------------------------------------


async def test_wrong_keys_are_held_back_and_right_ones_are_not(monkeypatch):
    """Whoever tries keys shuts out nobody: all programs of a host have one address."""
    monkeypatch.setattr(usps_door, "WRONG_PER_MINUTE", 5)
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        statuses = [(await shop.token(secret="0" * 64)).status for _ in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        refused = await shop.token(secret="0" * 64)
        assert (await shop.token()).status == 200
        elsewhere = await shop.token(secret="0" * 64, visitor=2)
        wrong_bearer = await shop.payment("nope")
    assert refused.json["error_description"].startswith("SpikeArrestViolation")
    assert int(refused.headers["retry-after"]) >= 1
    assert (elsewhere.status, wrong_bearer.status) == (401, 429)


async def test_each_key_has_a_rate_of_its_own(monkeypatch):
    """A program in a loop harms itself."""
    monkeypatch.setattr(usps_door, "PER_MINUTE", 5)
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key(), key("other", secret="7" * 64))
        bearer = (await shop.token()).json["access_token"]
        assert [(await shop.token()).status for _ in range(5)] == [200] * 4 + [429]
        assert (await shop.token("utbother", "7" * 64)).status == 200
        statuses = [(await shop.payment(bearer)).status for _ in range(6)]
        await anyio.sleep(60)
        assert (await shop.token()).status == 200
    assert statuses == [200] * 5 + [429]


async def test_bearers_are_remembered_within_bounds(monkeypatch):
    """The oldest are let go."""
    monkeypatch.setattr(usps_door, "REMEMBERED", 2)
    async with open_interface(with_roles("a"), with_roles("b"), with_roles("c")) as broker:
        keys = [key(name, app=name, secret=name * 64) for name in "abc"]
        shop = Shop(broker, *keys)
        for name in "abc":
            assert (await shop.token(f"utb{name}", name * 64)).status == 200
        assert len(shop.door._usps._handed) == 2


# -- what is seen of it ---------------------------------------------------------------------------


async def test_who_was_handed_what_is_told_once_and_then_counted():
    """By the key's name; a wrong one by nothing."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        for _ in range(3):
            bearer = (await shop.token()).json["access_token"]
        await shop.payment(bearer)
        for _ in range(2):
            await shop.token("utbodoo", "0" * 64)
        assert shop.lines == [
            "handed out: tokens=default/bearer key=odoo",
            "handed out: tokens=default/payment key=odoo",
            "refused: over=tcp why=wrong_key",
        ]
        shop.lines.clear()
        shop.audit.sum_up()
        assert shop.lines == [
            "handed out: tokens=default/bearer key=odoo more_times=2",
            "refused: over=tcp why=wrong_key more_times=1",
        ]
        shop.lines.clear()
        shop.audit.sum_up()
        assert shop.lines == []


async def test_calls_are_counted_by_name_and_status():
    """Beside those of the sockets."""
    async with open_interface(with_roles()) as broker:
        shop = Shop(broker, key())
        bearer = (await shop.token()).json["access_token"]
        await shop.token(secret="0" * 64)
        await shop.payment(bearer)
        counted = {n: dict(s) for n, s in broker.inside.tally.requests.items()}
    assert counted == {"issueBearer": {200: 1, 401: 1}, "issuePayment": {200: 1}}


async def test_a_slot_that_is_kept_while_in_use_is_used():
    """Else it would not be renewed for programs that ask here."""
    async with open_interface(with_roles()) as broker:
        used = []
        broker.door.front.used = used.append
        shop = Shop(broker, key())
        bearer = (await shop.token()).json["access_token"]
        await shop.payment(bearer)
    assert [slot.name for slot in used] == ["bearer", "payment"]
