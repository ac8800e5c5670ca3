"""What debuggers, crash reporters and loggers make of a client that holds tokens: no token."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import pickle
import pprint
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from scripted_broker import Drip, Reply, json_reply

from usps_token_client import AsyncTokenClient, BrokerError, TokenClient

MARK = "KANARItoken"
PAYMENT_HEADER = "X-Payment-Authorization-Token"


@pytest.fixture
def marked(broker):
    """A broker whose tokens can be recognised."""
    broker.grant("bearer", f"{MARK}-1", 1001)
    broker.grant("payment", f"{MARK}-2", 2001)
    return broker


def asked(broker, kind, what, timeout=20.0):
    """What one call gives: `bearer`, `payment`, `headers`, or `report` of a 401."""
    arguments = {"report": (401,), "headers": ()}.get(what, ())
    options = {"report": {"used": {"bearer": 1001}}, "headers": {"payment": True}}.get(what, {})
    if kind == "sync":
        return getattr(TokenClient(broker.path, timeout=timeout), what)(*arguments, **options)

    async def ask():
        client = AsyncTokenClient(broker.path, timeout=timeout)
        return await getattr(client, what)(*arguments, **options)

    return asyncio.run(ask())


def changed(field, value):
    """The broker's own answer, but for one field that makes it useless."""

    def make(broker):
        def answer(request):
            verdict = {"headers": {"Authorization": MARK}, "serials": {"bearer": 1002}}
            report = request.path == "/v1/answers"
            data = verdict if report else json.loads(broker.answer(request).body)
            return json_reply({**data, field: value}, ETag='"1"')

        return answer

    return make


def raw(text):
    return lambda _broker: Reply(raw=text.encode())


HEAD = "HTTP/1.1 200 OK\r\n"
USELESS = {
    "a number that is none": changed("expires_in", "x"),
    "no serial": changed("serial", None),
    "scopes that are none": changed("scopes", 1),
    "another slot": changed("slot", "other"),
    "spent": changed("expires_in", 0),
    "a token with a line break": changed("token", f"{MARK}\n"),
    "headers that are none": changed("headers", [MARK]),
    "a header with a line break": changed("headers", {"Authorization": f"{MARK}\n"}),
    "serials that are none": changed("serials", "x"),
    "half of the JSON": raw(f'{HEAD}\r\n{{"token": "{MARK}'),
    "no object": raw(f'{HEAD}\r\n["{MARK}"]'),
    "too deep": raw(f"{HEAD}\r\n{'[' * 100_000}{MARK}"),
    "cut": raw(f'{HEAD}Content-Length: 900\r\n\r\n{{"token": "{MARK}"}}'),
    "no HTTP": raw(f'{{"token": "{MARK}"}}'),
    "a header line that is none": raw(f"{HEAD}{MARK}\r\n\r\n"),
    "a length that is none": raw(f"{HEAD}Content-Length: {MARK}\r\n\r\n"),
    "far too long": raw(f"{HEAD}\r\n{MARK}{'x' * 2_000_000}"),
    "a problem without a code": lambda _broker: json_reply({"token": MARK}, 500),
    "slow": lambda _broker: Drip(f"{HEAD}Content-Length: 900\r\n\r\n{MARK}".encode(), 0.001),
}


def shown(error):
    """What crash reporters make of an error: all frames but those of the test, and their variables.

    Also of what it came of, whether Python would print that or not.
    """
    seen, found = set(), []

    def walk(one):
        if one is None or id(one) in seen:
            return
        seen.add(id(one))
        found.extend([repr(one), str(one), repr(vars(one))])
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename != __file__:
                found.extend(f"{name}={value!r}" for name, value in frame.f_locals.items())
        walk(one.__cause__)
        walk(one.__context__)

    walk(error)
    return "\n".join(found)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("useless", USELESS)
def test_an_error_about_an_answer_shows_nothing_of_it(marked, useless, kind):
    """Reporters of crashes send the variables of every frame: none of them holds the answer."""
    marked.always = USELESS[useless](marked)
    failures = []
    for what in ("bearer", "headers", "report"):
        try:
            asked(marked, kind, what, timeout=0.5 if useless in {"slow", "cut", "spent"} else 20.0)
        except BrokerError as error:
            failures.append((what, error))
    assert failures
    for what, error in failures:
        text = shown(error)
        assert error.detail in text, what
        assert MARK not in text, what


@pytest.mark.parametrize(
    "variable",
    [f"{MARK}\n{MARK}", f'{{"bearer": "{MARK}', f'{{"bearer": ["{MARK}"]}}', f"{MARK} {MARK}"],
)
def test_an_error_about_a_static_token_shows_nothing_of_it(monkeypatch, variable):
    """From the environment."""
    monkeypatch.setenv("USPS_TOKEN_STATIC", variable)
    with pytest.raises(ValueError, match=r"USPS_TOKEN_STATIC|static token") as caught:
        TokenClient()
    assert MARK not in shown(caught.value)


def test_an_error_about_a_static_token_of_the_caller_shows_nothing_of_it():
    """It stands in the caller's own frame, and in no frame of ours."""
    for payment in (None, f"{MARK}\n", {"east": f"{MARK}\n"}):
        with pytest.raises(ValueError, match="static token") as caught:
            TokenClient.static(bearer=MARK if payment else f"{MARK}\n", payment=payment)
        assert MARK not in shown(caught.value)


def everything_of(client):
    """Every object of the package that the client leads to, through plain containers."""
    todo, seen, found = [client], set(), []
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        ours = type(one).__module__.startswith("usps_token_client")
        if ours:
            found.append(one)
        if ours or type(one) in {dict, list, tuple, set}:
            todo.extend(gc.get_referents(one))
    return found


def holding_tokens(kind, where):
    if where == "static":
        client = {"sync": TokenClient, "async": AsyncTokenClient}[kind].static(
            bearer=MARK, payment=MARK
        )
    else:
        client = {"sync": TokenClient, "async": AsyncTokenClient}[kind](where)
    if kind == "sync":
        kept = [client.bearer(), client.payment(), client.headers(payment=True)]
        return client, [*kept, client.transport()] if httpx else kept

    async def ask():
        kept = [await client.bearer(), await client.payment(), await client.headers(payment=True)]
        return client, [*kept, client.transport()] if httpx else kept

    return asyncio.run(ask())


try:
    import httpx
except ImportError:
    httpx = None


@pytest.mark.parametrize("where", ["broker", "static"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_no_object_of_a_client_shows_a_token(marked, kind, where, caplog):
    """By repr, str, format, %, pprint and logging, each alone and in containers."""
    client, kept = holding_tokens(kind, marked.path if where == "broker" else where)
    things = [thing for one in (client, *kept) for thing in everything_of(one)]
    assert {"Token", "Headers", "Holding", "Entry"} <= {type(thing).__name__ for thing in things}
    for thing in things:
        percent = "%s %r"
        texts = [repr(thing), str(thing), f"{thing}", percent % (thing, thing)]
        texts += [pprint.pformat(thing), repr([thing]), pprint.pformat({"a": [thing]})]
        logging.getLogger("t").warning("%s %r", thing, {"a": thing})
        assert MARK not in "".join(texts), type(thing)
        assert MARK not in caplog.text, type(thing)
        assert not hasattr(thing, "__dict__") or MARK not in repr(vars(thing))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_rich_shows_no_token_either(marked, kind):
    """It walks through dicts and dataclasses by itself, in logs and in tracebacks."""
    pretty = pytest.importorskip("rich.pretty")
    client, kept = holding_tokens(kind, marked.path)
    for one in (client, *kept):
        for thing in everything_of(one):
            assert MARK not in pretty.pretty_repr({"a": [thing]}, expand_all=True)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_is_pickled_of_a_client_holds_no_token(marked, kind):
    """Of what it hands out only headers, which are a dict, can be pickled with what they hold."""
    client, (bearer, payment, headers, *transport) = holding_tokens(kind, marked.path)
    assert MARK.encode() in pickle.dumps(headers)
    for thing in (client, bearer, payment, *transport):
        with contextlib.suppress(TypeError, pickle.PicklingError):
            assert MARK.encode() not in pickle.dumps(thing), type(thing)


class Quiet(BaseHTTPRequestHandler):
    """Refuses the first call and takes the next."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append(self.headers.get("Authorization"))
        self.send_response(401 if len(self.server.seen) == 1 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def loopback():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.skipif(httpx is None, reason="httpx is not installed")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_worker_that_logs_everything_logs_no_token(marked, kind, caplog):
    """httpx, httpcore and asyncio at DEBUG, over a refusal, a report and a second call."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "asyncio", "usps_token_client"):
        caplog.set_level(logging.DEBUG, name)
    with loopback() as server:
        marked.base_url = url = f"http://127.0.0.1:{server.server_port}"
        marked.verdict = {
            "code": "token_dead", "detail": "d", "fix": "f", "retry": True, "outcome": "renewed",
            "headers": {"Authorization": f"Bearer {MARK}-3"}, "serials": {"bearer": 1002},
        }  # fmt: skip
        if kind == "sync":
            with httpx.Client(transport=TokenClient(marked.path).transport()) as http:
                answer = http.get(f"{url}/addresses/v3/x")
        else:

            async def call():
                over = AsyncTokenClient(marked.path).transport()
                async with httpx.AsyncClient(transport=over) as http:
                    return await http.get(f"{url}/addresses/v3/x")

            answer = asyncio.run(call(), debug=True)
    assert server.seen == [f"Bearer {MARK}-1", f"Bearer {MARK}-3"]
    assert "send_request_headers" in caplog.text
    for text in (caplog.text, repr(answer), repr(answer.request), repr(answer.extensions)):
        assert MARK not in text
