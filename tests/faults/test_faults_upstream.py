"""Every fault of the simulator, alone, at a broker that holds good tokens; real processes."""

import json

import pytest
from fault_cases import cases, play
from processes import Home, Usps, until

from usps_token_broker.simulator.names import Api

LIFE_SECONDS = 600
SLOTS = {"token": "bearer", "payment-authorization": "payment"}
CASES = cases(Api.TOKEN, Api.PAYMENT)
PARTS = 3
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
def usps():
    """One USPS for all, with short lives, so that retries come soon."""
    quotas = ("--quota", "token=none", "--quota", "payment-authorization=none")
    with Usps("--life", str(LIFE_SECONDS), *quotas) as process:
        yield process


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
            before = {slot: home.token(slot) for slot in SLOTS.values()}
            play(usps, case, GENTLER)
            home.renew(slot, wait=5)
            checks = 1 + check(home, broker, before)
            usps.ask("DELETE", "/sim/faults")
            home.renew(slot, wait=5)
            until(lambda: is_well(home, slot), lambda: json.dumps(home.slot(slot)))
            return checks + 1 + check(home, broker, before)
    finally:
        usps.ask("DELETE", "/sim/faults")
        home.remove()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_fault_costs_no_good_token_and_is_over_when_it_is_over(part, usps, dice, rounds, tried):
    """Each row of the simulator's table; the short form draws one of those that are soon over."""
    soon_over = [case for case in CASES if case.name not in HALTING]
    for case in rounds([dice.choice(soon_over)], CASES[part::PARTS]):
        print(case)  # noqa: T201 - which one it was, beside a failure
        tried("fault at USPS, alone, real processes", 1, tormented(usps, case))
