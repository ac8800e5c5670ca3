"""Clients that are slow, greedy, broken or killed: others are served, nothing is left behind."""

import contextlib
import json
import os
import resource
import select
import signal
import socket

import pytest
from identities import Identity, as_identity, exchange, request
from processes import Home, Usps, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a broker")

BEARER = request("/v1/tokens/bearer")
OTHER = Identity(54001, 54001)
STATES = {
    "connected": b"",
    "in the middle of a head": b"GET /v1/tokens/bearer HTTP/1.1\r\nHost:",
    "in the middle of a body": b"POST /v1/answers HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
    "waiting for a token": b"GET /v1/tokens/payment?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n",
    "reading a stream": b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
    "with answers unread": 60 * b"GET /v1/tokens/bearer HTTP/1.1\r\nHost: x\r\n\r\n",
}
PER_UID = 1024
"""Connections that one user may have."""
WAITING = {"waiting for a token": 512, "reading a stream": 16}
"""States that the broker counts as waiting, and how many one user may have."""
MORE_BYTES = 16 * 2**20
"""What the allocator may keep of what crowds took."""


@pytest.fixture(scope="module")
def home():
    """A broker that holds a bearer; its payment token never comes, so that callers wait for it."""
    with Usps("--fault", "hang@payment-authorization") as usps:
        home = Home(usps.base_url, bearer=f"users = [{OTHER.uid}]", app="timeout_seconds = 60")
        with home.broker() as broker:
            home.token()
            home.process = broker
            yield home
        home.remove()


@pytest.fixture(autouse=True)
def many_descriptors():
    """This process plays thousands of clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def unharmed(home):
    """Afterwards the broker lives, serves another user, and has as many descriptors as before."""
    before, resident = descriptors(home), resident_bytes(home)
    yield
    assert served(home)
    until(lambda: descriptors(home) <= before, lambda: f"{descriptors(home)} of {before}")
    assert resident_bytes(home) < resident + MORE_BYTES
    assert json.loads(home.get("/healthz")[2])["alive"]
    assert "Traceback" not in home.process.errors()


def descriptors(home):
    return len(list(home.process.proc("fd").iterdir()))


def resident_bytes(home):
    pages = int(home.process.proc("statm").read_text().split()[1])
    return pages * resource.getpagesize()


def counted(home):
    """This user's connections, and requests that are not over, by the broker's own books."""
    peers = json.loads(home.ask("GET", "/v1/status", admin=True)[2])["peers"]
    ours = [peer for peer in peers if peer["uid"] == os.geteuid()]
    not_over = sum(peer["waiting"] + peer["streams"] for peer in ours)
    return sum(peer["connections"] for peer in ours), not_over


def until_there(home, count, state):
    """Wait until so many more clients are where they should be, as the broker sees it."""
    waiting = count if state in WAITING else 0

    def are_there():
        connections, now_waiting = counted(home)
        return connections >= count and now_waiting >= waiting

    until(are_there, lambda: f"{counted(home)} of {count}")


def served(home):
    """Whether another user gets its token."""
    said = as_identity(OTHER, lambda: exchange(str(home.socket), [BEARER]))
    return said.startswith(b"HTTP/1.1 200")


def readable(clients):
    """How many have an answer, or a piece of one, to read."""
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN)
    return len(poll.poll(0))


def connected(home, sent=b""):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    until(lambda: client.connect_ex(str(home.socket)) == 0)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused already
        client.sendall(sent)
    return client


@contextlib.contextmanager
def many(home, count, sent):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connected(home, sent)) for _ in range(count)]


@pytest.mark.parametrize("state", STATES)
def test_a_client_killed_in_any_state_leaves_nothing_behind(home, unharmed, state, rounds, tried):
    """SIGKILL: the kernel closes for it."""
    times = rounds(3, 50)
    for _ in range(times):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException), connected(home, STATES[state]):
                os.write(writing, b"x")
                signal.pause()
            os._exit(1)
        os.close(writing)
        assert os.read(reading, 1) == b"x"
        os.close(reading)
        until_there(home, 1, state)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    tried("client killed in mid-call", times, times + 4)


@pytest.mark.parametrize("state", STATES)
def test_many_clients_that_stay_in_a_state_keep_nobody_else_waiting(
    home, unharmed, state, rounds, tried, figure
):
    """Half a request, an answer that nobody reads, a stream: another user is served meanwhile."""
    count = min(rounds(100, 900), WAITING.get(state, PER_UID))
    with many(home, count, STATES[state]) as clients:
        until_there(home, count, state)
        before = readable(clients)
        assert served(home)
        figure(f"clients {state} answered before another user was", readable(clients) - before)
    tried("clients that stay where they are", count, 5)


def test_two_thousand_connections_of_one_user_keep_nobody_out(home, unharmed, rounds, tried):
    """Those beyond a user's share are told so; another user is served."""
    count = rounds(1100, 2000)
    with many(home, count, b"") as clients:
        refused = [client for client in clients[PER_UID:] if b"too_many_requests" in read(client)]
        assert len(refused) >= count - PER_UID - 1
        assert served(home)
    tried("connections of one user, up to 2,000 at once", count, 6)


def read(client):
    with contextlib.suppress(ConnectionError):
        return client.recv(65536)
    return b""


def test_connections_that_come_and_go_leave_nothing_behind(home, unharmed, rounds, tried):
    """Closed at once, with and without a request."""
    count = rounds(1000, 20_000)
    for number in range(count):
        connected(home, BEARER if number % 2 else b"").close()
    tried("connections that come and go", count, 4)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + 70_000 * b"a" + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + 3000 * b"X-A: b\r\n" + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + 200_000 * b"a",
        200_000 * b"a",
        b"\x16\x03\x01" + 500 * b"\x00",
        b"\r\n" * 50_000,
    ],
    ids=["path", "fields", "field without end", "no request", "TLS", "line ends"],
)
def test_a_head_beyond_all_bounds_is_refused(home, unharmed, head, tried):
    """With an answer that the client gets to read, though it has not sent all."""
    with connected(home) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(head)
            client.shutdown(socket.SHUT_WR)
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    tried("a head beyond all bounds", 1, 5)


def test_answers_to_pipelined_requests_come_in_order(home, unharmed, dice, rounds, tried):
    """Cut anywhere on their way."""
    times = rounds(5, 200)
    for _ in range(times):
        paths = dice.choices(["/healthz", "/v1/tokens/bearer", "/nowhere"], k=40)
        sent = b"".join(f"GET {p} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for p in paths)
        cuts = sorted(dice.choices(range(len(sent)), k=5))
        with connected(home) as client:
            for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
                client.sendall(sent[begin:end])
            client.shutdown(socket.SHUT_WR)
            said = b""
            while more := client.recv(65536):
                said += more
        statuses = [404 if p == "/nowhere" else 200 for p in paths]
        assert [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]] == statuses
    tried("pipelined requests, cut anywhere", times, times + 4)


def test_a_broker_that_is_stopped_costs_a_caller_its_own_deadline_and_no_more(
    home, unharmed, tried
):
    """SIGSTOP with callers in the backlog: they give up in time; after SIGCONT all is as before."""
    from usps_token_client import BrokerError, TokenClient  # noqa: PLC0415 - the shim, as it is used

    os.kill(home.process.process.pid, signal.SIGSTOP)
    try:
        for _ in range(5):
            with pytest.raises(BrokerError):
                TokenClient(str(home.socket), timeout=0.2).bearer()
    finally:
        os.kill(home.process.process.pid, signal.SIGCONT)
    assert TokenClient(str(home.socket)).bearer().value
    tried("a broker stopped and continued", 5, 7)


def test_a_limit_of_the_configuration_holds(tried):
    """Whoever meets it is told its name, and the user beside it is not touched."""
    with Usps() as usps:
        home = Home(usps.base_url, bearer=f"users = [{OTHER.uid}]")
        try:
            with home.config.open("a") as config:
                config.write("\n[limits]\nconnections_per_uid = 3\n")
            with home.broker():
                until(lambda: home.get("/v1/tokens/bearer")[0] == 200)
                # More than four: the one before them may not have been seen to leave yet.
                with many(home, 6, b"") as crowd:
                    refused = until(lambda: select.select(crowd, [], [], 0)[0])
                    said = read(refused[0])
                    assert b"too_many_requests" in said
                    assert b"limits.connections_per_uid" in said
                    assert served(home)
        finally:
            home.remove()
    tried("a limit of the configuration, met by a client", 1, 3)
