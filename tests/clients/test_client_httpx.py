"""The httpx transports over other transports, and on a socket that they do not know of."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from scripted_broker import DEADLINE_SECONDS

from usps_token_client import AsyncTokenClient, TokenClient

httpx = pytest.importorskip("httpx")

PAYMENT = "X-Payment-Authorization-Token"
ADDRESS = "https://apis.usps.com/addresses/v3/address?city=X"


def test_somebody_else_s_stream_is_not_sent_again(renewing):
    """It may be used up, whatever it is made of."""

    class OneWay(httpx.SyncByteStream):
        def __init__(self):
            self._stream = io.BytesIO(b"label")

        def __iter__(self):
            yield from self._stream

    transport = TokenClient(renewing.path).transport(
        httpx.MockTransport(lambda _: httpx.Response(401))
    )
    request = httpx.Request("POST", ADDRESS, stream=OneWay())
    with httpx.Client(transport=transport) as http:
        response = http.send(request)
    assert response.status_code == 401
    assert "not sent again" in response.extensions["usps_token_note"]


def test_a_call_given_up_while_it_is_judged_leaves_nothing_open(broker):
    """A worker's own timeout, while the broker asks USPS: each would take one from the pool."""
    asked, over = threading.Event(), threading.Event()
    plain = broker.answer

    def answer(request):
        if request.path == "/v1/answers":
            asked.set()
            over.wait(DEADLINE_SECONDS)
        return plain(request)

    class Body(httpx.AsyncByteStream):
        closed = False

        async def __aiter__(self):
            yield b"refused"

        async def aclose(self):
            self.closed = True

    async def main():
        body = Body()
        base = httpx.MockTransport(lambda _: httpx.Response(401, stream=body))
        over_us = AsyncTokenClient(broker.path).transport(base)
        async with httpx.AsyncClient(transport=over_us) as http:
            call = asyncio.ensure_future(http.get(ADDRESS))
            await asyncio.to_thread(asked.wait, DEADLINE_SECONDS)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        return body.closed

    broker.always = answer
    try:
        assert asyncio.run(main())
    finally:
        over.set()


def test_a_call_interrupted_while_it_is_judged_leaves_nothing_open(monkeypatch, broker):
    """By Ctrl-C, or by a Timeout of gevent."""

    class Body(httpx.SyncByteStream):
        closed = False

        def __iter__(self):
            yield b"refused"

        def close(self):
            self.closed = True

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    body = Body()
    tokens = TokenClient(broker.path)
    monkeypatch.setattr(TokenClient, "report", interrupt)
    base = httpx.MockTransport(lambda _: httpx.Response(401, stream=body))
    with (
        httpx.Client(transport=tokens.transport(base)) as http,
        pytest.raises(KeyboardInterrupt),
    ):
        http.get(ADDRESS)
    assert body.closed


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


def over_the_wire(way, broker, url, **more):
    if way == "sync":
        with httpx.Client(transport=TokenClient(broker.path).transport()) as http:
            return http.post(url, **more)

    async def main():
        transport = AsyncTokenClient(broker.path).transport()
        async with httpx.AsyncClient(transport=transport) as http:
            return await http.post(url, **more)

    return asyncio.run(main())


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("size", [0, 100, 1_000_000])
def test_a_renewed_token_over_a_real_connection(way, renewing, size):
    """Plain http to the base URL's own host is ours; body and retry work on a real socket."""
    with loopback(size) as (server, url):
        renewing.base_url = url
        response = over_the_wire(way, renewing, f"{url}/labels/v3/label", content=b"label")
        assert (response.status_code, response.text) == (200, "fine")
        assert server.seen == [
            ("/labels/v3/label", "Bearer bearer-1", "payment-1"),
            ("/labels/v3/label", "Bearer bearer-2", "payment-1"),
        ]
    assert len(renewing.reports[0]["body"]) == min(size, 4096)


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
