"""Every error code of the interface, provoked: a code that nobody can meet is not a promise."""

import anyio
import pytest
from interface import GROUPS, STRANGER, USERS, answer_of, app, open_interface
from raw_http import Client, get, post, serving
from virtual import DOWN, HOUR, INVALID_CLIENT

from usps_token_broker.app.forbidding import Forbidding
from usps_token_broker.core.events import Stopped
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire.problems import STATUS

pytestmark = pytest.mark.anyio

BEARER = "/v1/tokens/bearer"
PAYMENT = "/v1/tokens/payment"
RATE_LIMITED = Failure(
    FailureKind.RATE_LIMITED,
    Code.UPSTREAM_RATE_LIMITED,
    "USPS answered 429",
    "wait",
    429,
    retry_after_seconds=900.0,
)
ROLES_REFUSED = Failure(
    FailureKind.REFUSED, Code.PAYMENT_REFUSED, "no such role", "mend roles", 400, "160228"
)


async def settled(broker, target):
    """What is answered once the first attempts are over."""
    await anyio.sleep(60)
    return await broker.get(f"{target}?wait=0")


async def bad_request(broker):
    return await broker.get(f"{BEARER}?wait=-1")


async def scope_missing(broker):
    return await broker.get(f"{BEARER}?scope=tracking")


async def unknown_app(broker):
    return await broker.get(f"{BEARER}?app=nope")


async def unknown_slot(broker):
    return await broker.get("/v1/tokens/payment-nope")


async def not_found(broker):
    return await broker.get("/v1/nope")


async def method_not_allowed(broker):
    return await broker.ask("DELETE", BEARER)


async def credentials_refused(broker):
    broker.usps.answers = lambda _command, _now: INVALID_CLIENT
    return await settled(broker, BEARER)


async def payment_refused(broker):
    broker.usps.answers = lambda command, _now: None if command.slot.is_bearer else ROLES_REFUSED
    return await settled(broker, PAYMENT)


async def not_ready(broker):
    broker.usps.latency_seconds = 600.0
    return await settled(broker, BEARER)


async def upstream_unavailable(broker):
    broker.usps.answers = lambda _command, _now: DOWN
    return await settled(broker, BEARER)


async def upstream_rate_limited(broker):
    broker.usps.answers = lambda _command, _now: RATE_LIMITED
    return await settled(broker, BEARER)


async def restarting(broker):
    broker.usps.latency_seconds = 600.0
    answers = []

    async def wait():
        answers.append(await broker.get(BEARER))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(1)
        broker.loop.post(Stopped())
    return answers[0]


BY_THE_APP = {
    Code.BAD_REQUEST: bad_request,
    Code.SCOPE_MISSING: scope_missing,
    Code.UNKNOWN_APP: unknown_app,
    Code.UNKNOWN_SLOT: unknown_slot,
    Code.NOT_FOUND: not_found,
    Code.METHOD_NOT_ALLOWED: method_not_allowed,
    Code.CREDENTIALS_REFUSED: credentials_refused,
    Code.PAYMENT_REFUSED: payment_refused,
    Code.NOT_READY: not_ready,
    Code.UPSTREAM_UNAVAILABLE: upstream_unavailable,
    Code.UPSTREAM_RATE_LIMITED: upstream_rate_limited,
    Code.RESTARTING: restarting,
}
BY_OTHER_APPS = {Code.PAYMENT_NOT_CONFIGURED, Code.BUDGET_EXHAUSTED, Code.FORBIDDEN}
BY_A_RELOAD = {Code.CONFIG_INVALID}
"""In test_reload_command."""
BY_THE_SERVER = {Code.TOO_LARGE, Code.TOO_MANY_REQUESTS}
COMES_BACK = {
    Code.UPSTREAM_UNAVAILABLE,
    Code.UPSTREAM_RATE_LIMITED,
    Code.CREDENTIALS_REFUSED,
    Code.PAYMENT_REFUSED,
}


def check(answer, code):
    """What every problem promises."""
    assert answer.code == code
    assert answer.status == STATUS[code] == answer.json["status"]
    assert answer.status != 401
    assert answer.json["type"] == "about:blank"
    assert answer.json["title"]
    assert len(answer.json["detail"]) > 10
    assert len(answer.json["fix"]) > 3


def test_every_code_is_provoked_here():
    """A new code wants a test that meets it."""
    assert set(BY_THE_APP) | BY_OTHER_APPS | BY_THE_SERVER | BY_A_RELOAD == set(Code)


@pytest.mark.parametrize("code", BY_THE_APP)
async def test_the_app_says(code):
    """Status, code, what happened and what to do."""
    async with open_interface() as broker:
        answer = await BY_THE_APP[code](broker)
    check(answer, code)


@pytest.mark.parametrize("code", sorted(COMES_BACK))
async def test_a_refusal_that_passes_says_when_to_come_back(code):
    """In the problem, and as a header for whoever reads only those."""
    async with open_interface() as broker:
        answer = await BY_THE_APP[code](broker)
        wait = answer.json["retry_after"]
        assert answer.json["next_attempt_at"] == pytest.approx(broker.clock().wall + wait, abs=0.01)
    assert 0 <= int(answer.headers["retry-after"]) - wait < 1


async def test_it_says_that_payments_are_not_configured():
    """No roles, no payment token."""
    async with open_interface(app(payments=())) as broker:
        check(await broker.get(PAYMENT), Code.PAYMENT_NOT_CONFIGURED)


async def test_it_says_that_the_budget_is_used_up():
    """One call an hour is allowed, and another payment slot has had it."""
    async with open_interface(app(payments=("payment", "payment-eu"), calls_per_hour=1)) as broker:
        await anyio.sleep(60)
        answers = [await broker.get(f"/v1/tokens/{name}") for name in ("payment", "payment-eu")]
        refused = next(answer for answer in answers if answer.status != 200)
        check(refused, Code.BUDGET_EXHAUSTED)
        assert 3000 < refused.json["retry_after"] <= HOUR


async def test_it_says_forbidden_at_the_gate():
    """What a stranger is sent before a byte of its request is read."""
    async with open_interface() as broker:
        stranger = broker.table.of(*STRANGER)
        assert stranger.slots == frozenset()
        said = Forbidding(broker.table.rules, USERS.get, GROUPS.get).say(stranger)
        check(answer_of(said), Code.FORBIDDEN)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_server_says_that_a_request_is_too_large():
    """A head or a body beyond the limit."""
    async with serving(limits=Limits(body_bytes=100)) as served:
        with Client(served.path) as client:
            answer = await client.ask(post(b"x" * 101))
    assert (answer.status, answer.json()["code"]) == (400, Code.TOO_LARGE)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_server_says_that_there_are_too_many():
    """One uid with more connections than it may have."""
    async with serving(limits=Limits(connections_per_uid=1)) as served:
        with Client(served.path) as first:
            await first.ask(get())
            with Client(served.path) as second:
                answer = await second.answer()
    assert (answer.status, answer.json()["code"]) == (429, Code.TOO_MANY_REQUESTS)
    assert answer.headers["retry-after"] == "1"
