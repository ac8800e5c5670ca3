"""Faults of the APIs that workers call: a real worker meets them and tells the broker."""

import contextlib
import json
import subprocess
import sys

import pytest
from fault_cases import cases, play
from processes import Home, Usps, until

from usps_token_broker.simulator import EXAMPLE_LABEL
from usps_token_broker.simulator.names import Api

pytest.importorskip("httpx")

WORKER = """
import json, sys
import httpx
from usps_token_client import BrokerError, TokenClient
socket, base_url, label = sys.argv[1:]
calls = {
    "addresses": ("GET", "/addresses/v3/address?streetAddress=1+A&city=B&state=DC", None),
    "labels": ("POST", "/labels/v3/label", json.loads(label)),
}
tokens = TokenClient(socket)
with httpx.Client(transport=tokens.transport(), base_url=base_url, timeout=1.0) as http:
    for line in sys.stdin:
        method, path, body = calls[line.strip()]
        try:
            answer = http.request(method, path, json=body)
        except httpx.HTTPError as error:
            said = {"error": type(error).__name__}
        else:
            verdict = answer.extensions.get("usps_token_verdict")
            said = {"status": answer.status_code}
            if "usps_token_error" in answer.extensions:
                said["untold"] = str(answer.extensions["usps_token_error"])
            if verdict is not None:
                said["verdict"] = [verdict.code, verdict.outcome, verdict.fix]
        print(json.dumps(said), flush=True)
"""
RENEWING = {"token_dead", "payment_token_dead"}
"""The verdicts that may cost a call of USPS."""
CASES = cases(Api.ADDRESSES, Api.LABELS)
GENTLER = {"huge_body": 5, "delay": 0.3, "drip": 0.001}
"""Values that show the fault as well and take less of a test's time."""


class Worker:
    """A process that makes a call whenever it is told which."""

    def __init__(self, home, usps):
        label = json.dumps(dict(EXAMPLE_LABEL))
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(home.socket), usps.base_url, label],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, api):
        """What came of one call."""
        self.process.stdin.write(f"{api}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def usps():
    """A USPS that takes as many calls as it is given."""
    apis = ("token", "payment-authorization", "addresses", "labels")
    with Usps(*(word for api in apis for word in ("--quota", f"{api}=none"))) as process:
        yield process


@pytest.fixture
def place(usps):
    """Where one broker and one worker are at work: the folder, both processes."""
    home = Home(usps.base_url, app="timeout_seconds = 2\ncalls_per_hour = 1000")
    with contextlib.ExitStack() as stack:
        stack.callback(home.remove)
        broker = stack.enter_context(home.broker())
        home.token("payment")
        yield home, broker, stack.enter_context(Worker(home, usps))


def spent(usps):
    """Calls for tokens so far."""
    return {endpoint: usps.calls(endpoint) for endpoint in ("token", "payment-authorization")}


def judge(said, cost):
    """What one call may come to, and what it may cost; how many facts."""
    code = said.get("verdict", [None])[0]
    assert "untold" not in said, said
    assert max(cost.values()) <= (1 if code in RENEWING else 0), said
    if said.get("status") == 401:
        assert code not in {"not_an_error", "not_recognised"}
        assert said["verdict"][2], "what to do is said"
        return 4
    assert code is None
    return 3


def test_a_fault_of_an_api_costs_one_renewal_at_most(usps, place, dice, rounds, tried):
    """None unless the broker finds that a token is dead; the worker is well when the fault is."""
    home, broker, worker = place
    for fault in dice.sample(CASES, rounds(20, len(CASES))):
        print(fault)  # noqa: T201 - which one it was, beside a failure
        before = spent(usps)
        play(usps, fault, GENTLER)
        said = worker.call(fault.api)
        cost = {endpoint: count - before[endpoint] for endpoint, count in spent(usps).items()}
        checks = judge(said, cost)
        usps.ask("DELETE", "/sim/faults")
        until(lambda api=fault.api: worker.call(api).get("status") == 200, home.status)
        assert home.get("/healthz")[0] == 200
        assert "Traceback" not in broker.errors()
        assert max(usps.most_at_once(endpoint) for endpoint in before) == 1
        tried("fault of a USPS API, at a worker with its transport", 1, checks + 4)
