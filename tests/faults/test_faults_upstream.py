"""Every fault of the simulator, alone, at a broker that holds good tokens; real processes."""

import contextlib
import json
import queue
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_cases import cases, play
from processes import Home, Usps, until

from usps_token_broker.simulator.names import Api

LIFE_SECONDS = 600
SLOTS = {"token": "bearer", "payment-authorization": "payment"}
CASES = cases(Api.TOKEN, Api.PAYMENT)
PARTS = 3
SIDE_BY_SIDE = 4
"""Faults of a part that are played at once, each at a USPS of its own: most of it is waiting."""
HALTING = {"account_state", "not_enrolled", "unauthorized", "rate_limited", "rate_limited_until"}
"""What keeps a broker from asking again for a while, shrunk with the life of its tokens."""
GENTLER = {
    "huge_body": 5,
    "past_end": -60,
    "short_life": 120,
    "delay": 0.3,
    "drip": 0.3,
    "rate_limited": 2,
    "rate_limited_until": 2,
}
"""Values that show the fault as well and take less of a test's time."""


@pytest.fixture(scope="module")
def hosts():
    """Lends a USPS to each who plays a fault; their lives are short, so that retries come soon."""
    idle = queue.LifoQueue()
    options = ("--quota", "token=none", "--quota", "payment-authorization=none")

    @contextlib.contextmanager
    def lend():
        try:
            usps = idle.get_nowait()
        except queue.Empty:
            usps = all_of_them.enter_context(Usps("--life", str(LIFE_SECONDS), *options))
        try:
            yield usps
        finally:
            idle.put(usps)

    with contextlib.ExitStack() as all_of_them:
        yield lend


def check(home, broker, before):
    """What holds whatever USPS does; how many facts that are."""
    assert json.loads(home.get("/healthz")[2])["alive"]
    for slot, held in before.items():
        served = home.token(slot)
        assert served["expires_in"] > 0
        assert served["serial"] >= held["serial"]
    for window in home.status()["apps"][0]["budget"]:
        assert window["used_last_hour"] <= window["calls_per_hour"]
    assert "Traceback" not in broker.errors()
    return 2 + 2 * len(before) + 2


def is_well(home, slot):
    """Whether nothing is wrong with it any more."""
    said = home.slot(slot)
    return said["trouble"] is None and said["freshness"] == "fresh"


def tormented(usps, case):
    """One fault from beginning to end; how many facts were looked at."""
    slot = SLOTS[case.api]
    home = Home(usps.base_url, app="timeout_seconds = 1\ncalls_per_hour = 60")
    try:
        with home.broker() as broker:
            before = {slot: home.first_token(slot) for slot in SLOTS.values()}
            play(usps, case, GENTLER)
            home.renew(slot, wait=5)
            checks = 1 + check(home, broker, before)
            usps.ask("DELETE", "/sim/faults")
            home.renew(slot, wait=5)
            until(lambda: is_well(home, slot), lambda: json.dumps(home.slot(slot)))
            assert {usps.most_at_once(endpoint) for endpoint in SLOTS} == {1}
            return checks + 1 + len(SLOTS) + check(home, broker, before)
    finally:
        usps.ask("DELETE", "/sim/faults")
        home.remove()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_fault_costs_no_good_token_and_is_over_when_it_is_over(part, hosts, dice, rounds, tried):
    """Each row of the simulator's table; the short form draws one of those that are soon over."""
    soon_over = [case for case in CASES if case.name not in HALTING]
    failures = []

    def outcome(case):
        try:
            with hosts() as usps:
                return tormented(usps, case)
        except Exception:  # noqa: BLE001 - the others are played to their end
            failures.append(f"{case}\n{traceback.format_exc()}")
            return 0

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for checks in pool.map(outcome, rounds([dice.choice(soon_over)], CASES[part::PARTS])):
            tried("fault at USPS, alone, real processes", 1, checks)
    assert not failures, "\n".join(failures)
