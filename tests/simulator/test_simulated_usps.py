"""The simulator in a thread, for tests without an event loop."""

import json
import threading
import urllib.error
import urllib.request

import pytest
from simulated_usps import SimulatedUsps

from usps_token_broker.simulator import Fault, ManualClock, Settings

FORM = b"grant_type=client_credentials&client_id=demo-client-id&client_secret=demo-client-secret"


@pytest.fixture
def usps():
    with SimulatedUsps(Settings(life_seconds=60), clock=ManualClock()) as simulated:
        yield simulated


def ask_token(usps):
    try:
        with urllib.request.urlopen(f"{usps.base_url}/oauth2/v3/token", FORM, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_it_answers_while_the_block_runs(usps):
    """On a port of its own, with the settings it was given."""
    assert ask_token(usps)[1]["expires_in"] == 59


def test_it_is_gone_after_the_block():
    """Nobody listens, and the thread is at its end."""
    before = threading.active_count()
    with SimulatedUsps() as usps:
        pass

    with pytest.raises(urllib.error.URLError):
        ask_token(usps)
    assert threading.active_count() == before


def test_an_error_in_the_block_comes_out_as_it_is():
    """Not wrapped in a group."""
    with pytest.raises(ZeroDivisionError), SimulatedUsps():
        raise ZeroDivisionError


def test_it_can_be_broken_and_mended(usps):
    """By text or by Fault."""
    usps.inject("unavailable@tokenx1")
    injected = usps.inject(Fault("rate_limited", 5))

    assert [ask_token(usps)[0] for _ in range(2)] == [503, 429]
    usps.lift(injected)
    assert ask_token(usps)[0] == 200


def test_a_held_call_is_let_go(usps):
    """And until then it can be waited for without sleeping."""
    held = usps.inject("hold")
    statuses = []
    caller = threading.Thread(target=lambda: statuses.append(ask_token(usps)[0]))
    caller.start()
    usps.wait_for_calls(1, "token")
    assert statuses == []

    usps.lift(held)
    caller.join(20)

    assert statuses == [200]


def test_waiting_in_vain_ends(usps):
    """With an error that says how many calls there were."""
    with pytest.raises(TimeoutError, match="saw 0"):
        usps.wait_for_calls(1, within_seconds=0.01)


def test_it_can_be_asked_what_it_saw(usps):
    """Counters and log, and how many tokens it granted."""
    ask_token(usps)
    usps.configure(client_secret="rotated")
    ask_token(usps)

    assert usps.calls() == usps.calls("token") == 2
    assert usps.calls_with_status(401) == usps.calls_with_code("invalid_client", "token") == 1
    assert [call.status for call in usps.log()] == [200, 401]
    assert usps.tokens_granted("bearer") == 1
    usps.reset()
    assert usps.calls() == 0


def test_tokens_can_be_revoked(usps):
    """And it says how many there were."""
    ask_token(usps)

    assert usps.revoke("bearer") == 1
    assert usps.clear_faults() == 0


def test_an_outage_begins_and_ends(usps):
    """On the same port."""
    address = usps.base_url
    usps.stop()
    with pytest.raises(urllib.error.URLError):
        ask_token(usps)

    usps.start()

    assert usps.base_url == address
    assert ask_token(usps)[0] == 200
