"""Faults of USPS one after another on one running broker, and at one that holds nothing yet."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_cases import cases, play
from processes import Home, Usps, until

from usps_token_broker.simulator.names import Api

LIFE_SECONDS = 48
"""So short that an attempt comes back to a slot's bucket every second."""
ENOUGH_SECONDS = 30
"""What a token has left that outlives any step here."""
CALLERS = 8
SLOTS = {"token": "bearer", "payment-authorization": "payment"}
QUESTIONS = tuple(
    f"/v1/{what}wait=1"
    for what in ("tokens/bearer?", "tokens/payment?", "headers?payment=default&")
)
PARTS = 2
CASES = cases(Api.TOKEN, Api.PAYMENT)
IN_SEQUENCE = [case for case in CASES if case.name != "opaque_token"]
"""Without a life of its own a token is held for eight hours, which no short one outlives."""
GENTLER = {
    "huge_body": 5,
    "past_end": -60,
    "short_life": 20,
    "delay": 0.3,
    "drip": 0.3,
    "rate_limited": 1,
    "rate_limited_until": 1,
    "unavailable": 1,
}
"""Values that show the fault as well and take less of a test's time."""


@pytest.fixture
def usps():
    """A USPS whose tokens are short, and which takes as many calls as it is given."""
    quotas = ("--quota", "token=none", "--quota", "payment-authorization=none")
    with Usps("--life", str(LIFE_SECONDS), *quotas) as process:
        yield process


@pytest.fixture
def home(usps):
    """A broker's folder, with little patience."""
    home = Home(usps.base_url, app="timeout_seconds = 1\ncalls_per_hour = 1000")
    yield home
    home.remove()


def attempted(home, usps, api):
    """Order one until USPS has seen a call for it, or none can be made with such a bearer."""
    before = usps.calls(api)

    def is_done():
        _, told = home.renew(SLOTS[api], wait=1)
        return told.get("code") == "scope_missing" or usps.calls(api) > before

    until(is_done)


def everybody_is_answered(home):
    """Many callers at once get a token or a problem that says what to do; how many."""
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(home.get, QUESTIONS * (CALLERS // len(QUESTIONS) + 1)))
    for status, headers, body in answers:
        said = json.loads(body)
        if status != 200:
            assert headers["Content-Type"] == "application/problem+json"
            assert said["code"]
            assert said["detail"]
            assert said["fix"]
    return len(answers)


def check(home, usps, broker):
    """What holds whatever USPS does; how many facts that are."""
    assert broker.process.poll() is None
    assert home.get("/healthz")[0] == 200
    assert "Traceback" not in broker.errors()
    # Read before USPS is asked: a call may begin between the two, and is charged before it does.
    seen = {endpoint: usps.calls(endpoint) for endpoint in SLOTS}
    for window in home.status()["apps"][0]["budget"]:
        assert seen[window["endpoint"]] <= window["used_last_hour"] <= window["calls_per_hour"]
        assert usps.most_at_once(window["endpoint"]) <= 1
    return 7 + everybody_is_answered(home)


def gets_well(home, usps, endpoints):
    """The faults are over: these tokens come anew; how many facts."""
    usps.ask("DELETE", "/sim/faults")
    for slot in {SLOTS[endpoint] for endpoint in endpoints}:
        until(lambda slot=slot: home.renew(slot, wait=1)[0] == 200, home.status)
        assert home.slot(slot)["trouble"] is None
        assert home.token(slot)["expires_in"] > 0
    return 2 * len(endpoints)


def begins_to_work(home, usps):
    """A fault is over at a broker that had nothing: tokens come, or it says when it asks again.

    A slot without a token fills its bucket in the time of a full life, whatever USPS's lives are,
    and what USPS refused for good is not asked for at once.
    """
    usps.ask("DELETE", "/sim/faults")
    for slot in SLOTS.values():
        until(
            lambda slot=slot: home.renew(slot, wait=1)[0] == 200 or settled(home, slot),
            home.status,
        )
        seen = until(lambda slot=slot: settled(home, slot), home.status)
        if seen["freshness"] != "fresh":
            assert seen["trouble"]["fix"]
            assert seen["next_attempt_at"] > seen["trouble"]["at"]
            break  # without a bearer there is no payment token
        assert home.token(slot)["expires_in"] > 0
    return 2


def settled(home, slot):
    """How it stands, once it has a good token, or no attempt is made just now nor can be soon."""
    seen = home.slot(slot)
    is_out = seen["trouble"] and seen["attempts_left"] < 1 and seen["phase"] != "fetching"
    return seen if seen["freshness"] == "fresh" or seen["phase"] == "halted" or is_out else None


@pytest.mark.parametrize("run", range(2))
def test_one_broker_outlives_fault_after_fault(run, usps, home, dice, rounds, tried):
    """In random order, sometimes two at once; tokens that are good are served meanwhile."""
    with home.broker() as broker:
        for _ in range(rounds(2, 75)):
            before = {slot: home.first_token(slot) for slot in SLOTS.values()}
            faults = dice.sample(IN_SEQUENCE, dice.choice((1, 1, 2)))
            print(faults)  # noqa: T201 - which they were, beside a failure
            for fault in faults:
                play(usps, fault, GENTLER)
            attempted(home, usps, faults[0].api)
            checks = 0
            for slot, held in before.items():
                if held["expires_in"] > ENOUGH_SECONDS:
                    assert home.token(slot)["serial"] >= held["serial"]
                    checks += 1
            checks += check(home, usps, broker)
            checks += gets_well(home, usps, {fault.api for fault in faults})
            tried("faults at USPS in a random sequence, one broker", len(faults), checks)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_broker_that_holds_nothing_starts_under_any_fault(part, usps, dice, rounds, tried):
    """Callers are told why they wait; when the fault is over there are tokens."""
    for fault in rounds([dice.choice(CASES)], CASES[part::PARTS]):
        print(fault)  # noqa: T201 - which one it was, beside a failure
        usps.ask("POST", "/sim/reset")
        play(usps, fault, GENTLER)
        home = Home(usps.base_url, app="timeout_seconds = 1\ncalls_per_hour = 1000")
        try:
            with home.broker() as broker:
                checks = everybody_is_answered(home) + check(home, usps, broker)
                checks += begins_to_work(home, usps)
            tried("fault at USPS, at a broker without tokens", 1, checks)
        finally:
            usps.ask("DELETE", "/sim/faults")
            home.remove()
