"""The door over TCP: what is served there, and what is not, whatever is asked."""

import json

import anyio
import pytest
from interface import answer_of, app, open_interface
from virtual import DOWN

from usps_token_broker.app import figures  # noqa: F401 - else the first scrape imports it, in a thread
from usps_token_broker.app.http_door import (
    CALLS,
    KEPT_AT_MOST,
    KEPT_SECONDS,
    LIMITS,
    HttpDoor,
    held_open,
    is_direct,
    limits,
)
from usps_token_broker.drivers.tcp_listener import Visitor
from usps_token_broker.wire.operations import OPERATIONS
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request

pytestmark = pytest.mark.anyio

OPEN = {"/healthz", "/readyz", "/metrics"}


def door_of(broker, *, local=True):
    return HttpDoor(broker.door, broker.inside.tally, local=local)


async def ask(
    broker,
    target,
    method="GET",
    *,
    host=b"127.0.0.1:9842",
    body=b"",
    local=True,
    door=None,
    accept=b"",
):
    """What a visitor is answered."""
    headers = {b"accept": accept} | ({} if host is None else {b"host": host})
    door = door or door_of(broker, local=local)
    handled = door.handle(Request(method, target.encode(), headers, body), Visitor(1))
    return answer_of(handled if isinstance(handled, Reply) else await handled)


async def test_health_readiness_and_figures_are_served():
    """For kubelet and Prometheus, which cannot reach a Unix socket."""
    async with open_interface() as broker:
        await broker.token()
        answers = {path: await ask(broker, path) for path in OPEN}
    assert {path: answer.status for path, answer in answers.items()} == dict.fromkeys(OPEN, 200)
    assert answers["/healthz"].json["alive"]
    assert b"usps_token_broker_slot_ready" in answers["/metrics"].body


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.name not in CALLS])
async def test_nothing_else_is_served(operation):
    """Of all calls that there are, those for administrators too, by any method."""
    target = operation.path.replace("{slot}", "bearer")
    async with open_interface() as broker:
        token = await broker.token()
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            answer = await ask(broker, target, method, body=b"{}")
            assert (answer.status, answer.code) == (404, "not_found")
            assert "on the Unix socket only" in answer.json["detail"]
            assert token["token"].encode() not in answer.body
    assert "/metrics" in answer.json["fix"]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "*",
        "/metrics/",
        "//metrics",
        "/metrics/../v1/tokens/bearer",
        "/%2e%2e/v1/tokens/bearer",
        "/v1/tokens/payment",
        "http://127.0.0.1/v1/tokens/bearer",
        "/admin.sock",
    ],
)
async def test_no_path_leads_around_it(target):
    """Paths are compared as they are."""
    async with open_interface() as broker:
        await broker.token()
        answer = await ask(broker, target)
    assert answer.status in {400, 404}


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_only_get_and_head(path):
    """As `Allow` says."""
    async with open_interface() as broker:
        answer = await ask(broker, path, "POST")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_figures_are_of_every_slot_and_hold_no_secret_and_no_user():
    """App and slot are all that tells one from another; not who asks, and not whose they are."""
    async with open_interface(app("one"), app("two", ["payment", "payment-acme"])) as broker:
        token = (await broker.get("/v1/tokens/bearer?app=one")).json["token"]
        body = (await ask(broker, "/metrics")).body.decode()
    for slot in ("one", "two"):
        assert f'{{app="{slot}",slot="bearer"}}' in body
    assert '{app="two",slot="payment-acme"}' in body
    for hidden in (token, "client of one", "one.example", "alice", "uid"):
        assert hidden not in body


async def test_a_broker_that_is_not_ready_says_which_slots_are_not():
    """And is alive, so that nobody restarts it for what USPS does."""
    async with open_interface() as broker:
        broker.usps.answers = lambda _command, _now: DOWN
        ready, alive = await ask(broker, "/readyz"), await ask(broker, "/healthz")
        figures_then = await ask(broker, "/metrics")
    assert (ready.status, ready.json["not_ready"]) == (503, ["default/bearer"])
    assert (alive.status, figures_then.status) == (200, 200)


async def test_a_broker_that_makes_no_progress_is_not_alive():
    """So it is restarted."""
    async with open_interface() as broker:
        broker.alive = False
        assert (await ask(broker, "/healthz")).status == 503


async def test_one_slot_can_be_asked_about():
    """As over the socket; a payment token is not required unless somebody says so."""
    async with open_interface() as broker:
        await broker.token("payment")
        assert (await ask(broker, "/readyz?slot=payment&min_valid=600")).status == 200
        unknown = await ask(broker, "/readyz?slot=nope")
    assert (unknown.status, unknown.code) == (404, "unknown_slot")


async def test_a_query_that_makes_no_sense_is_refused():
    """As over the socket."""
    async with open_interface() as broker:
        answer = await ask(broker, "/healthz?x=1")
    assert (answer.status, answer.code) == (400, "bad_request")


async def test_after_a_reload_it_shows_what_is_in_force():
    """Not the slots of the configuration it began with."""
    async with open_interface() as broker:
        broker.reload(app("other"))
        assert (await broker.get("/v1/tokens/bearer?app=other")).status == 200
        body = (await ask(broker, "/metrics")).body.decode()
    assert 'app="other"' in body
    assert 'app="default"' not in body


async def test_what_is_asked_here_is_counted():
    """Beside what is asked over the sockets."""
    async with open_interface() as broker:
        await ask(broker, "/healthz")
        await ask(broker, "/v1/tokens/bearer")
        await ask(broker, "/metrics")
        counted = {n: dict(s) for n, s in broker.inside.tally.requests.items()}
    assert counted == {"readHealth": {200: 1}, "none": {404: 1}, "readMetrics": {200: 1}}


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://127.0.0.1:9842/metrics", 200),
        ("http://[::1]:9842/metrics", 200),
        ("http://localhost/metrics", 200),
        ("http://evil.example/metrics", 403),
        ("http://evil.example:9842/healthz?x", 403),
        ("http://127.0.0.1@evil.example/readyz", 403),
    ],
)
async def test_an_absolute_target_says_whom_it_is_meant_for(target, status):
    """In place of the Host header (RFC 9112 3.2.2)."""
    async with open_interface() as broker:
        assert (await ask(broker, target, host=b"127.0.0.1:9842")).status == status


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1:9842",
        b"127.0.0.1",
        b"localhost",
        b"LocalHost:1234",
        b"localhost.",
        b"[::1]:9842",
        b"10.1.2.3:9842",
        b"",
        None,
    ],
)
async def test_who_asks_for_an_address_is_answered(host):
    """As kubelet, Prometheus and curl do, and whoever has a tunnel from another port."""
    async with open_interface() as broker:
        assert (await ask(broker, "/metrics", host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:9842",
        b"127.0.0.1.evil.example:9842",
        b"localhost.evil.example",
        b"127.0.0.1, evil.example",
        b"127.0.0.1:9842:1",
        b"[evil]:9842",
        b"[::1",
        b"user@127.0.0.1",
        b":9842",
        b"\xff",
    ],
)
async def test_a_page_in_a_browser_cannot_read_by_a_name_of_its_own(host):
    """DNS rebinding: a name that is pointed at this machine once its page is loaded."""
    async with open_interface() as broker:
        for path in (*OPEN, "/v1/tokens/bearer"):
            answer = await ask(broker, path, host=host)
            assert (answer.status, answer.code) == (403, "forbidden")
    assert not is_direct(host)


async def test_on_another_address_names_are_answered():
    """There a monitor may know the host by its name, and a page could ask the host directly."""
    async with open_interface() as broker:
        answer = await ask(broker, "/metrics", host=b"broker-7.example:9842", local=False)
    assert answer.status == 200


async def test_a_refusal_says_what_to_do():
    """In the form of every other."""
    async with open_interface() as broker:
        answer = await ask(broker, "/metrics", host=b"evil.example")
    said = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "http://127.0.0.1:9842/metrics" in said["fix"]


async def test_figures_are_made_once_a_second_however_many_ask():
    """With many slots they take long to make, and workers would wait meanwhile."""
    async with open_interface() as broker:
        await broker.token()
        door = door_of(broker)
        first = await ask(broker, "/metrics", door=door)
        at_once = await ask(broker, "/metrics", door=door)
        await anyio.sleep(KEPT_SECONDS)
        later = await ask(broker, "/metrics", door=door)
    assert first.body == at_once.body
    assert b'operation="readMetrics",status="200"} 2.0' in later.body


async def test_each_format_has_its_own_figures():
    """Whoever came before."""
    async with open_interface() as broker:
        door = door_of(broker)
        plain = await ask(broker, "/metrics", door=door)
        accept = b"application/openmetrics-text;version=1.0.0"
        open_metrics = await ask(broker, "/metrics", door=door, accept=accept)
    assert plain.headers["content-type"].startswith("text/plain")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")


async def test_figures_of_the_configuration_before_are_not_told_again():
    """Not even for a second."""
    async with open_interface() as broker:
        door = door_of(broker)
        await ask(broker, "/metrics", door=door)
        broker.reload(app("other"))
        assert (await broker.get("/v1/tokens/bearer?app=other")).status == 200
        body = (await ask(broker, "/metrics", door=door)).body
    assert b'app="default"' not in body


async def test_readiness_is_looked_at_once_a_second_however_many_ask():
    """For the same reason; and another question has an answer of its own."""
    async with open_interface() as broker:
        door = door_of(broker)
        assert (await ask(broker, "/readyz", door=door)).status == 503
        await broker.token()
        assert (await ask(broker, "/readyz", door=door)).status == 503
        assert (await ask(broker, "/readyz?slot=bearer", door=door)).status == 200
        await anyio.sleep(KEPT_SECONDS)
        assert (await ask(broker, "/readyz", door=door)).status == 200


async def test_who_asks_many_different_things_is_told_to_come_again():
    """And keeps no other monitor from its answer for longer than a second, nor from /healthz."""
    async with open_interface() as broker:
        await broker.token()
        door = door_of(broker)
        for number in range(KEPT_AT_MOST):
            assert (await ask(broker, f"/readyz?min_valid={number}", door=door)).status == 200
        refused = await ask(broker, "/readyz", door=door)
        assert (refused.status, refused.code) == (429, "too_many_requests")
        assert refused.headers["retry-after"] == "1"
        assert (await ask(broker, "/healthz", door=door)).status == 200
        await anyio.sleep(KEPT_SECONDS)
        assert (await ask(broker, "/readyz", door=door)).status == 200


async def test_those_who_ask_for_figures_in_the_same_instant_share_them():
    """They are made by the first whose turn comes."""
    async with open_interface() as broker:
        door = door_of(broker)
        request = Request("GET", b"/metrics", {b"host": b"localhost"})
        promises = [door.handle(request, Visitor(1)) for _ in range(8)]
        replies = [await promise for promise in promises]
    assert all(reply is replies[0] for reply in replies)


@pytest.mark.parametrize("descriptors", [256, 1024, 2048, 16_384, 2**63 - 1])
def test_token_calls_leave_the_sockets_most_of_what_may_be_open(descriptors):
    """However little that is: workers come first."""
    bounds = limits(descriptors, tokens=True)
    assert LIMITS.connections <= bounds.connections <= max(LIMITS.connections, descriptors // 4)
    assert bounds.connections_per_uid < bounds.connections <= 512
    assert held_open(bounds) > bounds.connections
    assert limits(descriptors, tokens=False) is LIMITS
