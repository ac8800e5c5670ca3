"""A real broker that is followed: by curl, and by `status --follow`."""

import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
from processes import DEADLINE_SECONDS, Home, until
from telling_usps import TellingUsps

from usps_token_broker.drivers import clock

CURL = shutil.which("curl")
needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed")
DEAD = '{"apiVersion": "3.0", "error": {"code": "401", "message": "The access token expired"}}'
SECRET = "kanari secret/+qzxvkj"
TOKEN = "KANARIsignature"
CANARIES = (b"kanari", b"KANARI", b"qzxvkj")


class Follower:
    """A process that prints a stream; `said` is all it printed so far."""

    def __init__(self, *command, terminal=False):
        self.said = b""
        self._read = 0
        reading, writing = pty.openpty() if terminal else os.pipe()
        self.output = reading
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(writing)

    def line(self):
        """The next line it prints; empty at the end."""
        while b"\n" not in self.said[self._read :]:
            if not self._more():
                return b""
        end = self.said.index(b"\n", self._read) + 1
        line, self._read = self.said[self._read : end], end
        return line

    def until(self, wanted):
        """The first line of which this is true."""
        give_up_at = clock.boot() + DEADLINE_SECONDS
        while (line := self.line()) and clock.boot() < give_up_at:
            if wanted(line):
                return line
        raise AssertionError(self.said)

    def event(self, kind, **fields):
        """The first event of this kind with these fields."""

        def is_it(line):
            event = json.loads(line)
            inside = event["slot"] if kind == "slot" else event
            return event["event"] == kind and fields.items() <= inside.items()

        return json.loads(self.until(is_it))

    def rest(self):
        """Its exit code and what it wrote to standard error, once it has ended."""
        while self._more():
            pass
        errors = self.process.stderr.read().decode()
        return self.process.wait(DEADLINE_SECONDS), errors

    def _more(self):
        readable, _, _ = select.select([self.output], [], [], DEADLINE_SECONDS)
        assert readable, self.said
        try:
            more = os.read(self.output, 65536)
        except OSError:  # a terminal that nobody has open any more
            more = b""
        self.said += more
        return bool(more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_SECONDS)
        self.process.stderr.close()
        os.close(self.output)


def by_curl(home, query=""):
    """As anybody would."""
    url = f"http://localhost/v1/events{query}"
    return Follower(CURL, "-sSN", "--unix-socket", str(home.socket), url)


def by_status(home, *options, **more):
    """As a person would."""
    command = (sys.executable, "-m", "usps_token_broker", "status", "--follow")
    return Follower(*command, "--socket", str(home.socket), *options, **more)


def renew(home, serial):
    """Has the bearer renewed, by the word of a worker that USPS refused."""
    report = {"status": 401, "body": DEAD, "path": "/addresses/v3/address"}
    status, _, body = home.ask("POST", "/v1/answers", {**report, "serials": {"bearer": serial}})
    assert (status, json.loads(body)["outcome"]) == (200, "renewed")


@needs_curl
def test_curl_sees_the_state_then_a_renewal_then_the_end(home):
    """One JSON object a line; at SIGTERM the stream ends as it should, and so does the broker."""
    with home.broker() as broker:
        first = home.token()["serial"]
        with by_curl(home) as curl:
            state = json.loads(curl.line())
            assert state["event"] == "status"
            assert state.keys() - {"event"} == home.status().keys()
            renew(home, first)
            assert curl.event("slot", slot="bearer", phase="fetching")["slot"]["serial"] == first
            renewed = curl.event("slot", slot="bearer", phase="idle")["slot"]
            assert renewed["serial"] == home.token()["serial"] > first
            assert broker.kill(signal.SIGTERM) == 0
            assert curl.rest() == (0, "")
            assert json.loads(curl.said.splitlines()[-1])["event"] == "stopping"
        assert "Traceback" not in broker.errors()


@needs_curl
def test_a_killed_broker_cuts_the_stream_off(home):
    """curl says so: nobody takes it for an end."""
    with home.broker() as broker:
        home.token()
        with by_curl(home) as curl:
            curl.line()
            broker.kill()
            assert curl.rest()[0] == 18  # CURLE_PARTIAL_FILE


@needs_curl
def test_a_reload_is_followed(home):
    """That it was, and then how everything stands."""
    with home.broker() as broker:
        home.token()
        with by_curl(home) as curl:
            assert json.loads(curl.line())["event"] == "status"
            broker.process.send_signal(signal.SIGHUP)
            curl.event("reloaded")
            assert json.loads(curl.line())["event"] == "status"


@needs_curl
def test_followers_that_left_are_forgotten(home):
    """Many come and go, one after another; more than may stay at once."""
    with home.broker() as broker:
        home.token()
        descriptors = broker.proc("fd")
        before = len([*descriptors.iterdir()])
        for _ in range(20):
            with by_curl(home) as curl:
                assert curl.line()
        until(lambda: len([*descriptors.iterdir()]) <= before)


@contextmanager
def open_stream(home):
    """The first words of the answer, while the connection is kept."""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(DEADLINE_SECONDS)
        connected.connect(str(home.socket))
        connected.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        yield connected.recv(12)


def test_so_many_may_follow_and_no_more(home):
    """Sixteen of one user; the next is told, all else is answered, and who leaves makes room."""

    def is_let_in():
        with open_stream(home) as words:
            return words == b"HTTP/1.1 200"

    with home.broker():
        home.token()
        with ExitStack() as stack:
            words = [stack.enter_context(open_stream(home)) for _ in range(17)]
            assert words == [b"HTTP/1.1 200"] * 16 + [b"HTTP/1.1 429"]
            status, _, body = home.get("/v1/events")
            assert (status, json.loads(body)["code"]) == (429, "too_many_requests")
            assert "already has 16 streams" in json.loads(body)["detail"]
            assert home.token()
        until(is_let_in)


def test_status_follow_tells_a_renewal_and_ends_with_ctrl_c(home):
    """Plain text where nobody looks, and the exit code of a shell for Ctrl-C."""
    with home.broker():
        first = home.token()["serial"]
        with by_status(home) as follower:
            assert follower.line().startswith(b"usps-token-broker ")
            follower.until(lambda line: line.startswith(b"  budget"))
            renew(home, first)
            follower.until(lambda line: b"default/bearer: fresh" in line and b"fetching" in line)
            follower.until(lambda line: b"default/bearer: fresh" in line and b"; idle" in line)
            follower.process.send_signal(signal.SIGINT)
            assert follower.rest() == (130, "")
            assert b"\x1b" not in follower.said


def test_status_follow_on_a_terminal_is_in_colour(home):
    """The same words."""
    with home.broker():
        first = home.token()["serial"]
        with by_status(home, terminal=True) as follower:
            follower.until(lambda line: b"usps-token-broker" in line and b"\x1b[1m" in line)
            renew(home, first)
            follower.until(lambda line: b"default/bearer: fresh" in line)
            follower.process.send_signal(signal.SIGINT)
            assert follower.rest() == (130, "")


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGTERM, "the broker is ending"), (signal.SIGKILL, "is lost")]
)
def test_status_follow_ends_with_the_broker(home, number, words):
    """75, and words; with --json the lines are the broker's."""
    with home.broker() as broker:
        home.token()
        with by_status(home) as plain, by_status(home, "--json") as raw:
            plain.line()
            assert json.loads(raw.line())["event"] == "status"
            broker.kill(number)
            for follower in (plain, raw):
                code, errors = follower.rest()
                assert code == 75
                assert words in errors
                assert "Traceback" not in errors
        last = json.loads(raw.said.splitlines()[-1])["event"]
        assert last == ("stopping" if number == signal.SIGTERM else last)


@needs_curl
def test_no_secret_in_any_line():
    """Of a USPS that quotes what it is told, through grants, refusals and the end."""
    with TellingUsps(TOKEN) as usps:
        home = Home(usps.base_url)
        (home.folder / "client-secret").write_text(f"{SECRET}\n")
        with home.broker() as broker, by_curl(home) as curl, by_status(home) as person:
            assert curl.line()
            assert person.line()
            tokens = [home.token(slot) for slot in ("bearer", "payment")]
            assert all(TOKEN in token["token"] for token in tokens)
            usps.refuse = "api"
            body = json.dumps(
                {"error": {"code": "401", "message": f"expired: {tokens[0]['token']}"}}
            )
            serials = {"bearer": tokens[0]["serial"]}
            message = {"status": 401, "body": body, "path": "/a", "serials": serials}
            home.ask("POST", "/v1/answers?wait=0", message)
            curl.until(lambda line: b'"trouble":{' in line)
            person.until(lambda line: b"    do: " in line)
            broker.kill(signal.SIGTERM)
            said = curl.said + person.said + json.dumps([curl.rest(), person.rest()]).encode()
            said += curl.said + person.said
        home.remove()
    assert usps.refusals
    assert b"stopping" in said
    assert not any(canary in said for canary in CANARIES)
