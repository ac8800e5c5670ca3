"""The contract's exchanges, held against the broker's own interface."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
import trio.testing
from contract_files import exchanges
from interface import ADMIN, ALICE, Interface, app, open_interface
from virtual import DOWN, INVALID_CLIENT

from usps_token_broker.core.events import Stopped
from usps_token_broker.core.outcomes import Code, Failure, FailureKind

pytestmark = pytest.mark.anyio

SETTLED_SECONDS = 60
"""Of virtual time: the first attempts are over by then."""
RATE_LIMITED = Failure(
    FailureKind.RATE_LIMITED, Code.UPSTREAM_RATE_LIMITED, "USPS answered 429", "wait", 429,
    retry_after_seconds=900.0,
)  # fmt: skip
ROLES_REFUSED = Failure(
    FailureKind.REFUSED, Code.PAYMENT_REFUSED, "no such role", "mend roles", 400, "160228"
)
WHO = {None: ADMIN, "a user without payment tokens": ALICE}
EXACT = {
    "code", "reason", "status", "type", "title", "retry", "outcome", "slot", "app", "token",
    "token_type", "serial", "scopes", "degraded", "ready", "not_ready", "alive", "upstream_status",
    "upstream_code",
}  # fmt: skip
"""Fields whose values are told in the contract, and not only their kind."""
REAL = {name: exchange for name, exchange in exchanges().items() if "given" in exchange}


@pytest.fixture
def anyio_backend():
    """The app runs on trio here, whose clock jumps when everybody sleeps."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@asynccontextmanager
async def interface_given(given: str) -> AsyncIterator[Interface]:
    """The interface of a broker to which this has happened."""
    payments = () if given == "an app without payments" else ("payment",)
    more = {}
    if given == "the budget is used up":
        # Of two payment slots one has had the only call.
        payments, more = ("payment", "payment-other"), {"calls_per_hour": 1}
    async with open_interface(app(payments=payments, **more)) as broker:
        usps = broker.usps
        if given in {"both tokens", "a bearer renewed after a report", "USPS went down"}:
            await broker.token("payment")
        if given == "a bearer renewed after a report":
            old = await broker.token()
            await broker.report(401, "The access token expired", serials={"bearer": old["serial"]})
        failures = {
            "USPS refuses the credentials": lambda _command, _now: INVALID_CLIENT,
            "USPS refuses the roles": lambda command, _now: (
                None if command.slot.is_bearer else ROLES_REFUSED
            ),
            "USPS is down": lambda _command, _now: DOWN,
            "USPS went down": lambda _command, _now: DOWN,
            "USPS limits the rate": lambda _command, _now: RATE_LIMITED,
        }
        usps.answers = failures.get(given, usps.answers)
        if given in {"USPS is silent", "the broker is stopping"}:
            usps.latency_seconds = 600.0
        if given not in {"both tokens", "a bearer renewed after a report", "USPS went down"}:
            await anyio.sleep(SETTLED_SECONDS)
        yield broker


async def real_values(broker):
    """What stands in this broker for the tokens and serials of the examples."""
    found = {}
    for slot, serial in (("bearer", 1001), ("payment", 2001)):
        answer = await broker.get(f"/v1/tokens/{slot}?wait=0")
        if answer.status == 200:
            found |= {f"{slot}-1": answer.json["token"], serial: answer.json["serial"]}
    return found


def put(value, real):
    """The example with the real tokens and serials in it."""
    if isinstance(value, dict):
        return {key: put(item, real) for key, item in value.items()}
    if isinstance(value, list):
        return [put(item, real) for item in value]
    if isinstance(value, str):
        for example, actual in real.items():
            value = re.sub(rf"(?<!\w){example}(?!\w)", str(actual), value)
        return value
    return real.get(value, value) if isinstance(value, int) else value


def compare(example, actual, where=""):
    """The same fields, the same kinds of values; the same values where the contract tells them."""
    if example is None:
        return
    if isinstance(example, dict):
        assert isinstance(actual, dict), where
        assert set(example) == set(actual), where
        for key in example:
            compare(example[key], actual[key], f"{where}.{key}")
    elif where.rpartition(".")[2] in EXACT:
        assert actual == example, where
    elif isinstance(example, list):
        assert isinstance(actual, list), where
        assert len(actual) == len(example), where
        for one, other in zip(example, actual, strict=True):
            compare(one, other, where)
    elif isinstance(example, float):
        assert isinstance(actual, int | float), where
        assert not isinstance(actual, bool), where
    else:
        assert type(actual) is type(example), where


async def ask(broker, request, who):
    """The answer to this request."""
    text = json.dumps(request["json"]) if "json" in request else request.get("text", "")
    return await broker.ask(
        request["method"], request["target"], request["headers"], text.encode(), who
    )


@pytest.mark.parametrize("name", REAL)
async def test_the_broker_answers_as_the_contract_says(name):
    """Status, headers, fields and their kinds; texts to the byte."""
    exchange = REAL[name]
    async with interface_given(exchange["given"]) as broker:
        real = await real_values(broker)
        request = put(exchange["request"], real)
        answers = []

        async def take():
            answers.append(await ask(broker, request, WHO[exchange.get("who")]))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            if exchange["given"] == "the broker is stopping":
                await anyio.sleep(1)
                broker.loop.post(Stopped())
        [answer] = answers
    example = put(exchange["answer"], real)
    assert answer.status == example["status"], answer
    for header, value in example["headers"].items():
        if header == "Retry-After":
            assert answer.headers["retry-after"].isdigit()
        else:
            assert answer.headers[header.lower()] == value
    if "json" in example:
        compare(example["json"], answer.json)
    else:
        assert answer.body.decode() == example.get("body", "")


def test_every_call_but_the_streams_has_an_exchange():
    """What the broker serves is written down."""
    paths = {exchange["request"]["target"].partition("?")[0] for exchange in REAL.values()}
    assert {
        "/v1/tokens/bearer", "/v1/tokens/payment", "/v1/headers", "/v1/answers", "/v1/status",
        "/healthz", "/readyz",
    } <= paths  # fmt: skip


def test_every_code_has_an_exchange():
    """A new code wants its meaning written down."""
    codes = {exchange["answer"].get("json", {}).get("code") for exchange in exchanges().values()}
    assert set(Code) - {Code.CONFIG_INVALID} <= codes  # that one is of the admin socket alone
