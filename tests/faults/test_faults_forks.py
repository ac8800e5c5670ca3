"""Workers that fork, spawn and exec in mid-call: nothing of a parent's question is a child's."""

import json
import os
import signal
import subprocess
import sys

import forking_client
import pytest
from identities import Identity, as_identity, exchange, request
from processes import DEADLINE_SECONDS, Home, Usps, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a broker")

OTHER = Identity(54002, 54002)
BEARER = request("/v1/tokens/bearer")


@pytest.fixture(scope="module")
def home():
    """A broker that holds both tokens."""
    with Usps() as usps:
        home = Home(usps.base_url, bearer=f"users = [{OTHER.uid}]")
        try:
            with home.broker() as broker:
                home.first_token("payment")
                home.process = broker
                yield home
        finally:
            home.remove()


def connections(home):
    """This user's connections by the broker's own books, without the one that asks."""
    peers = json.loads(home.ask("GET", "/v1/status", admin=True)[2])["peers"]
    return sum(peer["connections"] for peer in peers if peer["uid"] == os.geteuid())


@pytest.mark.parametrize("way", forking_client.WAYS)
def test_a_question_stays_with_whoever_asked_it(home, way, rounds, tried):
    """Every answer is the right one, no child holds its parent's connection, nothing is left."""
    times = 1 if way == "itself" else rounds(1, 20)
    command = [sys.executable, forking_client.__file__, way, home.socket]
    pid = home.process.process.pid
    before = len(list(home.process.proc("fd").iterdir()))
    try:
        done = subprocess.run(
            [*command, str(pid), str(times)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=times * DEADLINE_SECONDS,
            check=False,
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    assert as_identity(OTHER, lambda: exchange(str(home.socket), [BEARER])).startswith(
        b"HTTP/1.1 200"
    )
    until(lambda: connections(home) == 0, lambda: connections(home))
    until(lambda: len(list(home.process.proc("fd").iterdir())) <= before)
    tried("client that forks or execs in mid-call", times, int(done.stdout) + 3)
