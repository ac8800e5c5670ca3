"""SIGKILL while callers are held: the next broker gives them their token, and no call is wasted."""

import contextlib
import itertools
import shutil
import signal
import subprocess
import sys

import pytest
from processes import Home, Usps, until

CALLER = """
import sys
from usps_token_client import TokenClient
print(TokenClient(sys.argv[1], timeout=60).bearer().value, flush=True)
"""
CALLERS = 3


@pytest.fixture
def usps():
    """A USPS that takes as many calls as it is given, of short lives: budgets shrink with them."""
    quotas = ("--quota", "token=none", "--quota", "payment-authorization=none")
    with Usps("--life", "300", *quotas) as process:
        yield process


@pytest.fixture
def home(usps):
    home = Home(usps.base_url, app="timeout_seconds = 50")  # no attempt ends before callers come
    yield home
    home.remove()


@contextlib.contextmanager
def callers(home):
    """Worker processes that want a bearer, by the shim; ended when the block ends."""
    command = [sys.executable, "-c", CALLER, str(home.socket)]
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(CALLERS):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(process)
        yield started


def answers(started):
    """What the callers print, once they have ended."""
    said = [process.communicate(timeout=90) for process in started]
    assert all(process.returncode == 0 for process in started), said
    return {out.decode().strip() for out, _ in said}


def slow(usps, name, value=None):
    usps.ask("POST", "/sim/faults", {"name": name, "endpoint": "token", "value": value})


def test_callers_held_over_kills_get_their_token(usps, home, rounds, tried):
    """USPS hangs or drips, and the broker is killed again and again: one call for each broker."""
    # A fourth kill would find an empty bucket, and wait.
    every = list(itertools.product(("hold", "drip"), (1, 2, 3)))
    for name, kills in rounds([("hold", 2)], every):
        before = usps.calls("token")
        slow(usps, name, None if name == "hold" else 5.0)
        with contextlib.ExitStack() as stack:
            started = []
            for number in range(1, kills + 1):
                with home.broker() as broker:
                    started = started or stack.enter_context(callers(home))
                    until(lambda calls=before + number: usps.calls("token") == calls)
                    until(lambda: home.status()["waiting"] >= 1, home.status)
                    assert broker.kill(signal.SIGKILL) == -signal.SIGKILL
            usps.ask("DELETE", "/sim/faults")
            with home.broker() as broker:
                assert answers(started) == {home.token()["token"]}
                assert "Traceback" not in broker.errors()
        assert usps.calls("token") == before + kills + 1
        tried("SIGKILL while callers are held", kills, 3 * kills)
        shutil.rmtree(home.folder / "state")


def test_a_kill_at_a_renewal_leaves_the_token_in_use(usps, home, rounds, tried):
    """What workers hold is served by the next, and renewed as the budget allows: a call each."""
    every = list(itertools.product(("drip", "hold"), (1, 2)))
    for name, kills in rounds([("drip", 1)], every):
        with home.broker() as broker:
            old = home.token()
            before = usps.calls("token")
            slow(usps, name, None if name == "hold" else 5.0)
            report = {"status": 401, "path": "/x", "serials": {"bearer": old["serial"]}}
            home.ask("POST", "/v1/answers?wait=0", report)
            until(lambda calls=before: usps.calls("token") == calls + 1)
            assert home.token()["serial"] == old["serial"]
            broker.kill(signal.SIGKILL)
        for _ in range(kills - 1):
            with home.broker() as broker:
                assert home.token()["serial"] == old["serial"]
                broker.kill(signal.SIGKILL)
        usps.ask("DELETE", "/sim/faults")
        with home.broker() as broker:
            assert home.token()["token"]
            until(lambda old=old: home.token()["serial"] != old["serial"], home.slot)
            assert "Traceback" not in broker.errors()
        assert usps.calls("token") <= before + kills + 1
        tried("SIGKILL at a renewal of a token in use", kills, 5)
        shutil.rmtree(home.folder / "state")
