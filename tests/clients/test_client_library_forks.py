"""A session that was used before a fork, as with a preloaded application, and then in the child."""

from __future__ import annotations

import contextlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import requests
from scripted_broker import untraced_fork

from usps_token_client import TokenClient


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.peers.append(self.client_address)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def usps(broker):
    """A host that keeps connections open, and notes by which a call came."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.peers = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    broker.base_url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@contextlib.contextmanager
def _httpx(tokens):
    with httpx.Client(transport=tokens.transport()) as http:
        yield lambda url: http.get(url).status_code


@contextlib.contextmanager
def _requests(tokens):
    with requests.Session() as session:
        session.trust_env = False
        tokens.session(session)
        yield lambda url: session.get(url).status_code


@contextlib.contextmanager
def _urllib3(tokens):
    with tokens.pool_manager() as manager:
        yield lambda url: manager.request("GET", url).status


@pytest.mark.parametrize("library", [_httpx, _requests, _urllib3])
def test_a_child_calls_by_a_connection_of_its_own(broker, usps, library):
    """On its parent's each would get answers for the other; the parent's stays open."""
    with library(TokenClient(broker.path)) as call:
        assert call(broker.base_url) == 200
        child = untraced_fork()
        if child == 0:
            try:
                os._exit(0 if call(broker.base_url) == call(broker.base_url) == 200 else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert call(broker.base_url) == 200
    first, second, third, fourth = usps.peers
    assert first == fourth
    assert second == third != first
