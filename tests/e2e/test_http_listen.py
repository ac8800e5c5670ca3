"""`http.listen` of a real broker, asked by a real curl."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from free_port import free_port, has_ipv6
from processes import Home, Process, Usps, until

from usps_token_broker.app.http_door import LIMITS

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def listening(home, address):
    """The same configuration, with a port."""
    text = home.config.read_text()
    home.config.write_text(
        text.replace("[apps.default]", f'[http]\nlisten = "{address}"\n\n[apps.default]', 1)
    )


@pytest.fixture(scope="module")
def shop():
    """One broker with both tokens and a port, for all tests here that leave it as it was."""
    with Usps() as usps, free_port() as port:
        home = Home(usps.base_url)
        listening(home, f"127.0.0.1:{port}")
        with home.broker() as broker:
            home.token("payment")
            home.process, home.port = broker, port
            yield home
        home.remove()


def told(home):
    """What `status` prints."""
    command = [sys.executable, "-m", "usps_token_broker", "status", "--socket", str(home.socket)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def curl(*arguments):
    """Status and body."""
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "30", "-w", "\n%{http_code}", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@needs_curl
def test_a_monitor_gets_health_readiness_and_figures(shop):
    """As kubelet and Prometheus ask."""
    url = f"http://127.0.0.1:{shop.port}"
    assert curl(f"{url}/healthz")[0] == curl(f"{url}/readyz")[0] == 200
    status, figures = curl(f"{url}/metrics")
    assert status == 200
    assert 'usps_token_broker_slot_ready{app="default",slot="payment"} 1.0' in figures
    assert curl("-I", f"{url}/metrics")[0] == 200


@needs_curl
@pytest.mark.parametrize("path", ["/v1/tokens/bearer", "/v1/headers", "/v1/status", "/v1/reload"])
def test_no_token_and_no_order_goes_over_tcp(shop, path):
    """Not even to root, who is nobody there."""
    secrets = [shop.token(slot)["token"] for slot in ("bearer", "payment")]
    for method in ("GET", "POST"):
        status, body = curl("-X", method, f"http://127.0.0.1:{shop.port}{path}")
        assert status == 404
        assert "on the Unix socket only" in json.loads(body)["detail"]
        assert not [secret for secret in secrets if secret in body]


@needs_curl
def test_nothing_that_it_says_tells_a_secret_or_a_client_id(shop):
    """All that it serves, put together."""
    hidden = [shop.token(slot)["token"] for slot in ("bearer", "payment")]
    hidden += ["demo-client-id", "demo-client-secret", "12345678", "1000000001", str(shop.folder)]
    url = f"http://127.0.0.1:{shop.port}"
    for path in ("/healthz", "/readyz", "/metrics", "/nope"):
        _, body = curl("-i", f"{url}{path}")
        assert not [word for word in hidden if word in body]


@needs_curl
def test_a_name_of_a_page_in_a_browser_is_refused(shop):
    """As curl sends it when a name was made to stand for this machine."""
    pointed = f"evil.example:{shop.port}:127.0.0.1"
    status, body = curl("--resolve", pointed, f"http://evil.example:{shop.port}/metrics")
    assert (status, json.loads(body)["code"]) == (403, "forbidden")


def test_status_and_log_say_where(shop):
    """For who looks for it."""
    assert shop.status()["http_listen"] == f"127.0.0.1:{shop.port}"
    until(lambda: f"health and figures on http://127.0.0.1:{shop.port}" in shop.process.errors())
    assert f"health and figures: http://127.0.0.1:{shop.port}\n" in told(shop)


def test_a_second_broker_on_the_port_ends_with_73(shop, usps):
    """The key, the address and what to do, and no traceback."""
    other = Home(usps.base_url)
    try:
        listening(other, f"127.0.0.1:{shop.port}")
        with Process("usps_token_broker", "run", "--config", str(other.config)) as broker:
            assert broker.process.wait(30) == 73
            errors = broker.errors()
    finally:
        other.remove()
    assert f"http.listen: cannot listen on 127.0.0.1:{shop.port}: Address already in use" in errors
    assert "set http.listen to another port" in errors
    assert "Traceback" not in errors


def test_a_reload_that_moves_it_is_refused(shop):
    """Whole, and what was is served on."""
    before = shop.config.read_text()
    shop.config.write_text(before.replace(f"127.0.0.1:{shop.port}", "127.0.0.1:1"))
    try:
        status, _, body = shop.ask("POST", "/v1/reload", admin=True)
    finally:
        shop.config.write_text(before)
    assert status == 422
    [problem] = json.loads(body)["problems"]
    assert problem["key"] == "http.listen"
    with socket.create_connection(("127.0.0.1", shop.port), 30):
        pass


def test_check_says_the_address_and_warns_of_one_that_others_reach(usps, home):
    """And still says ok: a pod needs it."""
    listening(home, "0.0.0.0:9842")
    done = home.command("check")
    assert done.returncode == 0
    assert re.search(r"^http +0\.0\.0\.0:9842: ", done.stdout, re.MULTILINE)
    assert "warning: http.listen: 0.0.0.0:9842 can be reached from outside" in done.stderr


@needs_curl
@needs_ipv6
def test_ipv6(home):
    """With brackets, as in a URL."""
    with free_port("::1") as port:
        listening(home, f"[::1]:{port}")
        with home.broker():
            home.token()
            assert curl("-g", f"http://[::1]:{port}/readyz")[0] == 200


@needs_curl
def test_the_variable_does_it_on_every_address(home):
    """As in a container; a monitor may know the host by a name."""
    with (
        free_port("0.0.0.0") as port,
        home.broker({"USPS_TOKEN_HTTP_LISTEN": f"0.0.0.0:{port}"}),
    ):
        home.token()
        pointed = f"broker.example:{port}:127.0.0.1"
        assert curl("--resolve", pointed, f"http://broker.example:{port}/readyz")[0] == 200


def test_idle_visitors_do_not_keep_the_broker_from_ending(home):
    """Told to end it ends, and the port is free for the next."""
    with free_port() as port:
        listening(home, f"127.0.0.1:{port}")
        for _ in range(2):
            with home.broker() as broker:
                home.token()
                with socket.create_connection(("127.0.0.1", port), 30) as idle:
                    idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    assert idle.recv(65536).startswith(b"HTTP/1.1 200")
                    assert broker.kill(signal.SIGTERM) == 0
                    assert idle.recv(1) == b""


@needs_curl
def test_visitors_who_stay_and_ask_nothing_keep_no_monitor_out(shop):
    """Nor do those who were answered: it is refused once, and then there is room."""
    taken = [
        socket.create_connection(("127.0.0.1", shop.port), 30)
        for _ in range(LIMITS.connections_per_uid)
    ]
    try:
        for one in taken[::2]:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200")
        until(lambda: curl(f"http://127.0.0.1:{shop.port}/healthz")[0] == 200)
        for one in taken:
            one.settimeout(5)
            assert one.recv(1) == b""
    finally:
        for one in taken:
            one.close()


def test_visitors_who_take_all_they_get_keep_no_worker_waiting(home):
    """Their limit is their own; the socket has others."""
    with free_port() as port:
        listening(home, f"127.0.0.1:{port}")
        with home.broker():
            taken = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(200)]
            try:
                assert home.token()["token"]
                with socket.create_connection(("127.0.0.1", port), 30) as late:
                    said = b"".join(iter(lambda: late.recv(65536), b""))
                assert b"this address already has 32 connections" in said
            finally:
                for one in taken:
                    one.close()
