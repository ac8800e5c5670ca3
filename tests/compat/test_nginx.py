"""systemd/examples/nginx.conf in a real nginx: one address for a program that knows only one."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import trustme
from asked_roles_cases import OWNER, PAYER
from compat_words import ADDRESS, LABEL, ROLES
from free_port import free_port
from processes import until

EXAMPLE = Path(__file__).parents[2] / "systemd/examples/nginx.conf"
NGINX = shutil.which("nginx", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
MAIN = """\
daemon off;
pid {folder}/pid;
error_log stderr info;
events {{ }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/usps.conf;
    log_format seen '$host $ssl_server_name $request_uri';
    server {{
        listen 127.0.0.1:{behind} ssl;
        ssl_certificate {folder}/{certificate}.pem;
        ssl_certificate_key {folder}/{certificate}.pem;
        access_log {folder}/seen.log seen;
        location / {{ proxy_pass {usps}; }}
    }}
}}
"""
"""The example, and in place of USPS a server with its name that leads to the simulator."""

pytestmark = pytest.mark.skipif(NGINX is None, reason="this machine has no nginx")


class Front:
    """A running nginx with the example, but for ports, paths and USPS's address."""

    def __init__(self, shop, folder, port, behind, certificate):
        self.port, self.folder = port, folder
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "authority.pem")
        for name, host in (("right", "apis.usps.com"), ("wrong", "elsewhere.example")):
            authority.issue_cert(host).private_key_and_cert_chain_pem.write_to_path(
                folder / f"{name}.pem"
            )
        trustme.CA().issue_cert("apis.usps.com").private_key_and_cert_chain_pem.write_to_path(
            folder / "forged.pem"
        )
        text = EXAMPLE.read_text()
        for old, new in (
            ("server 127.0.0.1:9842;", f"server 127.0.0.1:{shop.port};"),
            ("server apis.usps.com:443;", f"server 127.0.0.1:{behind};"),
            ("listen 127.0.0.1:9843;", f"listen 127.0.0.1:{port};"),
            ("/var/log/nginx/usps.log", f"{folder}/usps.log"),
            ("/etc/ssl/certs/ca-certificates.crt", f"{folder}/authority.pem"),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (folder / "usps.conf").write_text(text)
        (folder / "nginx.conf").write_text(
            MAIN.format(
                folder=folder, behind=behind, certificate=certificate, usps=shop.usps.base_url
            )
        )

    def ask(self, method, path, said=None, headers=None):
        """Status and body of one call."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            content = None if said is None else json.dumps(said)
            given = {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, content, given)
            response = connection.getresponse()
            return response.status, response.read()

    def logged(self):
        """All that it wrote."""
        return "".join(p.read_text(errors="replace") for p in sorted(self.folder.glob("*.log")))


@contextlib.contextmanager
def nginx(shop, folder, certificate="right"):
    """In the foreground, as whoever runs the tests."""
    folder.chmod(0o755)
    as_root = ["-g", "user root;"] if os.geteuid() == 0 else []
    with (
        free_port() as port,
        free_port() as behind,
        (folder / "errors.log").open("wb") as errors,
    ):
        front = Front(shop, folder, port, behind, certificate)
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), *as_root]
        process = subprocess.Popen(command, stdout=errors, stderr=errors)
        try:
            until(lambda: listens(front.port), front.logged)
            yield front
        finally:
            process.terminate()
            process.wait(30)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


@pytest.fixture(scope="module")
def front(shop, tmp_path_factory):
    """One for all tests that leave it as it is."""
    with nginx(shop, tmp_path_factory.mktemp("nginx")) as made:
        yield made


def credentials(key):
    return {
        "grant_type": "client_credentials",
        "client_id": key["client_id"],
        "client_secret": key["client_secret"],
    }


def test_tokens_come_from_the_broker_and_all_else_from_usps(shop, front):
    """By the same address; USPS sees its own host name, in TLS and in the request."""
    before = shop.usps.calls("token"), shop.usps.calls("payment-authorization")
    status, body = front.ask("POST", "/oauth2/v3/token", credentials(shop.add("one-address")))
    bearer = json.loads(body)["access_token"]
    assert (status, bearer) == (200, shop.home.token()["token"])
    headers = {"Authorization": f"Bearer {bearer}"}
    status, body = front.ask(
        "POST", "/payments/v3/payment-authorization", {"roles": [PAYER, OWNER]}, headers
    )
    assert status == 200, body
    address = "/addresses/v3/address?streetAddress=475+LENFANT+PLZ+SW&city=WASHINGTON&state=DC"
    assert front.ask("GET", address, None, headers)[0] == 200
    assert (shop.usps.calls("token"), shop.usps.calls("payment-authorization")) == before
    seen = (front.folder / "seen.log").read_text()
    assert seen.splitlines()[-1] == f"apis.usps.com apis.usps.com {address}"


def test_usps_v3_makes_a_label_through_it(shop, front, program):
    """Unchanged, with one base URL: tokens, an address, a label."""
    key = shop.add("label-maker")
    said = {"url": f"http://127.0.0.1:{front.port}", "id": key["client_id"]}
    said |= {"secret": key["client_secret"], "roles": ROLES, "address": ADDRESS, "label": LABEL}
    before = shop.usps.calls("labels")
    code, out, errors = program("use_usps_v3.py", said)
    assert code == 0, errors
    assert json.loads(out)["tokens"][0] == shop.home.token()["token"]
    assert shop.usps.calls("labels") == before + 1


@pytest.mark.parametrize("path", ["/oauth2/v3/revoke", "/oauth2/v3/token/", "/oauth2/v3/authorize"])
def test_no_key_goes_to_usps(shop, front, path):
    """It would be a strange one there."""
    seen = (front.folder / "seen.log").read_text()
    key = shop.add(path.strip("/").replace("/", "-") + str(path.count("/")))
    assert front.ask("POST", path, credentials(key))[0] == 404
    assert (front.folder / "seen.log").read_text() == seen


@pytest.mark.parametrize("path", ["/v1/tokens/bearer", "/metrics", "/healthz"])
def test_nothing_else_of_the_broker_is_reached(shop, front, path):
    """What is not a token call goes to USPS, which does not know it."""
    status, body = front.ask("GET", path)
    assert status == 404
    assert b"usps_token_broker" not in body


def test_a_page_in_a_browser_is_sent_away(shop, front):
    """It has a name of its own, which may have been pointed at this machine."""
    key = credentials(shop.add("browser"))
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:9843"):
        assert front.ask("POST", "/oauth2/v3/token", key, {"Host": host})[0] == 421
    for host in ("127.0.0.1:9843", "localhost"):
        assert front.ask("POST", "/oauth2/v3/token", key, {"Host": host})[0] == 200


def test_its_logs_hold_no_secret(shop, front):
    """Neither key nor token, in a good call or a refused one."""
    key = shop.add("logged")
    _, body = front.ask("POST", "/oauth2/v3/token", credentials(key))
    bearer = json.loads(body)["access_token"]
    front.ask("POST", "/oauth2/v3/token", {**credentials(key), "grant_type": "x"})
    headers = {"Authorization": f"Bearer {bearer}"}
    front.ask("POST", "/payments/v3/payment-authorization", {"roles": []}, headers)
    logged = front.logged()
    assert "POST /oauth2/v3/token" in logged
    assert key["client_secret"] not in logged
    assert bearer not in logged


@pytest.mark.parametrize("certificate", ["wrong", "forged"])
def test_nobody_else_is_taken_for_usps(shop, tmp_path, certificate):
    """A certificate of another name, or of an authority that nobody trusts: no token is sent."""
    with nginx(shop, tmp_path, certificate) as front:
        bearer = json.loads(
            front.ask("POST", "/oauth2/v3/token", credentials(shop.add(certificate)))[1]
        )["access_token"]
        headers = {"Authorization": f"Bearer {bearer}"}
        assert front.ask("GET", "/addresses/v3/address", None, headers)[0] == 502
        assert "upstream SSL certificate" in front.logged()
        assert not (front.folder / "seen.log").read_text()


def test_the_kept_connections_are_used(shop, front):
    """Twenty programs at once, and again."""
    key = credentials(shop.add("many"))
    statuses = []

    def work():
        statuses.extend(front.ask("POST", "/oauth2/v3/token", key)[0] for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 60
