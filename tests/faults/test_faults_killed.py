"""SIGKILL at each step of a renewal and of a save: what the next broker finds and does."""

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path

import dying_broker
import pytest
from processes import Home, Usps, until

SLOTS = {"bearer": "token", "payment": "payment-authorization"}
PASSAGES = 6
"""A cold start passes each step of a save about so often."""


@pytest.fixture(scope="module")
def usps():
    """One USPS for all, which takes as many calls as they make."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


def handed_out_by_one_that_dies(home, at):
    """The tokens that a broker gave away before it died at that point; None if it did not die."""
    command = [sys.executable, dying_broker.__file__, "run", "--config", str(home.config)]
    environ = {"UTB_DIE_AT": at, "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            seen = {}
            until(lambda: asked(home, seen) or process.poll() is not None)
            # Whatever it has yet to save is saved in its own time; then nothing more happens.
            until(lambda: process.poll() is not None or is_quiet(home))
            if process.poll() is None:  # it never came there, and shall lose nothing by our hand
                process.terminate()
            return seen if process.wait(30) == -signal.SIGKILL else None
        finally:
            process.kill()


def asked(home, seen):
    for slot in SLOTS:
        try:
            status, _, body = home.get(f"/v1/tokens/{slot}?wait=5")
        except (OSError, http.client.HTTPException):  # not there yet, or not any more
            return False
        if status == 200:
            seen[slot] = json.loads(body)["token"]
    return set(seen) == set(SLOTS)


def is_quiet(home):
    state = home.folder / "state" / "state"
    return state.exists() and not Path(f"{state}.new").exists()


@pytest.mark.parametrize("point", dying_broker.POINTS)
def test_a_kill_there_loses_no_token_and_costs_one_call_at_most(usps, point, dice, rounds, tried):
    """What was handed out is served on by the next; the endpoint sees one call more at most."""
    numbers = rounds([1], [1, *dice.sample(range(2, PASSAGES + 1), 3)])
    for number in numbers:
        usps.ask("POST", "/sim/reset")
        home = Home(usps.base_url)
        try:
            seen = handed_out_by_one_that_dies(home, f"{point}:{number}")
            assert number > 1 or seen is not None, "it never came there"
            with home.broker() as broker:
                after = {slot: home.token(slot)["token"] for slot in SLOTS}
                assert "Traceback" not in broker.errors()
                assert "set aside" not in broker.errors()
            for slot, value in (seen or {}).items():
                assert after[slot] == value
            for endpoint in SLOTS.values():
                assert usps.calls(endpoint) <= (1 if seen is None else 2)
                assert usps.most_at_once(endpoint) == 1
            if seen is not None:
                tried("SIGKILL at a step of a renewal or of a save", 1, 6 + len(seen))
        finally:
            home.remove()
