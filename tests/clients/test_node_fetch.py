"""The Node.js client alone: requests that were made before, and callers that give up."""

import os
import shutil
import subprocess

import pytest
from language_clients import CLIENTS, LanguageClient
from scripted_broker import Silence
from spying_host import Says, SpyingHost

PAYMENT = "x-payment-authorization-token"
LABEL = "/labels/v3/label"
LONG_SECONDS = 1
VERDICT = {
    "code": "token_dead",
    "detail": "it was dead",
    "fix": "nothing to do",
    "retry": True,
    "outcome": "renewed",
    "headers": {"Authorization": "Bearer bearer-2"},
    "serials": {"bearer": 1002},
}


@pytest.fixture
def usps(broker):
    """The host the broker's tokens are for."""
    with SpyingHost() as host:
        broker.base_url = host.url
        yield host


@pytest.fixture
def node(broker):
    """A driver whose client waits longer than a caller may like."""
    with LanguageClient("node") as driver:
        driver.ask("new", socket=broker.path, timeout=LONG_SECONDS)
        yield driver


def test_a_request_object_is_sent_as_it_is(node, usps):
    """Its method, headers and body, and ours."""
    mine = {"Content-Type": "application/json"}
    said = node.ask(
        "fetch", url=usps.url + LABEL, method="PUT", headers=mine, body="{}", request=True
    )
    assert said["status"] == 200
    [call] = usps.calls
    assert (call.method, call.body) == ("PUT", b"{}")
    assert call.headers["content-type"] == "application/json"
    assert (call.headers["authorization"], call.headers[PAYMENT]) == (
        "Bearer bearer-1",
        "payment-1",
    )


@pytest.mark.parametrize("body", [None, "{}"])
def test_a_request_object_is_sent_again_if_it_has_no_body(node, usps, broker, body):
    """A body it has is a stream, and used up; the verdict is there all the same."""
    usps.answers = [Says(401)]
    broker.verdict = VERDICT
    method = "GET" if body is None else "POST"
    said = node.ask("fetch", url=usps.url + "/x", method=method, body=body, request=True)
    assert said["status"] == (200 if body is None else 401)
    assert said["verdict"]["outcome"] == "renewed"


@pytest.mark.parametrize("request_object", [False, True])
def test_who_gives_up_does_not_wait_for_the_broker(node, usps, broker, request_object):
    """The signal counts from the first moment, and for this caller alone."""
    broker.always = Silence()
    node.send("fetch", url=usps.url, given_up=True, request=request_object)
    with pytest.raises(AssertionError, match="AbortError"):
        node.heard()
    assert not usps.calls


class BrokenOff(SpyingHost):
    """Answers 401, and hangs up in the middle of its body."""

    def _answer(self, handler):
        self._body(handler)
        self.calls.append(handler.path)
        handler.send_response(401)
        handler.send_header("Content-Length", "99")
        handler.end_headers()
        handler.wfile.write(b'{"error": "exp')


def test_a_401_that_breaks_off_is_told_as_far_as_it_came(node, broker):
    """The caller meets the error where the body is read."""
    with BrokenOff() as host:
        broker.base_url = host.url
        broker.verdict = {**VERDICT, "retry": False}
        node.send("fetch", url=host.url)
        with pytest.raises(AssertionError, match="terminated"):
            node.heard()
    [told] = [asked.json() for asked in broker.requests if asked.path == "/v1/answers"]
    assert told["body"] == '{"error": "exp'


@pytest.mark.parametrize("timeout", ["5", 0, -1, None])
def test_a_timeout_that_is_no_number_above_zero_is_refused(node, timeout):
    """A text would be glued to a number, and never be over."""
    node.send("new", timeout=timeout)
    with pytest.raises(AssertionError, match="timeout"):
        node.heard()


def test_the_example_of_the_readme_works(usps, broker, tmp_path):
    """In a module of a program that has the package, under its name."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    example = (
        (CLIENTS / "node" / "README.md").read_text("utf-8").split("```js\n")[1].split("```")[0]
    )
    program = tmp_path / "worker.mjs"
    program.write_text(
        "const label = { a: 1 };\n"
        + example.replace("https://apis.usps.com", usps.url)
        + "console.log(response.status, BrokerError.name);\n"
    )
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "usps-token-client").symlink_to(CLIENTS / "node")
    environ = {"PATH": os.environ["PATH"], "USPS_TOKEN_SOCKET": broker.path}
    said = subprocess.check_output([node, program], env=environ, timeout=60, text=True)
    assert said == "200 BrokerError\n"
    [call] = usps.calls
    assert call.headers[PAYMENT] == "payment-1"
    assert call.body == b'{"a":1}'
