"""A proxy and a CA of one's own between broker and USPS, with real processes, TLS and tunnels.

USPS has a name here that nobody can look up: only the proxy leads to it.
"""

import json
import subprocess
from urllib.parse import urlsplit

import pytest
import trustme
from on_the_way import ConnectProxy, listening, with_tls
from processes import Home, Process, Usps, until

NAME = "usps.invalid"
"""Nobody will ever have it (RFC 6761 6.4)."""
NO_STORE = {"SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/nowhere"}


@pytest.fixture(scope="module")
def usps():
    """A simulated USPS, which speaks plain HTTP."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


@pytest.fixture(scope="module")
def authority():
    """Nobody knows it but those who are told."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    """Its certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def front(usps, authority):
    """The same USPS in TLS."""
    with with_tls(urlsplit(usps.base_url).port, authority, NAME) as server:
        yield server


@pytest.fixture
def localhost(usps, authority):
    """The same under a name that can be looked up."""
    with with_tls(urlsplit(usps.base_url).port, authority, "localhost") as server:
        yield server


@pytest.fixture
def proxy(front):
    """A proxy that leads to it."""
    conduct = ConnectProxy(front.port)
    with listening(conduct) as server:
        conduct.url = server.url
        yield conduct


@pytest.fixture
def folder():
    """Makes brokers' folders, and takes them away."""
    homes = []

    def make(base_url, *lines):
        homes.append(Home(base_url, app="\n".join(["timeout_seconds = 2", *lines])))
        return homes[-1]

    yield make
    for home in homes:
        home.remove()


def trouble(home, slot="bearer"):
    """What a person sees of the attempt that failed; callers are told the same."""
    seen = until(lambda: home.slot(slot)["trouble"], home.status)
    status, _, body = home.get(f"/v1/tokens/{slot}?wait=0")
    said = json.loads(body)
    assert (status, said["code"]) == (503, "upstream_unavailable")
    assert (said["detail"], said["fix"]) == (f"no {slot} token: {seen['detail']}", seen["fix"])
    return seen


# -- a proxy --------------------------------------------------------------------------------------


def test_calls_go_through_the_proxy_and_none_around_it(usps, front, proxy, ca_file, folder):
    """Both tokens; the proxy sees a host and a port, and every connection of USPS is a tunnel."""
    usps.ask("POST", "/sim/reset")
    home = folder(f"https://{NAME}", f'proxy = "{proxy.url}"', f'ca_file = "{ca_file}"')
    with home.broker():
        assert home.token("bearer")["host"] == NAME
        assert home.token("payment")["token"]
    assert proxy.targets == [f"CONNECT {NAME}:443"] * 2
    assert front.connections == 2
    assert (usps.calls("token"), usps.calls("payment-authorization")) == (1, 1)


def test_without_the_proxy_there_is_no_way(front, proxy, ca_file, folder):
    """One that only the environment names is not used, and said not to be."""
    home = folder(f"https://{NAME}", f'ca_file = "{ca_file}"')
    with home.broker({"HTTPS_PROXY": proxy.url, "ALL_PROXY": proxy.url}):
        seen = trouble(home)
    assert f"cannot find {NAME}" in seen["detail"]
    assert "HTTPS_PROXY is set in the environment, but the broker does not use it" in seen["fix"]
    assert (proxy.targets, front.connections) == ([], 0)


@pytest.mark.parametrize("conduct", [403, 407, 502, "hang"])
def test_a_proxy_that_does_not_let_calls_through_is_said(front, proxy, ca_file, folder, conduct):
    """By name, with the key to look at; USPS sees nothing, and the budget is not touched."""
    proxy.conduct = conduct
    home = folder(f"https://{NAME}", f'proxy = "{proxy.url}"', f'ca_file = "{ca_file}"')
    with home.broker():
        seen = trouble(home)
        budget = home.status()["apps"][0]["budget"]
    assert f"the proxy {urlsplit(proxy.url).netloc}" in seen["detail"]
    assert "check proxy in the configuration" in seen["fix"]
    if conduct != "hang":
        assert f"lets a CONNECT to {NAME}:443 through without a password" in seen["fix"]
    assert all(window["used_last_hour"] <= 1 for window in budget)
    assert front.connections == 0


def test_a_proxy_that_is_away_is_said_and_found_again(front, proxy, ca_file, folder):
    """The token comes when the proxy does."""
    with listening(ConnectProxy()) as gone:
        pass
    home = folder(f"https://{NAME}", f'proxy = "{gone.url}"', f'ca_file = "{ca_file}"')
    with home.broker():
        seen = trouble(home)
        assert seen["detail"] == f"the proxy localhost:{gone.port} refuses the connection"
        assert "check proxy in the configuration" in seen["fix"]
    home.config.write_text(home.config.read_text().replace(gone.url, proxy.url))
    with home.broker():
        assert home.token()["token"]


def test_a_proxy_that_recovers_is_used_again(proxy, ca_file, folder):
    """Nobody has to restart the broker."""
    proxy.conduct = 502
    home = folder(f"https://{NAME}", f'proxy = "{proxy.url}"', f'ca_file = "{ca_file}"')
    with home.broker():
        trouble(home)
        proxy.conduct = "tunnel"
        until(lambda: home.get("/v1/tokens/bearer?wait=20")[0] == 200)
        until(lambda: home.slot()["trouble"] is None)


def test_a_proxy_is_never_told_the_secret(front, authority, ca_file, folder):
    """A proxy that answers CONNECT and then listens itself gets a TLS greeting, no more."""
    heard = bytearray()

    async def eavesdrop(connection):
        await connection.request()
        await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        async for data in connection._stream:
            heard.extend(data)

    with listening(eavesdrop) as server:
        home = folder(f"https://{NAME}", f'proxy = "{server.url}"', f'ca_file = "{ca_file}"')
        with home.broker():
            trouble(home)
    assert heard.startswith(b"\x16\x03")
    assert b"demo-client" not in heard


# -- whom to trust --------------------------------------------------------------------------------


def test_a_server_whose_authority_is_in_ca_file_is_trusted(localhost, ca_file, folder):
    """In place of the system's."""
    home = folder(f"https://localhost:{localhost.port}", f'ca_file = "{ca_file}"')
    with home.broker(NO_STORE):
        assert home.token("payment")["host"] == f"localhost:{localhost.port}"


def test_without_ca_file_it_is_not(usps, localhost, folder):
    """In words, with the key that would do it; the secret was not sent."""
    usps.ask("POST", "/sim/reset")
    home = folder(f"https://localhost:{localhost.port}")
    with home.broker():
        seen = trouble(home)
    assert seen["detail"].startswith(f"the certificate of localhost:{localhost.port} is refused:")
    assert "set ca_file to its CA" in seen["fix"]
    assert usps.calls("token") == 0


def test_with_another_authority_in_ca_file_it_is_not(localhost, folder, tmp_path):
    """Nor because the system trusts somebody."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    home = folder(f"https://localhost:{localhost.port}", f'ca_file = "{other}"')
    with home.broker({"SSL_CERT_FILE": str(tmp_path / "authority.pem")}):
        assert "is refused" in trouble(home)["detail"]


def test_a_store_in_one_file_is_the_systems(localhost, ca_file, folder):
    """As SSL_CERT_FILE names it."""
    home = folder(f"https://localhost:{localhost.port}")
    with home.broker({**NO_STORE, "SSL_CERT_FILE": str(ca_file)}):
        assert home.token()["token"]


def test_a_store_in_a_directory_is_the_systems(localhost, ca_file, folder, tmp_path):
    """As Debian has it: nothing in one file, each certificate under a hash of its name."""
    store = tmp_path / "certs"
    store.mkdir()
    (store / f"{subject_hash(ca_file)}.0").symlink_to(ca_file)
    home = folder(f"https://localhost:{localhost.port}")
    with home.broker({**NO_STORE, "SSL_CERT_DIR": str(store)}):
        assert home.token()["token"]


def subject_hash(path):
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(path)]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        pytest.skip("openssl is not installed; it names the files of such a directory")


@pytest.mark.parametrize("content", [None, b"", b"junk"], ids=["missing", "empty", "junk"])
def test_a_ca_file_that_cannot_be_used_keeps_run_from_starting(folder, tmp_path, content):
    """At the start, with file and key; not at the first call."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    home = folder("https://localhost:1", f'ca_file = "{path}"')
    command = ("usps_token_broker", "run", "--config", str(home.config))
    with Process(*command) as broker:
        assert broker.process.wait(30) == 78
        assert f"{home.config}: apps.default.ca_file: expected a file of CA" in broker.errors()
        assert f"found {path}: " in broker.errors()
