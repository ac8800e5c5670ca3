"""Every answer that the table of operations names, provoked and held to the OpenAPI document.

`Interface.ask` holds every answer of all tests of the app to it, so what is not in the table fails
wherever it is met; here what is in the table and nobody can meet fails.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio
import documented
import pytest
from interface import ADMIN, ALICE, STRANGER, VERSION, Answer, answer_of, app, open_interface
from raw_http import Client, serving
from virtual import DOWN, INVALID_CLIENT

from usps_token_broker.app import figures  # noqa: F401 - else the first scrape imports it, in a thread
from usps_token_broker.app.telling import invalid
from usps_token_broker.config import ConfigError, Problem
from usps_token_broker.core.events import Stopped
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.drivers.peers import Peer
from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.operations import LINES, METRICS, OPEN_METRICS, OPERATIONS, TEXT
from usps_token_broker.wire.orders import ReloadMessage
from usps_token_broker.wire.problems import STATUS
from usps_token_broker.wire.replies import json_reply
from usps_token_broker.wire.requests import Request

pytestmark = pytest.mark.anyio

BY_NAME = {operation.name: operation for operation in OPERATIONS}
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
BAD_CONFIG = ConfigError([Problem("/etc/broker.toml", "apps", "a table", "1", "write [apps]")])


async def ask(broker, name, query="", *, slot="bearer", headers=(), who=ADMIN, **report):
    """One call of this operation, over the socket that serves it."""
    operation = BY_NAME[name]
    target = operation.path.format(slot=slot) + query
    body = json.dumps({"status": 404} | report).encode() if operation.body else b""
    return await broker.ask(
        operation.method, target, dict(headers), body, who, admin=operation.admin or who is ADMIN
    )


def naming(name, slot):
    """How this operation names a slot."""
    payment = slot.removeprefix("payment").removeprefix("-") or "default"
    match name:
        case "readToken" | "renewToken":
            return {"slot": slot}
        case "readHeaders":
            return {"query": f"?payment={payment}"}
        case "reportAnswer":
            return {"serials": {"bearer": 1, "payment": 1}, "payment": payment}
        case _:
            return {"query": f"?slot={slot}"}


def on_an_interface(*apps):
    """A provocation that has an interface of its own."""

    def decorate(provoke):
        async def provoked(name):
            async with open_interface(*apps) as broker:
                return await provoke(broker, name)

        return provoked

    return decorate


# -- problems -------------------------------------------------------------------------------------


@on_an_interface()
async def bad_request(broker, name):
    return await ask(broker, name, "?nope=1")


@on_an_interface()
async def forbidden(broker, name):
    uid, (gid,) = STRANGER
    request = Request(BY_NAME[name].method, b"/", {})
    return answer_of(broker.door.handle(request, Peer(uid, gid, 1, frozenset())))


@on_an_interface()
async def forbidden_slot(broker, name):
    return await ask(broker, name, who=ALICE, **naming(name, "payment"))


@on_an_interface()
async def unknown_app(broker, name):
    return await ask(broker, name, "?app=nope")


@on_an_interface()
async def unknown_slot(broker, name):
    return await ask(broker, name, **naming(name, "payment-nope"))


@on_an_interface(app(payments=()))
async def payment_not_configured(broker, name):
    return await ask(broker, name, **naming(name, "payment"))


@on_an_interface()
async def not_found(broker, name):
    operation = BY_NAME[name]
    if operation.admin:
        return await ask(broker, name, who=ALICE)
    return await ask(broker, name, slot="bearer%2Fnope")


@on_an_interface()
async def scope_missing(broker, name):
    if name == "renewToken":
        broker.usps.scopes = ("addresses",)
        return await ask(broker, name, slot="payment")
    await broker.token()
    return await ask(broker, name, "?scope=nope")


def after(failure, slot="bearer"):
    """What is answered once USPS fails this way."""

    @on_an_interface()
    async def provoke(broker, name):
        named = naming(name, slot) if slot == "payment" else {}
        broker.usps.answers = lambda command, _now: failure if command.slot.name == slot else None
        return await ask(broker, name, **named)

    return provoke


@on_an_interface(app(payments=("payment", "payment-eu"), calls_per_hour=1))
async def budget_exhausted(broker, name):
    await anyio.sleep(60)
    slots = ("payment", "payment-eu")
    answers = [await ask(broker, name, **naming(name, slot)) for slot in slots]
    return next(answer for answer in answers if answer.status != 200)


@on_an_interface()
async def restarting(broker, name):
    broker.usps.latency_seconds = 600.0
    answers = []

    async def wait():
        report = {"status": 401, "path": "/a", "serials": {"bearer": 1}}
        answers.append(await ask(broker, name, "?wait=60", **report))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(1)
        if name == "reportAnswer":  # the end of the broker is an outcome there
            broker.reload(replace(app(), base_url="https://other.example", host="other.example"))
        broker.loop.post(Stopped())
    return answers[0]


@on_an_interface()
async def config_invalid(broker, name):
    """The daemon's own part is tried in the tests of the command."""
    broker.inside.handlers["reload"] = lambda _call: invalid(BAD_CONFIG)
    broker.reload(app())
    return await ask(broker, name)


# -- what the server itself says ------------------------------------------------------------------


def by_a_server(limits, handler=lambda _request, _peer: json_reply(200, b"{}"), *, clients=0):
    """What a server with these limits answers, whatever is asked."""

    async def provoke(name):
        async with serving(handler, limits=limits) as served:
            others = [Client(served.path) for _ in range(clients)]
            with Client(served.path) as client:
                head = f"{BY_NAME[name].method} / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"
                await client.send(head.encode() + b"x" * 101)
                answer = await client.answer()
            for other in others:
                other.socket.close()
        return Answer(answer.status, answer.headers, answer.body)

    return provoke


def fails(_request, _peer):
    raise ZeroDivisionError


# -- all of them ----------------------------------------------------------------------------------

ON_ASYNCIO = {
    Code.TOO_LARGE: by_a_server(Limits(body_bytes=100)),
    Code.TOO_MANY_REQUESTS: by_a_server(Limits(connections_per_uid=1), clients=1),
    Code.NOT_READY: by_a_server(Limits(), fails),
}
PROBLEMS: dict[Code, Callable[[str], Awaitable[Answer]]] = {
    Code.BAD_REQUEST: bad_request,
    Code.FORBIDDEN: forbidden,
    Code.UNKNOWN_APP: unknown_app,
    Code.UNKNOWN_SLOT: unknown_slot,
    Code.PAYMENT_NOT_CONFIGURED: payment_not_configured,
    Code.NOT_FOUND: not_found,
    Code.SCOPE_MISSING: scope_missing,
    Code.CREDENTIALS_REFUSED: after(INVALID_CLIENT),
    Code.PAYMENT_REFUSED: after(ROLES_REFUSED, "payment"),
    Code.UPSTREAM_UNAVAILABLE: after(DOWN),
    Code.UPSTREAM_RATE_LIMITED: after(RATE_LIMITED),
    Code.BUDGET_EXHAUSTED: budget_exhausted,
    Code.RESTARTING: restarting,
    Code.CONFIG_INVALID: config_invalid,
}
PAIRS = [(o.name, code) for o in OPERATIONS for code in sorted(o.all_codes)]


@pytest.mark.parametrize(("name", "code"), [p for p in PAIRS if p[1] not in ON_ASYNCIO])
async def test_a_problem_in_the_table_can_be_met(name, code):
    """And is as the document has it."""
    answer = await PROBLEMS[code](name)
    assert (answer.status, answer.code) == (STATUS[code], code)
    documented.check(BY_NAME[name], *answer)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("name", "code"), [p for p in PAIRS if p[1] in ON_ASYNCIO])
async def test_a_problem_of_the_server_is_documented(name, code):
    """It may come in the place of any answer."""
    answer = await ON_ASYNCIO[code](name)
    assert (answer.status, answer.code) == (STATUS[code], code)
    documented.check(BY_NAME[name], *answer)


@pytest.mark.parametrize(
    "name", [o.name for o in OPERATIONS if Code.UNKNOWN_SLOT in o.codes and not o.admin]
)
async def test_a_slot_that_is_not_open_to_a_peer_is_documented_too(name):
    """Beside the 403 of the gate."""
    answer = await forbidden_slot(name)
    assert answer.code == Code.FORBIDDEN


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("readToken", "/v1/tokens/bearer%2Fnope"),
        ("readToken", "/v1/tokens/%2F"),
        ("readToken", "/v1/tokens/bearer%00"),
        ("readToken", "/v1/tokens/%zz"),
        ("readToken", "/v1/tokens/bearer?wait=1e400"),
        ("readToken", "/v1/tokens/bearer?min_valid=7200.5"),
        ("readToken", "/v1/tokens/payment-%C3%A9"),
        ("readToken", "/v1/tokens/bearer?app="),
        ("readHeaders", "/v1/headers?payment="),
        ("readHeaders", "/v1/headers?payment=a%2Fb"),
        ("readReadiness", "/readyz?slot="),
        ("readReadiness", "/readyz?min_valid=28800.1"),
    ],
)
async def test_what_a_careless_client_asks_is_answered_by_the_document_too(name, target):
    """As an answer of the operation that was meant, even where the path is none of ours."""
    async with open_interface() as broker:
        documented.check(BY_NAME[name], *await broker.get(target))


# -- answers that are no problem ------------------------------------------------------------------


@on_an_interface()
async def plain(broker, name):
    return await ask(broker, name)


@on_an_interface()
async def as_text(broker, name):
    return await ask(broker, name, headers={"Accept": "text/plain"})


@on_an_interface()
async def unchanged(broker, name):
    held = (await ask(broker, name)).headers["etag"]
    return await ask(broker, name, headers={"If-None-Match": held})


@on_an_interface()
async def dead_loop(broker, name):
    broker.alive = False
    return await ask(broker, name)


@on_an_interface()
async def no_token_yet(broker, name):
    broker.usps.latency_seconds = 600.0
    return await ask(broker, name)


@on_an_interface()
async def renewed(broker, name):
    await broker.token()
    return await ask(broker, name)


@on_an_interface()
async def good(broker, name):
    await broker.token()
    return await ask(broker, name)


@on_an_interface()
async def reloaded(broker, name):
    message = ReloadMessage(["app b is new"], [], [], [])
    broker.inside.handlers["reload"] = lambda _call: json_reply(200, to_json(message))
    broker.reload(app())
    return await ask(broker, name)


@on_an_interface()
async def as_open_metrics(broker, name):
    return await ask(broker, name, headers={"Accept": "application/openmetrics-text"})


@on_an_interface()
async def followed(broker, _name):
    """The head and the first line; `Lines` holds all others to the document."""
    async with broker.follow() as lines:
        _, *fields = lines.head.decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (f.split(": ") for f in fields)}
        answer = Answer(200, headers, json.dumps(await lines.next()).encode())
    documented.check(BY_NAME["followEvents"], *answer)
    return answer


JSON = "application/json"
ANSWERS = {
    ("readToken", 200, JSON): plain,
    ("readToken", 200, TEXT): as_text,
    ("readToken", 304, None): unchanged,
    ("readHeaders", 200, JSON): plain,
    ("readHeaders", 200, TEXT): as_text,
    ("readHeaders", 304, None): unchanged,
    ("reportAnswer", 200, JSON): plain,
    ("explain", 200, JSON): plain,
    ("readCatalogue", 200, JSON): plain,
    ("readUnrecognised", 200, JSON): plain,
    ("readStatus", 200, JSON): plain,
    ("followEvents", 200, LINES): followed,
    ("readHealth", 200, JSON): plain,
    ("readHealth", 503, JSON): dead_loop,
    ("readReadiness", 200, JSON): good,
    ("readReadiness", 503, JSON): no_token_yet,
    ("readMetrics", 200, METRICS): plain,
    ("readMetrics", 200, OPEN_METRICS): as_open_metrics,
    ("readOpenApi", 200, JSON): plain,
    ("renewToken", 200, JSON): renewed,
    ("reload", 200, JSON): reloaded,
    ("forgetTokens", 200, JSON): plain,
}


def test_every_answer_in_the_table_is_tried():
    """One that is added wants a provocation."""
    assert set(ANSWERS) == {
        (operation.name, answer.status, media_type)
        for operation in OPERATIONS
        for answer in operation.answers
        for media_type in answer.bodies or (None,)
    }


@pytest.mark.parametrize(("name", "status", "media_type"), ANSWERS)
async def test_an_answer_in_the_table_can_be_met(name, status, media_type):
    """And is as the document has it."""
    answer = await ANSWERS[name, status, media_type](name)
    assert answer.status == status
    assert (
        answer.headers.get("content-type", "").partition(";")[0]
        == (media_type or "").partition(";")[0]
    )


# -- the check itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (201, {}, None),
        (200, {"content-type": "text/html"}, None),
        (200, {"cache-control": "public"}, None),
        (200, {"etag": "W/1"}, None),
        (200, {"x-more": "1"}, None),
        (200, {}, b"{}"),
        (200, {}, b'{"token": 1}'),
        (304, {}, None),
    ],
)
async def test_an_answer_that_is_not_in_the_table_is_noticed(status, headers, body):
    """In its status, its headers, its form or its fields."""
    answer = await plain("readToken")
    documented.check(BY_NAME["readToken"], *answer)
    with pytest.raises((AssertionError, ValueError)):
        documented.check(
            BY_NAME["readToken"],
            status,
            {**answer.headers, **headers},
            answer.body if body is None else body,
        )


async def test_a_code_that_is_not_in_the_table_is_noticed():
    """A problem is held to the codes of its operation, and to its status."""
    answer = await unknown_slot("readToken")
    with pytest.raises((AssertionError, ValueError)):
        documented.check(BY_NAME["readStatus"], *answer)


# -- who sees what --------------------------------------------------------------------------------


@pytest.mark.parametrize("admin", [False, True])
async def test_the_document_has_what_is_served_on_the_socket_it_is_read_from(admin):
    """Workers are not shown what they would be answered 404 for."""
    async with open_interface() as broker:
        answer = await broker.ask("GET", "/openapi.json", admin=admin)
    shown = {(path, method.upper()) for path, ops in answer.json["paths"].items() for method in ops}
    assert shown == {(o.path, o.method) for o in OPERATIONS if admin or not o.admin}
    assert answer.json["info"]["version"] == VERSION
