"""What stands between broker and USPS: which TLS is good enough, whatever the environment."""

import contextlib
import datetime as dt
import json
import socket
import ssl
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from on_the_way import ConnectProxy, listening
from processes import Home, Usps, until
from usps_peer import answering
from usps_tokens import token_answer

OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
GRANT = answering(200, token_answer())
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
ANY_TLS = """\
openssl_conf = everything
[everything]
ssl_conf = modules
[modules]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
"""
"""As a machine is set up that still has to reach a server of long ago."""


@pytest.fixture(scope="module")
def authority():
    """Trusted by every broker here."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    """Its certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


class Server(ThreadingHTTPServer):
    """Unlike the servers of anyio it sends the alert that says why a handshake failed."""

    def __init__(self, context):
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.port = self.server_address[1]
        self.requests = 0

    def process_request(self, request, client_address):
        """Only whoever is content with the certificate gets here, and then speaks."""
        with contextlib.suppress(OSError):
            self.requests += bool(request.recv(1))
        self.shutdown_request(request)


@contextlib.contextmanager
def blocking(context):
    """Such a server, for the length of the block."""
    with Server(context) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture
def trouble(ca_file):
    """What a broker says of a server that speaks TLS with this context, and never calls."""

    def look(context, environ=None, host="localhost"):
        with blocking(context) as server:
            home = Home(f"https://{host}:{server.port}", app=f'ca_file = "{ca_file}"')
            try:
                with home.broker(environ):
                    seen = until(lambda: home.slot()["trouble"], home.status)
                    told = json.loads(home.get("/v1/tokens/bearer?wait=0")[2])
            finally:
                home.remove()
        assert server.requests == 0
        assert (told["code"], told["fix"]) == ("upstream_unavailable", seen["fix"])
        return seen["detail"], seen["fix"]

    return look


def server(certificate, *, only=None):
    """The TLS of a server with this certificate, of this version alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if only is not None:
        # Of these versions the signatures are too weak for the usual level of OpenSSL.
        context.set_ciphers("ALL:@SECLEVEL=0")
        restrict(context, only)
    return context


def restrict(context, version):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version


@pytest.mark.parametrize("version", OLD, ids=lambda version: version.name)
@pytest.mark.parametrize("lax", [False, True], ids=["", "where OPENSSL_CONF allows any"])
def test_tls_below_1_2_is_refused(trouble, authority, tmp_path, version, lax):
    """In words that name what is missing; nothing was sent."""
    environ = {}
    if lax:
        conf = tmp_path / "openssl.cnf"
        conf.write_text(ANY_TLS)
        environ["OPENSSL_CONF"] = str(conf)
    detail, fix = trouble(server(authority.issue_cert("localhost"), only=version), environ)
    assert detail.startswith("no TLS with localhost:")
    assert "it has no TLS of version 1.2 or later" in detail
    assert "base_url" in fix


@pytest.mark.parametrize("version", OLD, ids=lambda version: version.name)
def test_a_server_of_such_a_version_is_one(authority, version):
    """Who accepts anything reaches it: else nothing would be shown above."""
    with blocking(server(authority.issue_cert("localhost"), only=version)) as old:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers("ALL:@SECLEVEL=0")
        restrict(context, version)
        authority.configure_trust(context)
        connected = socket.create_connection(("localhost", old.port), 30)
        with context.wrap_socket(connected, server_hostname="localhost") as secure:
            assert secure.version() == version.name.replace("_", ".")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_of_today_is_spoken_under_the_name_of_base_url(authority, ca_file, version):
    """The server is asked for by that name (RFC 6066, 3)."""
    names = []
    context = server(authority.issue_cert("localhost"))
    restrict(context, version)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with listening(GRANT, context) as today:
        home = Home(f"https://localhost:{today.port}", app=f'ca_file = "{ca_file}"')
        with home.broker():
            home.token()
        home.remove()
    assert set(names) == {"localhost"}


def test_a_certificate_past_its_end_is_refused(trouble, authority):
    """Though its authority is trusted."""
    old = authority.issue_cert("localhost", not_after=YESTERDAY)
    detail, fix = trouble(server(old))
    assert "is refused: certificate has expired" in detail
    assert "clock" in fix


def test_a_certificate_that_nobody_signed_is_refused(trouble):
    """A CA of its own, which the server sends along."""
    detail, fix = trouble(server(trustme.CA().issue_cert("localhost")))
    assert detail.startswith("the certificate of localhost:")
    assert "is refused: " in detail
    assert "ca_file" in fix


@pytest.mark.parametrize("name", ["other.example", "localhost.example", "*.localhost", "127.0.0.1"])
def test_a_certificate_of_another_host_is_refused(trouble, authority, name):
    """However alike."""
    detail, _ = trouble(server(authority.issue_cert(name)))
    assert "is refused: Hostname mismatch" in detail


def test_a_name_does_not_stand_for_an_address(trouble, authority):
    """What base_url says counts, and not what leads to the same place."""
    detail, _ = trouble(server(authority.issue_cert("localhost")), host="127.0.0.1")
    assert "is refused: IP address mismatch" in detail


def test_no_keys_of_connections_are_written(authority, ca_file, tmp_path):
    """SSLKEYLOGFILE is honoured by Python itself; the broker leaves no such file."""
    keys = tmp_path / "keys"
    with listening(GRANT, server(authority.issue_cert("localhost"))) as today:
        home = Home(f"https://localhost:{today.port}", app=f'ca_file = "{ca_file}"')
        with home.broker({"SSLKEYLOGFILE": str(keys)}):
            home.token()
        home.remove()
    assert not keys.exists()


def test_no_variable_of_other_programs_leads_a_call_astray(tmp_path):
    """Neither a proxy, nor a netrc, nor the CA files of curl and requests."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\ndefault login a password b\n")
    netrc.chmod(0o600)
    proxy = ConnectProxy()
    with listening(proxy) as elsewhere, listening(GRANT) as usps:
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        environ = dict.fromkeys((*names, *map(str.lower, names)), elsewhere.url)
        environ |= {"NETRC": str(netrc), "HOME": str(tmp_path), "NO_PROXY": ""}
        environ |= dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), "/dev/null")
        home = Home(usps.url)
        with home.broker(environ):
            home.token()
        home.remove()
    assert (proxy.targets, elsewhere.connections) == ([], 0)
    assert "authorization" not in usps.requests[0].headers


def test_nothing_is_sent_in_the_clear_to_a_host_that_is_not_named():
    """`http` to any but loopback keeps the broker from starting, unless allow_http_hosts has it."""
    with Usps() as usps:
        port = urlsplit(usps.base_url).port
        home = Home(f"http://{socket.gethostname()}:{port}")
        refused = home.command("run")
        assert refused.returncode == 78
        assert "apps.default.base_url" in refused.stderr
        assert f'allow_http_hosts = ["{socket.gethostname().lower()}"]' in refused.stderr
        assert usps.calls("token") == 0
    assert not Path(home.socket).exists()
    home.remove()
