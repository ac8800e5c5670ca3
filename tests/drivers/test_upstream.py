"""The two calls to USPS, against servers that behave as badly as servers do."""

import gzip
import json
import socket
import ssl
import subprocess
import sys

import anyio
import pytest
import trustme
from no_descriptors import none_left
from usps_peer import Connection, Peer, Script, answering, peer, whole
from usps_tokens import LIVE, oauth_error, payment_answer, token_answer

from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import Secret
from usps_token_broker.drivers.upstream import Upstream, faults, load, trust
from usps_token_broker.drivers.upstream.flight import Flight, Stage

pytestmark = pytest.mark.anyio

SECRET = Secret("canary-5ecret")
ROLES = ({"roleName": "PAYER", "CRID": "12345678"}, {"roleName": "LABEL_OWNER"})
DATE = "Wed, 28 May 2025 13:31:51 GMT"
DATE_AT = 1_748_439_111.0
SHORT_SECONDS = 0.5
"""A deadline that is meant to strike: the server never answers."""
GRANT = answering(200, token_answer(), {"Date": DATE})


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """The first import of httpx may take longer than a short deadline."""
    load()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """The environment of the developer is no part of a test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    trust.forget()


@pytest.fixture(scope="module")
def authority():
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    """Its certificate, in a file."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """TLS of a server with this name."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


def upstream(url: str, timeout_seconds: float = 30.0, **more) -> Upstream:
    """A driver whose clock stands 90 s behind USPS's."""
    return Upstream(url, timeout_seconds, wall=lambda: DATE_AT - 90, **more)


async def fetch(url: str, timeout_seconds: float = 30.0, **more) -> Grant | Failure:
    """One call of the token endpoint."""
    return await upstream(url, timeout_seconds, **more).fetch_bearer("an-id", SECRET)


async def fetched(script: Script, timeout_seconds: float = 30.0) -> tuple[Grant | Failure, Peer]:
    """One call of the token endpoint of a server that follows this script."""
    async with peer(script) as server:
        return await fetch(server.url, timeout_seconds), server


def failed(outcome: Grant | Failure, kind: FailureKind) -> str:
    """The detail of a failure of this kind, which holds no secret."""
    assert isinstance(outcome, Failure), outcome
    assert (outcome.kind, outcome.code) == (kind, Code.UPSTREAM_UNAVAILABLE)
    assert SECRET.reveal() not in repr(outcome)
    assert outcome.fix
    return outcome.detail


# -- what is sent and what is made of it ----------------------------------------------------------


async def test_fetches_a_bearer():
    """The grant carries the token, its life, its scopes and the skew."""
    outcome, _ = await fetched(GRANT)
    assert outcome == Grant(
        Secret(LIVE), 28_799.0, scopes=("addresses", "payments", "labels"), skew_seconds=90.0
    )


async def test_fetches_a_payment_token():
    """With the bearer in the header and the roles as they are configured."""
    async with peer(answering(200, payment_answer())) as server:
        outcome = await upstream(server.url).fetch_payment(Secret("a-bearer"), ROLES)
    request = server.requests[0]
    assert outcome == Grant(Secret(LIVE), 28_800.0)
    assert request.line == "POST /payments/v3/payment-authorization HTTP/1.1"
    assert request.headers["authorization"] == "Bearer a-bearer"
    assert request.json() == {"roles": list(ROLES)}


async def test_asks_as_usps_wants_to_be_asked():
    """One plain media type, no charset, no compression, no scope, no connection kept."""
    _, server = await fetched(GRANT)
    request = server.requests[0]
    headers = dict(request.headers)
    assert request.line == "POST /oauth2/v3/token HTTP/1.1"
    assert request.json() == {
        "grant_type": "client_credentials",
        "client_id": "an-id",
        "client_secret": SECRET.reveal(),
    }
    assert headers.pop("user-agent").startswith("usps-token-broker/")
    assert headers == {
        "host": f"localhost:{server.port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "connection": "close",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
    }


async def test_a_slash_at_the_end_of_base_url_does_no_harm():
    """`https://apis.usps.com/` is what people copy from a browser."""
    async with peer(GRANT) as server:
        await fetch(f"{server.url}/")
    assert server.requests[0].line == "POST /oauth2/v3/token HTTP/1.1"


@pytest.mark.parametrize("secret", ["ä'\"\\\u2028", "\ud800", "\x00"])
async def test_any_secret_can_be_sent(secret):
    """Whatever a password generator makes."""
    async with peer(GRANT) as server:
        outcome = await upstream(server.url).fetch_bearer("an-id", Secret(secret))
    assert isinstance(outcome, Grant)
    assert server.requests[0].json()["client_secret"] == secret


async def test_no_cookie_is_sent_back():
    """USPS sets one with every answer."""
    script = answering(200, token_answer(), {"Set-Cookie": "TLTSID=1; path=/"})
    async with peer(script) as server:
        driver = upstream(server.url)
        for _ in range(2):
            assert isinstance(await driver.fetch_bearer("an-id", SECRET), Grant)
    assert len(server.requests) == 2
    assert all("cookie" not in request.headers for request in server.requests)


async def test_each_attempt_has_its_own_connection():
    """Nothing is kept that could be dead the next time, eight hours later."""
    script = answering(200, token_answer(), {"Connection": "keep-alive"})
    async with peer(script) as server:
        driver = upstream(server.url)
        for _ in range(3):
            await driver.fetch_bearer("an-id", SECRET)
    assert server.connections == 3


async def test_calls_at_the_same_time_do_not_meet():
    """A bearer and payments are fetched side by side."""
    outcomes = []

    async def call(driver):
        outcomes.append(await driver.fetch_bearer("an-id", SECRET))

    async with peer(GRANT) as server, anyio.create_task_group() as tasks:
        driver = upstream(server.url)
        for _ in range(20):
            tasks.start_soon(call, driver)
    assert len(outcomes) == 20
    assert all(isinstance(outcome, Grant) for outcome in outcomes)


async def test_a_refusal_has_the_skew_too():
    """A wrong clock may be why; it is shown."""
    script = answering(401, oauth_error("invalid_client", "no"), {"Date": DATE})
    outcome, _ = await fetched(script)
    assert outcome.kind is FailureKind.REFUSED
    assert outcome.skew_seconds == 90.0


async def test_retry_after_gets_through():
    """As a date, counted on USPS's own clock."""
    headers = {"Date": DATE, "Retry-After": "Wed, 28 May 2025 14:31:51 GMT"}
    outcome, _ = await fetched(answering(429, b"", headers))
    assert (outcome.kind, outcome.retry_after_seconds) == (FailureKind.RATE_LIMITED, 3600)


async def test_an_echo_of_the_secret_is_not_passed_on():
    """Whatever USPS sends back."""
    script = answering(401, oauth_error("invalid_client", f"no {SECRET.reveal()} {LIVE}"))
    outcome, _ = await fetched(script)
    assert SECRET.reveal() not in repr(outcome)
    assert LIVE not in repr(outcome)


# -- answers that are none ------------------------------------------------------------------------


async def test_a_redirect_is_not_followed():
    """The secret goes nowhere else."""
    async with peer(GRANT) as elsewhere:
        outcome, _ = await fetched(answering(307, b"", {"Location": f"{elsewhere.url}/x"}))
    assert "redirect (307 to localhost)" in failed(outcome, FailureKind.TRANSIENT)
    assert elsewhere.connections == 0


async def test_a_compressed_answer_is_refused_unread():
    """It was not asked for, and could unpack to anything."""
    body = gzip.compress(json.dumps(token_answer()).encode())
    outcome, _ = await fetched(answering(200, body, {"Content-Encoding": "gzip"}))
    assert "its body is compressed" in failed(outcome, FailureKind.TRANSIENT)


async def test_a_huge_answer_is_not_read():
    """Reading stops at 256 KB; what was pushed beyond lies in the buffers of the kernel."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        await connection.flood(100)

    outcome, server = await fetched(script)
    assert "its body is far too large" in failed(outcome, FailureKind.TRANSIENT)
    assert server.bytes_sent < 20_000_000


async def test_a_huge_answer_without_a_length_is_not_read():
    """Chunked, and never ending."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await connection.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    outcome, _ = await fetched(script)
    assert "its body is far too large" in failed(outcome, FailureKind.TRANSIENT)


async def test_a_head_without_end_is_not_read():
    """Headers are bounded as well."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await connection.send(b"X-Filler: " + b"x" * 8192 + b"\r\n")

    outcome, _ = await fetched(script)
    assert "broke off or was not HTTP" in failed(outcome, FailureKind.TRANSIENT)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", id="half a head"),
        pytest.param(whole(200, b'{"access_token": "eyJ', {"Content-Length": "900"}), id="cut"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 canary-5ecret\r\n\r\n", id="not HTTP, with an echo"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="bad chunks"
        ),
    ],
)
async def test_an_answer_that_breaks_off_is_worth_another_try(answer):
    """The call may have been counted by USPS, so it counts here."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer)

    outcome, _ = await fetched(script)
    assert "broke off or was not HTTP" in failed(outcome, FailureKind.TRANSIENT)


async def test_a_reset_is_worth_another_try():
    """After the request was read."""

    async def script(connection: Connection) -> None:
        await connection.request()
        connection.reset()

    outcome, _ = await fetched(script)
    assert "connection to USPS broke" in failed(outcome, FailureKind.TRANSIENT)


async def test_interim_answers_are_passed_over():
    """A 103 is no answer yet."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3)
        await connection.send(whole(200, json.dumps(token_answer()).encode(), {}))

    outcome, _ = await fetched(script)
    assert isinstance(outcome, Grant)


# -- the deadline ---------------------------------------------------------------------------------


async def silent(connection: Connection) -> None:
    """Takes the request and says nothing."""
    await connection.request()
    await anyio.sleep_forever()


async def half_head(connection: Connection) -> None:
    """Stops within the head."""
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    await anyio.sleep_forever()


async def half_body(connection: Connection) -> None:
    """Stops within the body."""
    await connection.request()
    await connection.send(whole(200, b'{"acc', {"Content-Length": "900"}))
    await anyio.sleep_forever()


async def drip(connection: Connection) -> None:
    """Always a byte more, so that no timeout between two bytes would ever strike."""
    await connection.request()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await connection.send(b" ")
        await anyio.sleep(SHORT_SECONDS / 20)


@pytest.mark.parametrize("script", [silent, half_head, half_body, drip])
async def test_one_deadline_stands_over_all(script):
    """Once the request has left, USPS may have counted it."""
    outcome, server = await fetched(script, SHORT_SECONDS)
    assert "timed out after 0.5 s" in failed(outcome, FailureKind.TRANSIENT)
    assert len(server.requests) == 1


async def test_a_handshake_without_end_was_not_seen_by_usps():
    """The request had not left."""

    async def script(connection: Connection) -> None:
        await anyio.sleep_forever()

    async with peer(script) as server:
        outcome = await fetch(server.url.replace("http:", "https:"), SHORT_SECONDS)
    detail = failed(outcome, FailureKind.UNREACHED)
    assert detail == f"the TLS handshake with localhost:{server.port} did not end within 0.5 s"


async def test_a_handshake_without_end_leaves_no_connection_open():
    """httpcore forgets the connection when the deadline strikes; the server must see it closed."""
    closed = anyio.Event()

    async def script(connection: Connection) -> None:
        await connection.drain()
        closed.set()

    async with peer(script) as server:
        await fetch(server.url.replace("http:", "https:"), SHORT_SECONDS)
        with anyio.fail_after(30):
            await closed.wait()


async def test_a_host_that_drops_packets_was_not_reached():
    """A full backlog: the kernel lets SYN after SYN go unanswered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        outcome = await fetch(f"http://127.0.0.1:{port}", SHORT_SECONDS)
        for filler in fillers:
            filler.close()
    assert failed(outcome, FailureKind.UNREACHED) == (
        f"no connection to 127.0.0.1:{port} within 0.5 s"
    )


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        (Stage.PREPARING, FailureKind.UNREACHED),
        (Stage.CALLING, FailureKind.TRANSIENT),
        (Stage.REACHING, FailureKind.UNREACHED),
        (Stage.SECURING, FailureKind.UNREACHED),
        (Stage.SENT, FailureKind.TRANSIENT),
    ],
)
def test_only_what_provably_did_not_leave_is_free(stage, kind):
    """Should a newer httpcore stop telling how far it is, a call counts as sent."""
    route = faults.Route("https://apis.usps.com", None, None, 8.0)
    failed(faults.of_deadline(Flight(stage), route), kind)
    failed(faults.of_error(RuntimeError("x"), Flight(stage), route), kind)


async def test_cancelling_ends_an_attempt():
    """The daemon stops without waiting for USPS."""
    arrived = anyio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        arrived.set()
        await anyio.sleep_forever()

    async with peer(script) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(fetch, server.url)
        with anyio.fail_after(30):
            await arrived.wait()
        tasks.cancel_scope.cancel()


async def test_an_answer_that_came_whole_counts_even_if_closing_hangs(authority, ca_file):
    """A server that never closes its side does not cost us the token."""

    async def script(connection: Connection) -> None:
        await connection.answer(200, json.dumps(token_answer()).encode())
        await anyio.sleep_forever()

    async with peer(script, server_context(authority, "localhost")) as server:
        outcome = await fetch(server.url, ca_file=ca_file)
    assert isinstance(outcome, Grant)


# -- not reached ----------------------------------------------------------------------------------


async def test_a_refused_connection_was_not_seen_by_usps():
    """Nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        outcome = await fetch(f"https://localhost:{port}")
    detail = failed(outcome, FailureKind.UNREACHED)
    assert detail == f"localhost:{port} refuses the connection"


async def test_an_unreachable_network_was_not_seen_by_usps():
    """The kernel refuses TCP to the broadcast address."""
    outcome = await fetch("https://255.255.255.255")
    assert failed(outcome, FailureKind.UNREACHED).startswith("cannot reach 255.255.255.255: ")


async def test_a_process_that_can_open_nothing_more_does_not_blame_the_network():
    """Nothing was sent, and what to mend is on this host."""
    failed(await fetch("http://127.0.0.1:1"), FailureKind.UNREACHED)  # all is loaded
    with none_left():
        outcome = await fetch("http://127.0.0.1:1")
    detail = failed(outcome, FailureKind.UNREACHED)
    assert detail == "the broker can open no more connections or files"
    assert "LimitNOFILE" in outcome.fix


async def test_an_unknown_name_was_not_seen_by_usps():
    """The top level .invalid never exists (RFC 6761)."""
    outcome = await fetch("https://apis.usps.invalid")
    assert "apis.usps.invalid" in failed(outcome, FailureKind.UNREACHED)


@pytest.mark.parametrize(
    "url",
    [
        f"https://{'a' * 64}.example",
        "https://a..example",
        "https://",
        "https://[",
        "https://localhost:99999",
        "ftp://localhost",
        "apis.usps.com",
        "",
        "https://\x00",
    ],
)
async def test_a_base_url_that_is_none_is_a_failure(url):
    """The configuration refuses these; should one get through, it does not end the daemon."""
    outcome = await fetch(url)
    failed(outcome, FailureKind.UNREACHED)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_is_not_used_but_mentioned(monkeypatch, name):
    """Whoever set it wonders why nothing gets through. Its value may hold a password."""
    monkeypatch.setenv(name, "http://user:hunter2@proxy.example:3128")
    outcome = await fetch("https://localhost:1")
    assert "localhost:1 refuses the connection" in failed(outcome, FailureKind.UNREACHED)
    assert f"{name} is set in the environment" in outcome.fix
    assert "hunter2" not in repr(outcome)


async def test_a_proxy_of_the_environment_is_not_used_for_plain_http_either(monkeypatch):
    """The call goes where base_url says."""
    monkeypatch.setenv("HTTP_PROXY", "http://localhost:1")
    outcome, _ = await fetched(GRANT)
    assert isinstance(outcome, Grant)


# -- TLS ------------------------------------------------------------------------------------------


async def test_speaks_tls(authority, ca_file):
    """With the CA of the configuration."""
    async with peer(GRANT, server_context(authority, "localhost")) as server:
        assert isinstance(await fetch(server.url, ca_file=ca_file), Grant)


async def test_an_unknown_authority_is_refused(authority):
    """The system does not know ours; the request does not leave."""
    async with peer(GRANT, server_context(authority, "localhost")) as server:
        outcome = await fetch(server.url)
    detail = failed(outcome, FailureKind.UNREACHED)
    assert detail.startswith(f"the certificate of localhost:{server.port} is refused: ")
    assert "ca_file" in outcome.fix
    assert server.requests == []


async def test_a_certificate_of_another_name_is_refused(authority, ca_file):
    """Even of an authority that is trusted."""
    async with peer(GRANT, server_context(authority, "other.example")) as server:
        outcome = await fetch(server.url, ca_file=ca_file)
    assert "is refused: Hostname mismatch" in failed(outcome, FailureKind.UNREACHED)
    assert server.requests == []


async def test_no_tls_on_the_other_side():
    """An https URL that leads to a server of plain http."""

    async def script(connection: Connection) -> None:
        await connection.send(whole(400, b"plain", {}))

    async with peer(script) as server:
        outcome = await fetch(server.url.replace("http:", "https:"))
    assert f"no TLS with localhost:{server.port}" in failed(outcome, FailureKind.UNREACHED)


async def test_a_handshake_that_breaks_off():
    """A firewall that does not like the name."""

    async def script(connection: Connection) -> None:
        connection.reset()

    async with peer(script) as server:
        outcome = await fetch(server.url.replace("http:", "https:"))
    failed(outcome, FailureKind.UNREACHED)


async def test_renewed_certificates_of_the_system_are_found(authority, monkeypatch, tmp_path):
    """After a refusal they are read anew, so that an update does not need a restart."""
    store = anyio.Path(tmp_path, "store.pem")
    await store.write_bytes(trustme.CA().cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    async with peer(GRANT, server_context(authority, "localhost")) as server:
        driver = upstream(server.url)
        before = await driver.fetch_bearer("an-id", SECRET)
        await store.write_bytes(authority.cert_pem.bytes())
        after = await driver.fetch_bearer("an-id", SECRET)
    assert "is refused" in failed(before, FailureKind.UNREACHED)
    assert isinstance(after, Grant)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_a_ca_file_that_cannot_be_used_is_named(tmp_path, content):
    """It is read when it is needed, and the daemon lives on."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    driver = upstream("https://localhost:1", ca_file=str(file))
    driver.load()
    outcome = await driver.fetch_bearer("an-id", SECRET)
    assert f"CA certificates in {file}" in failed(outcome, FailureKind.UNREACHED)


def cas_without_a_system_file(monkeypatch, tmp_path) -> int:
    """How many certificates are trusted when the system has none in a file."""
    nothing = tmp_path / "nothing.pem"
    nothing.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(nothing))
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'missing'}:{tmp_path}")
    return trust.context_for().cert_store_stats()["x509_ca"]


def test_a_system_without_certificates_falls_back_to_those_of_certifi(monkeypatch, tmp_path):
    """A slim container."""
    assert cas_without_a_system_file(monkeypatch, tmp_path) > 50


def test_a_directory_of_certificates_is_enough(monkeypatch, tmp_path):
    """OpenSSL reads those one by one, when asked: none seems to be there."""
    (tmp_path / "3513523f.0").touch()
    assert cas_without_a_system_file(monkeypatch, tmp_path) == 0


def test_the_certificates_are_read_once():
    """All apps share them."""
    assert trust.context_for() is trust.context_for()


# -- a proxy of the configuration -----------------------------------------------------------------


async def test_a_tunnel_through_a_proxy(authority, ca_file):
    """The proxy of the configuration is used, and sees no more than the host."""
    async with peer(GRANT, server_context(authority, "localhost")) as server:

        async def script(connection: Connection) -> None:
            await connection.request()
            await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await connection.relay(server.port)

        async with peer(script) as proxy:
            outcome = await fetch(server.url, ca_file=ca_file, proxy=proxy.url)
    assert isinstance(outcome, Grant)
    assert proxy.requests[0].line == f"CONNECT localhost:{server.port} HTTP/1.1"
    assert SECRET.reveal().encode() not in proxy.requests[0].body


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_that_refuses_keeps_usps_from_seeing_the_call(status):
    """The CONNECT is not our request."""
    async with peer(answering(status, b"no")) as proxy:
        outcome = await fetch("https://apis.usps.com", proxy=proxy.url)
    detail = failed(outcome, FailureKind.UNREACHED)
    assert detail == f"the proxy localhost:{proxy.port} does not let the call through"
    assert "a CONNECT to apis.usps.com:443 through without a password" in outcome.fix


async def test_a_proxy_that_hangs_keeps_usps_from_seeing_the_call():
    """The deadline strikes with a CONNECT on its way."""
    async with peer(silent) as proxy:
        outcome = await fetch("https://apis.usps.com", SHORT_SECONDS, proxy=proxy.url)
    failed(outcome, FailureKind.UNREACHED)


async def test_a_proxy_that_is_away_is_named_without_its_password(monkeypatch):
    """And the environment is not mentioned: the configuration has its say."""
    monkeypatch.setenv("HTTPS_PROXY", "http://other.example")
    outcome = await fetch("https://apis.usps.com", proxy="http://user:hunter2@localhost:1")
    assert failed(outcome, FailureKind.UNREACHED) == "the proxy localhost:1 refuses the connection"
    assert "hunter2" not in repr(outcome)
    assert "environment" not in outcome.fix


@pytest.mark.parametrize("proxy", ["localhost", "nonsense://x", "socks5://localhost:1", "http://["])
async def test_a_proxy_that_is_none_is_a_failure(proxy):
    """As for base_url."""
    failed(await fetch("https://localhost:1", proxy=proxy), FailureKind.UNREACHED)


# -- faults of our own ----------------------------------------------------------------------------


async def test_roles_that_are_no_json_are_a_failure():
    """Should the configuration let a date through."""
    outcome = await upstream("http://localhost:1").fetch_payment(SECRET, [{"CRID": object()}])
    assert "roles" in outcome.fix
    failed(outcome, FailureKind.UNREACHED)


@pytest.mark.parametrize("bearer", ["canary-5ecret\r\nX: y", "canary-5ecret\u00e4", "\ud800"])
async def test_a_bearer_that_cannot_stand_in_a_header_is_a_failure(bearer):
    """h11 quotes the header in its complaint; we do not."""
    async with peer(GRANT) as server:
        outcome = await upstream(server.url).fetch_payment(Secret(bearer), ROLES)
    assert isinstance(outcome, Failure)
    assert "canary" not in repr(outcome)
    assert server.requests == []


# -- loading --------------------------------------------------------------------------------------


def run(code: str) -> str:
    """What this prints in a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def test_importing_the_driver_does_not_import_httpx():
    """The daemon listens first."""
    code = "import sys, usps_token_broker.drivers.upstream; print('httpx' in sys.modules)"
    assert run(code) == "False"


def test_after_load_a_call_imports_nothing():
    """So an upgrade under a running daemon cannot mix versions."""
    code = """
import sys, anyio
from usps_token_broker.core.values import Secret
from usps_token_broker.drivers.upstream import Upstream

async def main():
    async def serve(stream):
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 401 No\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    plain = Upstream(f"http://localhost:{port}", wall=lambda: 0.0)
    secure = Upstream(f"https://localhost:1", wall=lambda: 0.0)
    await anyio.to_thread.run_sync(plain.load)
    await anyio.to_thread.run_sync(secure.load)
    before = set(sys.modules)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        await plain.fetch_bearer("a", Secret("b"))
        await secure.fetch_bearer("a", Secret("b"))
        tasks.cancel_scope.cancel()
    await listener.aclose()
    print(sorted(set(sys.modules) - before))

anyio.run(main)
"""
    assert run(code) == "[]"


async def test_fetches_without_having_been_loaded():
    """`load` only brings the work forward."""
    code = """
import anyio
from usps_token_broker.core.values import Secret
from usps_token_broker.drivers.upstream import Upstream
driver = Upstream("https://localhost:1", wall=lambda: 0.0)
print(anyio.run(driver.fetch_bearer, "a", Secret("b")).kind)
"""
    assert await anyio.to_thread.run_sync(run, code) == "unreached"
