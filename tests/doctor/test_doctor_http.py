"""The port of `http.listen`, as `doctor` finds it: ours, free, or another's."""

import contextlib
import http.server
import os
import socket
import threading
from dataclasses import replace

import pytest
from free_port import free_port
from processes import Home, Usps
from prometheus import listening

from usps_token_broker.config import HttpListen, load
from usps_token_broker.doctor import Verdict, http_port


@pytest.fixture
def listens(scene, folder):
    """The scene with this port in its configuration, and with a broker or none that answered."""

    def of(port, *, address="127.0.0.1", runs=False):
        loaded = load(scene.config, scene.environ, uid=os.geteuid())
        scene.settings = replace(loaded, http=HttpListen(address, port))
        scene.socket = folder / "broker.sock" if runs else None
        [found] = http_port.look(scene)
        return found

    return of


@contextlib.contextmanager
def another(answer):
    """A program on a port that answers every GET with this."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            serving.join()


def test_no_port_is_no_fault(scene):
    """Most brokers have none."""
    scene.settings = load(scene.config, scene.environ, uid=os.geteuid())
    [found] = http_port.look(scene)
    assert (found.verdict, found.code) == (Verdict.PASS, "")


def test_a_port_that_is_free(listens):
    """Nobody has started the broker yet."""
    with free_port() as port:
        found = listens(port)
    assert found.verdict is Verdict.PASS
    assert "nobody listens" in found.saw


def test_looking_keeps_nobody_from_listening(listens):
    """A broker that is started at the same time finds its port free."""
    with free_port() as port:
        listens(port)
        with socket.create_server(("127.0.0.1", port)):
            pass


@pytest.mark.parametrize("answer", [b"<html>It works!", b"{}", b'{"alive":1}', b"\xff"])
def test_a_port_of_another_program(listens, answer):
    """What keeps the broker from starting, or will at its next start."""
    with another(answer) as port:
        for runs in (True, False):
            found = listens(port, runs=runs)
            assert (found.verdict, found.code) == (Verdict.FAIL, "port_taken")
            assert "ss -ltnp" in found.fix


def test_a_port_of_another_broker(listens):
    """It answers there, and ours does not run."""
    with another(b'{"alive":true,"version":"1"}') as port:
        assert listens(port).code == "port_taken"
        assert listens(port, runs=True).verdict is Verdict.PASS


def test_a_broker_that_says_that_it_is_stuck(listens):
    """By the port alone, where the socket cannot be asked."""
    with another(b'{"alive":false,"version":"1"}') as port:
        assert listens(port, runs=True).code == "broker_stuck"


def test_an_address_of_another_machine(listens):
    """192.0.2.0/24 is nobody's (RFC 5737); nothing is sent there."""
    found = listens(9842, address="192.0.2.7")
    assert (found.verdict, found.code) == (Verdict.FAIL, "port_taken")
    assert "Cannot assign requested address" in found.saw


def test_a_running_broker_that_listens_elsewhere(listens):
    """The line was written after its start: a reload refuses it."""
    with free_port() as port:
        found = listens(port, runs=True)
    assert found.verdict is Verdict.WARN
    assert "restart" in found.fix


def test_without_a_configuration_nobody_knows(scene):
    """The check of the configuration has told why there is none."""
    [found] = http_port.look(scene)
    assert found.verdict is Verdict.UNSEEN


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_doctor_finds_a_real_broker_there(address):
    """Through every address that it may listen on."""
    with Usps() as usps, free_port(address) as port:
        home = Home(usps.base_url)
        try:
            listening(home, f"{address}:{port}")
            with home.broker():
                home.first_token()
                said = home.command("doctor").stdout
        finally:
            home.remove()
    assert f"pass http         http://{address}:{port}: usps-token-broker" in said
