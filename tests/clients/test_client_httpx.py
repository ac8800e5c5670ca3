"""The httpx transports: which hop gets which header, and what a 401 leads to."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from scripted_broker import problem

from usps_token_client import AsyncTokenClient, BrokerError, TokenClient, TokenDenied, Verdict

httpx = pytest.importorskip("httpx")

USPS = "https://apis.usps.com"
PAYMENT = "X-Payment-Authorization-Token"
LABEL = f"{USPS}/labels/v3/label"
ADDRESS = f"{USPS}/addresses/v3/address?city=X"


@pytest.fixture(params=["sync", "async"])
def fetch(request, broker):
    """Sends one request through a transport over `answer`, in both worlds."""

    def sync(answer, method, url, *, client=None, transport=None, **more):
        tokens = client or TokenClient(broker.path)
        base = httpx.MockTransport(answer)
        over = tokens.transport(base, **(transport or {}))
        with httpx.Client(transport=over, follow_redirects=True) as http:
            return http.request(method, url, **more)

    def in_loop(answer, method, url, *, client=None, transport=None, **more):
        async def main():
            tokens = client or AsyncTokenClient(broker.path)
            over = tokens.transport(httpx.MockTransport(answer), **(transport or {}))
            async with httpx.AsyncClient(transport=over, follow_redirects=True) as http:
                return await http.request(method, url, **more)

        return asyncio.run(main())

    made = {"sync": (sync, TokenClient), "async": (in_loop, AsyncTokenClient)}
    function, function.client = made[request.param]
    return function


class Usps:
    """A USPS that remembers requests and answers what it is told, 200 by default."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        # Copies, as httpx goes on with the object.
        self.requests.append((str(request.url), dict(request.headers), request.read()))
        return self.answers.pop(0) if self.answers else httpx.Response(200, text="done")

    @property
    def headers(self):
        return [
            {name: headers[name] for name in ("authorization", PAYMENT.lower()) if name in headers}
            for _, headers, _ in self.requests
        ]


BEARER_1 = {"authorization": "Bearer bearer-1"}
BOTH_1 = {**BEARER_1, "x-payment-authorization-token": "payment-1"}


def test_usps_gets_the_bearer(fetch):
    """A call to the app's own host carries Authorization, and nothing it does not need."""
    usps = Usps()
    assert fetch(usps, "GET", ADDRESS).status_code == 200
    assert usps.headers == [BEARER_1]


@pytest.mark.parametrize(
    "path",
    [
        "/labels/v3/label",
        "/labels/v3/label/420123",
        "/labels/v3/return-label",
        "/labels/v3/indicia/imb",
        "/labels/v3/branding",
        "/international-labels/v3/international-label",
    ],
)
def test_label_calls_get_the_payment_token_too(fetch, path):
    """Everything under /labels/ and /international-labels/ (USPS Labels 3.9.13)."""
    usps = Usps()
    fetch(usps, "POST", USPS + path, json={})
    assert usps.headers == [BOTH_1]


@pytest.mark.parametrize(
    "path", ["/", "/labelsome/v3", "/prices/labels/v3", "/payments/v3/x", "/x?y=/labels/"]
)
def test_other_calls_do_not(fetch, path):
    """A path that only resembles one gets no payment token."""
    usps = Usps()
    fetch(usps, "GET", USPS + path)
    assert usps.headers == [BEARER_1]


def test_payment_false_never_puts_it_on(fetch, broker):
    """A transport for calls without payment asks for no payment token."""
    usps = Usps()
    fetch(usps, "POST", LABEL, transport={"payment": False})
    assert usps.headers == [BEARER_1]
    assert all("payment" not in request.query for request in broker.requests)


def test_payment_by_name(fetch):
    """Another payment token takes its place."""
    usps = Usps()
    fetch(usps, "POST", LABEL, transport={"payment": "east"})
    assert usps.headers == [{**BEARER_1, "x-payment-authorization-token": "payment-east-1"}]


def test_payment_paths_can_be_named(fetch):
    """Who calls another API that wants the token names its path."""
    usps = Usps()
    fetch(usps, "POST", f"{USPS}/other/v3/label", transport={"payment_paths": ("/other",)})
    assert usps.headers == [BOTH_1]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/labels/v3/label",
        "https://apis.usps.com.evil.example/labels/v3/label",
        "https://evil.example@attacker.example/labels/",
        "https://apis.usps.com@evil.example/labels/",
        "http://apis.usps.com/labels/v3/label",
        "https://apis.usps.com:8443/labels/v3/label",
        "https://apis-tem.usps.com/labels/v3/label",
        "https://apis.usps.com./labels/v3/label",
    ],
)
def test_no_other_host_gets_a_token(fetch, url):
    """Another host, port or scheme, however alike, gets no header of ours."""
    usps = Usps()
    fetch(usps, "GET", url)
    name = usps.headers[0].get("authorization", "")
    # httpx makes Basic credentials of what stands before an @.
    assert not name.startswith("Bearer")
    assert PAYMENT.lower() not in usps.headers[0]


@pytest.mark.parametrize("url", ["https://APIS.usps.com/labels/x", f"{USPS}:443/labels/x"])
def test_the_same_host_in_other_words_is_the_same(fetch, url):
    """Case and the default port make no difference."""
    usps = Usps()
    fetch(usps, "GET", url)
    assert usps.headers == [BOTH_1]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_foreign_host_carries_nothing(fetch, status):
    """httpx follows, and what was put on for USPS stays behind."""
    usps = Usps(httpx.Response(status, headers={"Location": "https://evil.example/labels/v3/x"}))
    fetch(usps, "POST", LABEL, content=b"label")
    assert usps.headers == [BOTH_1, {}]
    assert [url for url, _, _ in usps.requests] == [LABEL, "https://evil.example/labels/v3/x"]


def test_a_redirect_away_and_back_puts_them_on_again(fetch):
    """Each hop is decided for itself."""
    usps = Usps(
        httpx.Response(307, headers={"Location": "https://cdn.example/x"}),
        httpx.Response(307, headers={"Location": ADDRESS}),
    )
    fetch(usps, "POST", LABEL, content=b"label")
    assert usps.headers == [BOTH_1, {}, BEARER_1]


def test_headers_the_caller_put_on_do_not_leave_usps(fetch, broker):
    """Even the caller's own headers() are taken off for a foreign host."""
    mine = TokenClient(broker.path).headers(payment=True)
    usps = Usps(httpx.Response(307, headers={"Location": "https://evil.example/"}))
    fetch(usps, "POST", LABEL, headers=mine)
    fetch(usps, "GET", "https://evil.example/", headers=mine)
    assert usps.headers == [BOTH_1, {}, {}]


def test_a_caller_s_own_authorization_elsewhere_is_left_alone(fetch):
    """Another service's credentials are not ours to touch."""
    usps = Usps()
    fetch(usps, "GET", "https://other.example/", headers={"Authorization": "Basic eA=="})
    assert usps.headers == [{"authorization": "Basic eA=="}]


def test_a_response_s_request_shows_no_token(fetch):
    """What the caller logs of its request is what it made."""
    response = fetch(Usps(), "POST", LABEL)
    assert "authorization" not in response.request.headers


def dead(**more):
    return httpx.Response(401, json={"error": {"code": "401"}}, **more)


def test_a_401_is_told_and_sent_once_more(fetch, renewing):
    """With the new headers, the same method and body; the caller sees the second answer."""
    usps = Usps(dead())
    response = fetch(usps, "POST", LABEL, content=b"the label")
    assert response.status_code == 200
    assert usps.headers == [BOTH_1, {**BOTH_1, "authorization": "Bearer bearer-2"}]
    assert [body for _, _, body in usps.requests] == [b"the label"] * 2
    [report] = renewing.reports
    assert report["status"] == 401
    assert report["path"] == "/labels/v3/label"
    assert report["host"] == "apis.usps.com"
    assert report["serials"] == {"bearer": 1001, "payment": 2001}
    assert report["payment"] == "default"
    assert '"401"' in report["body"]


def test_the_verdict_is_left_on_the_response(fetch, renewing):
    """Whoever wants to know finds it in the extensions."""
    response = fetch(Usps(dead()), "GET", ADDRESS)
    verdict = response.extensions["usps_token_verdict"]
    assert isinstance(verdict, Verdict)
    assert (verdict.outcome, verdict.retry) == ("renewed", True)


def test_an_answer_without_a_401_has_no_verdict(fetch, broker):
    """Nothing is told of other answers."""
    for status in (200, 400, 403, 404, 429, 500):
        response = fetch(Usps(httpx.Response(status)), "GET", ADDRESS)
        assert response.status_code == status
        assert "usps_token_verdict" not in response.extensions
    assert broker.reports == []


def test_a_second_401_is_told_but_not_sent_again(fetch, renewing):
    """One retry, whatever comes; the broker hears of the new token too."""
    usps = Usps(dead(), dead())
    response = fetch(usps, "GET", ADDRESS)
    assert response.status_code == 401
    assert len(usps.requests) == 2
    assert [report["serials"]["bearer"] for report in renewing.reports] == [1001, 1002]
    assert response.extensions["usps_token_verdict"].outcome == "throttled"


def test_a_verdict_against_a_retry_is_obeyed(fetch, broker):
    """The caller gets USPS's own answer, and the verdict beside it."""
    broker.verdict = {
        "code": "scope_missing", "detail": "d", "fix": "f", "retry": False,
        "outcome": "not_the_token",
    }  # fmt: skip
    usps = Usps(dead())
    response = fetch(usps, "GET", ADDRESS)
    assert response.status_code == 401
    assert response.json() == {"error": {"code": "401"}}
    assert response.extensions["usps_token_verdict"].code == "scope_missing"
    assert len(usps.requests) == 1


def test_a_body_that_cannot_be_sent_again_is_not(fetch, renewing):
    """A stream is used up: the 401 is told, and the caller gets it."""
    usps = Usps(dead())

    def pieces():
        yield b"piece"

    async def async_pieces():
        yield b"piece"

    content = pieces() if fetch.client is TokenClient else async_pieces()
    answer = usps if fetch.client is TokenClient else reading(usps)
    response = fetch(answer, "POST", LABEL, content=content)
    assert response.status_code == 401
    assert len(usps.requests) == 1
    assert len(renewing.reports) == 1
    assert response.extensions["usps_token_verdict"].retry


def reading(usps):
    async def answer(request):
        await request.aread()
        return usps(request)

    return answer


def test_the_broker_being_away_does_not_hide_the_401(fetch, broker):
    """USPS's answer reaches the caller, with the reason why nothing was done."""
    plain = broker.answer
    broker.always = lambda request: (
        problem(400, "bad_request") if request.path == "/v1/answers" else plain(request)
    )
    response = fetch(Usps(dead()), "GET", ADDRESS)
    assert response.status_code == 401
    assert response.json() == {"error": {"code": "401"}}
    assert isinstance(response.extensions["usps_token_error"], TokenDenied)


def test_without_a_token_nothing_is_sent(fetch, broker):
    """A request that could only fail raises the broker's reason instead."""
    broker.always = problem(502, "credentials_refused")
    usps = Usps()
    with pytest.raises(BrokerError, match="credentials_refused"):
        fetch(usps, "GET", ADDRESS)
    assert usps.requests == []


def test_a_401_of_a_foreign_host_is_not_told(fetch, broker):
    """Somebody else's refusal says nothing of our token."""
    response = fetch(Usps(dead()), "GET", "https://other.example/")
    assert response.status_code == 401
    assert broker.reports == []


def test_a_compressed_body_is_told_as_text(fetch, renewing):
    """The broker sees what USPS said, the caller what USPS sent."""
    text = b'{"fault": "token"}'
    packed = httpx.Response(
        401, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(gzip.compress(text))
    )
    renewing.always = None
    renewing.verdict = {
        "code": "c", "detail": "d", "fix": "f", "retry": False, "outcome": "failed",
    }  # fmt: skip
    response = fetch(Usps(packed), "GET", ADDRESS)
    assert response.content == text
    assert renewing.reports[0]["body"] == text.decode()


def test_a_broken_encoding_is_the_caller_s_to_meet(fetch, broker):
    """What cannot be unpacked is told without a body."""
    broker.verdict = {
        "code": "c", "detail": "d", "fix": "f", "retry": False, "outcome": "failed",
    }  # fmt: skip
    packed = httpx.Response(
        401, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"not gzip")
    )
    with pytest.raises(httpx.DecodingError):
        fetch(Usps(packed), "GET", ADDRESS)
    assert broker.reports[0]["body"] == ""


def test_a_static_client_works_as_well(fetch):
    """Tokens without a broker go to the host they were given for."""
    client = fetch.client.static(bearer="b", payment="p", base_url="https://apis-tem.usps.com")
    usps = Usps(dead())
    response = fetch(usps, "GET", "https://apis-tem.usps.com/labels/v3/x", client=client)
    assert response.status_code == 401
    assert response.extensions["usps_token_verdict"].outcome == "failed"
    assert usps.headers == [{"authorization": "Bearer b", "x-payment-authorization-token": "p"}]
    fetch(usps, "GET", LABEL, client=client)
    assert usps.headers[-1] == {}


# --- over a real connection


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.seen.append(
            (self.path, self.headers.get("Authorization"), self.headers.get(PAYMENT))
        )
        refuse = self.headers.get("Authorization") == "Bearer bearer-1"
        body = b"x" * server.size if refuse else b"fine"
        self.send_response(401 if refuse else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's name for it

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def loopback(size):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.seen, server.size = [], size
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


def over_the_wire(fetch, broker, url, **more):
    if fetch.client is TokenClient:
        with httpx.Client(transport=TokenClient(broker.path).transport()) as http:
            return http.post(url, **more)

    async def main():
        transport = AsyncTokenClient(broker.path).transport()
        async with httpx.AsyncClient(transport=transport) as http:
            return await http.post(url, **more)

    return asyncio.run(main())


@pytest.mark.parametrize("size", [0, 100, 1_000_000])
def test_a_renewed_token_over_a_real_connection(fetch, renewing, size):
    """Plain http to the base URL's own host is ours; body and retry work on a real socket."""
    with loopback(size) as (server, url):
        renewing.base_url = url
        response = over_the_wire(fetch, renewing, f"{url}/labels/v3/label", content=b"label")
        assert (response.status_code, response.text) == (200, "fine")
        assert server.seen == [
            ("/labels/v3/label", "Bearer bearer-1", "payment-1"),
            ("/labels/v3/label", "Bearer bearer-2", "payment-1"),
        ]
    assert len(renewing.reports[0]["body"]) == min(size, 4096)


@pytest.mark.parametrize("size", [0, 100, 1_000_000])
def test_a_refused_answer_can_be_read_whole(fetch, broker, size):
    """What was peeked at for the report is still there for the caller."""
    broker.verdict = {
        "code": "c", "detail": "d", "fix": "f", "retry": False, "outcome": "not_the_token",
    }  # fmt: skip
    with loopback(size) as (_, url):
        broker.base_url = url
        response = over_the_wire(fetch, broker, f"{url}/x")
        assert response.content == b"x" * size
    assert response.is_closed


def test_a_streamed_refusal_can_be_left_unread(broker):
    """A caller that streams and does not read leaves no connection behind."""
    broker.verdict = {
        "code": "c", "detail": "d", "fix": "f", "retry": False, "outcome": "not_the_token",
    }  # fmt: skip
    with loopback(1_000_000) as (_, url):
        broker.base_url = url
        with httpx.Client(transport=TokenClient(broker.path).transport()) as http:
            with http.stream("GET", f"{url}/x") as response:
                assert response.status_code == 401
            assert http._transport._base._pool.connections == []


def test_a_prefix_in_the_base_url_is_not_part_of_the_path(fetch, broker):
    """Behind a gateway, label calls are recognised after its prefix."""
    broker.base_url = "https://gateway.example/usps"
    usps = Usps()
    fetch(usps, "POST", "https://gateway.example/usps/labels/v3/label")
    fetch(usps, "POST", "https://gateway.example/labels/v3/label")
    assert usps.headers == [BOTH_1, BEARER_1]
