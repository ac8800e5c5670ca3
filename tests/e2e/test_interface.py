"""The local interface of a real broker, byte for byte, and under rough handling."""

import http.client
import json
import os
import signal
import socket

import pytest
from identities import exchange, request
from processes import Home, Usps, until

BEARER = "/v1/tokens/bearer"


@pytest.fixture(scope="module")
def shop():
    """One broker with both tokens for all tests here that leave it as it was."""
    with Usps() as usps:
        home = Home(usps.base_url)
        with home.broker() as broker:
            home.token("payment")
            home.process = broker
            yield home
        home.remove()


def connect(home):
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(30)
    connected.connect(str(home.socket))
    return connected


def say(home, *sent):
    """Status, and the JSON of what is answered to these bytes."""
    head, _, body = exchange(str(home.socket), sent).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


# -- what clients rely on -------------------------------------------------------------------------


def test_a_connection_is_kept_for_as_many_requests_as_one_likes(shop):
    """HTTP/1.1 as any library speaks it; the ETag of one answer is good for the next."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = connect(shop)
    connection.request("GET", BEARER)
    first = connection.getresponse()
    assert first.status == 200
    assert json.loads(first.read())["slot"] == "bearer"
    for _ in range(50):
        connection.request("GET", BEARER, headers={"If-None-Match": first.headers["ETag"]})
        response = connection.getresponse()
        assert (response.status, response.read()) == (304, b"")
    connection.close()


def test_head_has_the_headers_and_no_body(shop):
    """With the length that GET would have."""
    answer = exchange(str(shop.socket), [request(BEARER, "HEAD")])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
    assert int(length.split(b":")[1]) > 500


def test_requests_may_be_sent_all_at_once(shop):
    """Pipelined, they are answered in their order."""
    sent = [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 20, request("/nope")]
    answer = exchange(str(shop.socket), sent)
    assert answer.count(b"HTTP/1.1 200 OK") == 20
    assert answer.rpartition(b"HTTP/1.1 ")[2].startswith(b"404")


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/nope", 404, "not_found"),
        ("DELETE", BEARER, 405, "method_not_allowed"),
        ("GET", f"{BEARER}?minvalid=5", 400, "bad_request"),
        ("GET", f"{BEARER}?min_valid=5000", 400, "bad_request"),
        ("GET", f"{BEARER}?scope=nope", 403, "scope_missing"),
        ("GET", f"{BEARER}?app=nope", 404, "unknown_app"),
        ("GET", "/v1/tokens/payment-nope", 404, "unknown_slot"),
        ("GET", "/%zz", 400, "bad_request"),
        ("POST", "/v1/answers", 400, "bad_request"),
    ],
)
def test_a_refusal_is_a_problem_document(shop, method, target, status, code):
    """RFC 9457, with what happened and what to do."""
    answered, headers, body = shop.ask(method, target)
    assert headers["Content-Type"] == "application/problem+json"
    said = json.loads(body)
    assert (answered, said["status"], said["code"]) == (status, status, code)
    assert said["detail"]
    assert said["fix"]


def test_ready_and_alive(shop):
    """For a monitor."""
    assert shop.get("/readyz")[0] == 200
    assert shop.get("/healthz")[0] == 200
    assert shop.status()["ready"] is True


def test_not_ready_until_there_is_a_bearer(usps, home):
    """Alive all the same: a restart would not help."""
    usps.ask("POST", "/sim/faults", {"name": "hold", "endpoint": "token"})
    with home.broker():
        assert home.get("/readyz")[0] == 503
        assert home.get("/healthz")[0] == 200
        usps.ask("DELETE", "/sim/faults")
        home.token()
        assert home.get("/readyz")[0] == 200


# -- rough handling -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b'{"token": "bearer"}\n',
        b"GET\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"POST /v1/answers HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"POST /v1/answers HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
    ],
)
def test_garbage_is_a_bad_request_and_harms_nobody_else(shop, garbage):
    """It is said in JSON, with what to do; the next one is served."""
    status, said = say(shop, garbage)
    assert status == 400
    assert said["code"] in ("bad_request", "too_large")
    assert said["fix"]
    assert shop.token()["slot"] == "bearer"


def test_half_a_request_that_ends_is_forgotten(shop):
    """Clients die."""
    for _ in range(50):
        connected = connect(shop)
        connected.sendall(b"GET /v1/tokens/bea")
        connected.close()
    assert shop.token()["slot"] == "bearer"
    assert "Traceback" not in shop.process.errors()


def test_two_hundred_connections_while_it_starts_are_all_served(usps, home):
    """Opened before it has imported what it needs to fetch; one call, one token for all."""
    usps.ask("POST", "/sim/faults", {"name": "hold", "endpoint": "token"})
    with home.broker():
        crowd = [connect(home) for _ in range(200)]
        for connected in crowd:
            connected.sendall(request(f"{BEARER}?wait=60"))
        until(lambda: home.status()["waiting"] == 200, home.status)
        usps.ask("DELETE", "/sim/faults")
        serials = set()
        for connected in crowd:
            answer = b""
            while more := connected.recv(65536):
                answer += more
            serials.add(json.loads(answer.partition(b"\r\n\r\n")[2])["serial"])
            connected.close()
    assert len(serials) == 1
    assert usps.calls("token") == 1


def test_clients_that_are_killed_while_they_wait_leave_nothing_behind(usps, home):
    """The flight goes on, the waiters are withdrawn, and the next one gets the token."""
    usps.ask("POST", "/sim/faults", {"name": "hold", "endpoint": "token"})
    with home.broker() as broker:
        children = []
        for _ in range(20):
            child = os.fork()
            if child == 0:
                try:
                    exchange(str(home.socket), [request(f"{BEARER}?wait=60")])
                finally:
                    os._exit(0)
            children.append(child)
        until(lambda: home.status()["waiting"] == 20, home.status)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        until(lambda: home.status()["waiting"] == 0, home.status)
        usps.ask("DELETE", "/sim/faults")
        assert home.token()["slot"] == "bearer"
        assert "Traceback" not in broker.errors()
    assert usps.calls("token") == 1


def test_one_uid_with_too_many_waiting_requests_is_told_so(usps, home):
    """Six hundred at once from one broken worker: those beyond 512 hear 429 and when to come."""
    usps.ask("POST", "/sim/faults", {"name": "hold", "endpoint": "token"})
    with home.broker():
        crowd = [connect(home) for _ in range(520)]
        for connected in crowd:
            connected.sendall(request(f"{BEARER}?wait=60"))
        answer = crowd[-1].recv(65536)
        assert answer.startswith(b"HTTP/1.1 429")
        assert b"Retry-After: 1" in answer
        assert b'"too_many_requests"' in answer
        usps.ask("DELETE", "/sim/faults")
        assert crowd[0].recv(65536).startswith(b"HTTP/1.1 200")
        for connected in crowd:
            connected.close()
