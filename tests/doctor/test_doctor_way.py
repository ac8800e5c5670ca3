"""The way to USPS by real connections on this machine: names, TLS, proxies."""

import contextlib
import datetime as dt
import socket
import ssl
import threading

import pytest
import trustme

from usps_token_broker.doctor import Scene, Verdict, configuration, way
from usps_token_broker.drivers.upstream import trust
from usps_token_broker.drivers.upstream.handshake import shake_hands

DEADLINE_SECONDS = 10.0
QUICK = ("timeout_seconds = 1",)


@contextlib.contextmanager
def server(serve):
    """A port on the loopback whose first connection `serve` is given, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(DEADLINE_SECONDS)

        def accept():
            with contextlib.suppress(OSError):
                connected, _ = listening.accept()
                with connected:
                    connected.settimeout(DEADLINE_SECONDS)
                    serve(connected)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        # Should nobody have come, this ends the wait for one.
        with contextlib.suppress(OSError):
            socket.create_connection(listening.getsockname(), 1).close()
        thread.join(DEADLINE_SECONDS)


def tls(authority, **more):
    """Serves a handshake, and waits for the end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", **more).configure_cert(context)

    def serve(connected):
        with context.wrap_socket(connected, server_side=True) as secured:
            secured.recv(1)

    return serve


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    yield path
    trust.forget()


@pytest.fixture
def looked(folder):
    """What the check of TLS says of this way, as verdict and row; and its words."""

    def look(base_url, *lines, environ=None):
        path = folder / "broker.toml"
        path.write_text(
            f'socket = "{folder}/s"\nstate_dir = "{folder}/state"\n[apps.default]\n'
            f'base_url = "{base_url}"\nclient_id = "x"\nclient_secret = {{ env = "X" }}\n'
            + "\n".join(lines)
        )
        scene = Scene(config=path, environ=environ or {})

        [*configuration.look(scene)]
        return scene

    return look


def only(findings):
    [finding] = findings
    return finding


def test_a_handshake_tells_the_end_of_the_certificate(authority, ca_file, looked):
    """No request is sent."""
    with server(tls(authority)) as port:
        scene = looked(f"https://localhost:{port}", f'ca_file = "{ca_file}"')
        finding = only(way.look_at_tls(scene))
    assert finding.verdict is Verdict.PASS
    assert "TLSv1.3, its certificate is good for" in finding.saw


def test_a_certificate_that_ends_within_a_week_is_told(authority, ca_file, looked):
    """While it is still good."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)
    with server(tls(authority, not_after=end)) as port:
        scene = looked(f"https://localhost:{port}", f'ca_file = "{ca_file}"')
        finding = only(way.look_at_tls(scene))
    assert (finding.verdict, finding.code) == (Verdict.WARN, "certificate_out_of_time")


def test_a_certificate_that_is_out_of_time_is_no_matter_of_trust(authority, ca_file, looked):
    """Its row is the one that the broker's own call has, which names the clock."""
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=3)
    with server(tls(authority, not_after=past)) as port:
        scene = looked(f"https://localhost:{port}", f'ca_file = "{ca_file}"')
        finding = only(way.look_at_tls(scene))
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "certificate_out_of_time")


def test_a_certificate_that_is_not_trusted_fails(authority, looked):
    """Of an authority that neither the system nor a ca_file names."""
    with server(tls(authority)) as port:
        finding = only(way.look_at_tls(looked(f"https://localhost:{port}")))
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "certificate_refused")


def test_a_port_that_speaks_no_tls_fails(looked):
    """Such as one of http."""
    with server(lambda c: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        finding = only(way.look_at_tls(looked(f"https://localhost:{port}")))
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "tls_failed")


def test_a_port_where_nobody_listens_fails(looked):
    """With the proxy of the environment named, which is not used."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    environ = {"https_proxy": "http://user:password@proxy:3128"}
    finding = only(way.look_at_tls(looked(f"https://127.0.0.1:{port}", environ=environ)))
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "not_connected")
    assert "https_proxy is set here" in finding.fix
    assert "password@" not in finding.fix


def test_plain_http_to_this_machine_is_connected_to(looked):
    """A simulator."""
    with server(lambda c: c.recv(1)) as port:
        finding = only(way.look_at_tls(looked(f"http://127.0.0.1:{port}")))
    assert finding.verdict is Verdict.PASS


def test_a_proxy_is_asked_as_a_call_would(authority, ca_file, looked):
    """CONNECT, then TLS with USPS itself."""
    asked = []

    def serve(connected):
        asked.append(connected.recv(4096))
        connected.sendall(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n")
        tls(authority)(connected)

    with server(serve) as port:
        scene = looked(
            "https://localhost:8443",
            f'ca_file = "{ca_file}"',
            f'proxy = "http://127.0.0.1:{port}"',
        )
        finding = only(way.look_at_tls(scene))
        assert only(way.look_at_names(scene)).saw.startswith("127.0.0.1 (the proxy)")
    assert finding.verdict is Verdict.PASS
    assert asked[0].startswith(b"CONNECT localhost:8443 HTTP/1.1\r\n")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 No\r\n\r\n", b"what?\r\n\r\n", b""])
def test_a_proxy_that_refuses_fails(looked, answer):
    """With what it said."""

    def serve(connected):
        connected.recv(4096)
        connected.sendall(answer)

    with server(serve) as port:
        scene = looked("https://localhost:8443", f'proxy = "http://127.0.0.1:{port}"')
        finding = only(way.look_at_tls(scene))
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "proxy_refused")


def test_a_name_that_is_known_passes_and_one_that_is_not_fails(looked):
    """`.invalid` is none by RFC 6761."""
    assert only(way.look_at_names(looked("http://localhost:9"))).verdict is Verdict.PASS
    finding = only(way.look_at_names(looked("https://usps.invalid")))
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "dns_failed")
    assert "`getent hosts usps.invalid`" in finding.fix


@pytest.mark.parametrize("proxy", [(), ('proxy = "http://proxy.invalid:3128"',)])
def test_what_has_no_address_is_not_connected_to(looked, proxy):
    """That would fail for the same cause once more."""
    scene = looked("https://usps.invalid", *proxy)
    assert only(way.look_at_names(scene)).verdict is Verdict.FAIL
    assert only(way.look_at_tls(scene)).verdict is Verdict.UNSEEN


@pytest.mark.parametrize("proxied", [False, True])
def test_silence_after_the_connection_is_told_from_none_at_all(looked, proxied):
    """A route that is missing and a peer that hangs have different causes."""
    done = threading.Event()
    with server(lambda _: done.wait(DEADLINE_SECONDS)) as port:
        url = "https://usps.invalid" if proxied else f"https://localhost:{port}"
        more = [f'proxy = "http://localhost:{port}"'] if proxied else []
        finding = only(way.look_at_tls(looked(url, *QUICK, *more)))
        done.set()
    assert finding.code == "not_connected"
    assert "takes connections and does not" in finding.saw
    assert ("proxy" in finding.fix) == proxied


def test_a_proxy_that_says_a_byte_now_and_then_is_not_waited_for(looked):
    """Each byte would begin the wait anew; the fence around the check would name no cause."""
    done = threading.Event()

    def drip(connected):
        while not done.wait(0.2):
            connected.sendall(b"H")

    with server(drip) as port:
        scene = looked("https://usps.invalid", f'proxy = "http://127.0.0.1:{port}"', *QUICK)
        finding = only(way.look_at_tls(scene))
        done.set()
    assert (finding.verdict, finding.code) == (Verdict.FAIL, "not_connected")


def test_a_server_that_is_silent_does_not_hold_the_handshake(authority):
    """The deadline of a call is that of the handshake too."""
    done = threading.Event()
    with server(lambda _: done.wait(DEADLINE_SECONDS)) as port:
        with pytest.raises(TimeoutError):
            shake_hands(f"https://localhost:{port}", 0.2)
        done.set()
