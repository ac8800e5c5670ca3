"""Every reason to ask USPS, while USPS is being asked: it sees one call for a token at a time."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import Home, Usps, until

SLOTS = {"token": "bearer", "payment-authorization": "payment"}
CALLERS = 20
NEW_SECRET = "rotated"
DEAD = {
    "token": '{"error": {"code": "401", "message": "Access token expired."}}',
    "payment-authorization": '{"error": {"code": "401", "message": '
    '"Invalid payment authorization token."}}',
}
PATH = {"token": "/addresses/v3/address", "payment-authorization": "/labels/v3/label"}


@pytest.fixture
def usps():
    """A USPS that takes as many calls as it is given."""
    with Usps("--quota", "token=none", "--quota", "payment-authorization=none") as process:
        yield process


def all_at_once(ask):
    """Many callers do this; it does not matter what they are told."""
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(lambda _: ask(), range(CALLERS)))


def report(home, endpoint, serials):
    """A worker's word that USPS refused this token."""
    body = {"status": 401, "body": DEAD[endpoint], "path": PATH[endpoint], "serials": serials}
    home.ask("POST", "/v1/answers?wait=0", body)


def reasons(home, usps, broker, endpoint):
    """What makes a broker ask USPS for this token: each as something to do."""
    slot = SLOTS[endpoint]
    serials = {name: home.token(name)["serial"] for name in SLOTS.values()}
    return {
        "callers": lambda: all_at_once(
            lambda: home.get(f"/v1/tokens/{slot}?wait=0&min_valid=28000")
        ),
        "orders": lambda: all_at_once(lambda: home.renew(slot, wait=0)),
        "reports": lambda: all_at_once(lambda: report(home, endpoint, serials)),
        "a reload": lambda: home.ask("POST", "/v1/reload?wait=0", admin=True),
        "SIGHUP": lambda: hang_up(home, broker),
        "a new secret": lambda: renewed_secret(home, usps),
        "stopped and continued": lambda: stopped_and_continued(broker),
        "tokens forgotten": lambda: forgotten(home, slot),
    }


def hang_up(home, broker):
    """Have the configuration read again, and wait until it was."""
    before = broker.errors().count("reload")
    broker.process.send_signal(signal.SIGHUP)
    until(lambda: broker.errors().count("reload") > before, broker.errors)


def renewed_secret(home, usps):
    """USPS has another one, which is proved by a call."""
    usps.ask("PUT", "/sim/settings", {"client_secret": NEW_SECRET})
    home.write_secret(NEW_SECRET)
    home.ask("POST", "/v1/reload?wait=0", admin=True)


def stopped_and_continued(broker):
    """As a suspended machine is."""
    broker.process.send_signal(signal.SIGSTOP)
    broker.process.send_signal(signal.SIGCONT)


def forgotten(home, slot):
    """Nothing is held any more, and many want it."""
    home.ask("POST", f"/v1/forget?slot={slot}", admin=True)
    all_at_once(lambda: home.get(f"/v1/tokens/{slot}?wait=0"))


def under_way(usps, home, endpoint):
    """Have a call begin that USPS does not answer until it is let go."""
    usps.ask("POST", "/sim/faults", {"name": "hold", "endpoint": endpoint})
    before = usps.calls(endpoint)
    home.renew(SLOTS[endpoint], wait=0)
    until(lambda: usps.calls(endpoint) > before, home.status)


def tempted(usps, home, endpoint, dice):
    """One broker is given every reason to ask, in any order; how many there were."""
    slot = SLOTS[endpoint]
    with home.broker() as broker:
        for each in SLOTS.values():
            home.first_token(each)
        under_way(usps, home, endpoint)
        todo = list(reasons(home, usps, broker, endpoint).items())
        dice.shuffle(todo)
        for name, do in todo:
            do()
            assert home.get("/healthz")[0] == 200
            assert usps.most_at_once(endpoint) == 1, name
    with home.broker():  # the one before was killed in mid-call
        all_at_once(lambda: home.get(f"/v1/tokens/{slot}?wait=0"))
        assert usps.most_at_once(endpoint) == 1
        usps.ask("DELETE", "/sim/faults")
        until(lambda: home.get(f"/v1/tokens/{slot}?wait=1")[0] == 200, home.status)
        assert {usps.most_at_once(each) for each in SLOTS} == {1}
    return len(todo) + 1


@pytest.mark.parametrize("endpoint", SLOTS)
def test_no_reason_makes_a_second_call_while_there_is_one(endpoint, usps, dice, rounds, tried):
    """Nor do all of them in any order, nor a kill and a broker after it."""
    for _ in range(rounds(1, 10)):
        usps.ask("PUT", "/sim/settings", {"client_secret": "demo-client-secret"})
        home = Home(usps.base_url, app="timeout_seconds = 60\ncalls_per_hour = 1000")
        try:
            count = tempted(usps, home, endpoint, dice)
        finally:
            usps.ask("DELETE", "/sim/faults")
            home.remove()
        tried("a reason to ask USPS, while USPS is being asked", count, 2 * count + 2)
