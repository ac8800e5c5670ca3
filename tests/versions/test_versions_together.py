"""A client of one release and a broker of another, for real: what works today goes on working."""

import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import Home, Usps
from releases import OLD, TODAY

from usps_token_broker import version
from usps_token_broker.simulator import EXAMPLE_LABEL

STORY = Path(__file__).with_name("shim_story.py")
ADDRESS = [
    "GET",
    "/addresses/v3/address?streetAddress=475+LENFANT+PLZ+SW&city=WASHINGTON&state=DC",
    None,
]
LABEL = ["POST", "/labels/v3/label", dict(EXAMPLE_LABEL)]
PAIRS = {"old client, new broker": (OLD, TODAY), "new client, old broker": (TODAY, OLD)}


class Pair:
    """A broker of one release, and a client of another that asks it."""

    def __init__(self, client, broker, home, usps):
        self.client = client
        self.broker = broker
        self.home = home
        self.usps = usps

    def story(self, name, *arguments):
        return self.client.play(STORY, name, str(self.home.socket), *arguments)

    def shim(self, *arguments, **more):
        return self.client.shim(*arguments, "--socket", str(self.home.socket), **more)


@contextmanager
def met(client, broker):
    with Usps() as usps:
        home = Home(usps.base_url)
        with home.broker(broker.broker_environ) as process:
            home.token("payment")
            yield Pair(client, broker, home, usps)
            assert process.kill(signal.SIGTERM) == 0
            assert "Traceback" not in process.errors()
        home.remove()


@pytest.fixture(params=PAIRS.values(), ids=PAIRS, scope="module")
def pair(request):
    """Both tokens are there; tests with it leave them as they are."""
    with met(*request.param) as pair:
        yield pair


@pytest.fixture(params=PAIRS.values(), ids=PAIRS)
def pair_of_its_own(request):
    """For a test that has tokens renewed, which the guard allows again only after a minute."""
    with met(*request.param) as pair:
        yield pair


# -- the releases are what they are called --------------------------------------------------------


def test_the_old_client_is_the_one_of_the_wheel(tmp_path):
    """And not the one that is installed here."""
    assert OLD.play(STORY, "where", str(tmp_path)).startswith(str(OLD.client_folder))
    assert OLD.shim("--version").stdout == "usps-token-client 0.1.0\n"
    assert str(OLD.client_folder) not in TODAY.play(STORY, "where", str(tmp_path))


def test_today_is_a_later_release():
    """Of broker and client alike: else nothing here would meet anything older."""
    said = TODAY.shim("--version").stdout.splitlines()[0].split()[-1]
    assert said == version()
    assert tuple(map(int, said.split("."))) > tuple(map(int, OLD.version.split(".")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a broker")
def test_the_broker_is_of_the_release_it_should_be(pair):
    """By its own word, which only a broker that came out of the wheel gives."""
    modules = Path(f"/proc/{pair.home.status()['pid']}/environ").read_bytes()
    is_old = pair.broker is OLD
    assert (str(OLD.broker_folder).encode() in modules) is is_old
    if is_old:
        assert pair.home.status()["version"] == "0.1.0"


# -- tokens ---------------------------------------------------------------------------------------


def test_tokens_and_headers(pair):
    """Taken, and confirmed by their ETag."""
    bearer, payment = pair.home.token(), pair.home.token("payment")
    for said in pair.story("read"):
        for slot, token in (("bearer", bearer), ("payment", payment)):
            assert said[slot] == {
                "value": token["token"],
                "degraded": False,
                "expires_at": pytest.approx(token["expires_at"], abs=2),
                **{name: token[name] for name in ("serial", "slot", "app", "scopes")},
            }
        assert said["headers"] == {
            "Authorization": f"Bearer {bearer['token']}",
            "X-Payment-Authorization-Token": payment["token"],
        }
        assert said["serials"] == {"bearer": bearer["serial"], "payment": payment["serial"]}
        assert said["base_url"] == pair.usps.base_url
        assert said["ready"] is True


def test_tokens_in_an_event_loop(pair):
    """The async client."""
    token, headers = pair.story("read_in_loop")
    assert token["value"] == pair.home.token()["token"]
    assert headers["X-Payment-Authorization-Token"] == pair.home.token("payment")["token"]


def test_what_does_not_exist_is_denied_with_the_brokers_words(pair):
    """As the broker worded it, whatever that is by now."""
    problem = json.loads(pair.home.get("/v1/tokens/payment-nope")[2])
    error = pair.story("ask", "nope")
    assert (error["error"], error["permanent"]) == ("TokenDenied", True)
    for name in ("code", "detail", "fix", "status"):
        assert error[name] == problem[name]


# -- answers of USPS ------------------------------------------------------------------------------


def test_a_dead_token_is_replaced_by_the_transport(pair_of_its_own):
    """A 401 of USPS is told, one call of renewal, and the call is sent again."""
    pair = pair_of_its_own
    before = pair.home.token()
    pair.usps.ask("POST", "/sim/revocations", {"what": "bearer"})
    calls = pair.usps.calls("token")
    [said] = pair.story("call", json.dumps([ADDRESS]))
    assert said["status"] == 200
    assert (said["verdict"]["outcome"], said["verdict"]["retry"]) == ("renewed", True)
    assert pair.home.token()["serial"] > before["serial"]
    assert pair.usps.calls("token") == calls + 1


def test_a_dead_payment_token_is_replaced_by_the_transport(pair_of_its_own):
    """The bearer is tried first, so the second label call is the one that gets through."""
    pair = pair_of_its_own
    before = pair.home.token("payment")
    pair.usps.ask("POST", "/sim/revocations", {"what": "payment"})
    calls = pair.usps.calls("payment-authorization")
    *_, last = pair.story("call", json.dumps([LABEL, LABEL]))
    assert last["status"] == 200
    assert pair.home.token("payment")["serial"] > before["serial"]
    assert pair.usps.calls("payment-authorization") == calls + 1


def test_an_old_serial_gets_the_current_token_and_no_call(pair):
    """The report of a worker that slept."""
    current = pair.home.token()
    calls = pair.usps.calls("token")
    used = json.dumps({"bearer": current["serial"] - 1})
    verdict = pair.story("report", "401", "{}", used)
    assert (verdict["outcome"], verdict["retry"]) == ("superseded", True)
    assert verdict["headers"]["Authorization"] == f"Bearer {current['token']}"
    assert pair.usps.calls("token") == calls


def test_what_no_token_mends_is_said(pair):
    """A 403 about the contract is not the token's fault."""
    body = '{"error": {"message": "Insufficient OAuth scope"}}'
    used = json.dumps({"bearer": pair.home.token()["serial"]})
    verdict = pair.story("report", "403", body, used)
    assert (verdict["outcome"], verdict["retry"]) == ("not_the_token", False)
    assert verdict["fix"]


# -- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize("slot", ["bearer", "payment"])
def test_the_command_prints_a_token(pair, slot):
    """Bare, and as JSON."""
    value = pair.home.token(slot)["token"]
    assert pair.shim(slot).stdout == f"{value}\n"
    assert json.loads(pair.shim(slot, "--json").stdout)["token"] == value


def test_the_command_prints_headers(pair):
    """One a line."""
    assert pair.shim("headers", "--payment").stdout.splitlines() == [
        f"Authorization: Bearer {pair.home.token()['token']}",
        f"X-Payment-Authorization-Token: {pair.home.token('payment')['token']}",
    ]


def test_the_command_waits(pair):
    """There is a token, so not for long."""
    done = pair.shim("wait", "--slot", "bearer", "payment")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_puts_the_status_into_words(pair):
    """Words and not the JSON that it falls back to for a broker it does not understand."""
    said = pair.shim("status")
    assert said.returncode == 0
    version = pair.home.status()["version"]
    assert said.stdout.startswith(f"usps-token-broker {version}, pid ")
    assert "payment" in said.stdout
    assert "{" not in said.stdout


def test_the_command_becomes_another_with_the_tokens(pair):
    """`exec`: in the environment."""
    done = pair.client.shim(
        *("exec", "--socket", str(pair.home.socket), "--payment", "--", "sh", "-c"),
        'echo "$USPS_BEARER_TOKEN $USPS_PAYMENT_TOKEN"',
    )
    bearer, payment = (pair.home.token(slot)["token"] for slot in ("bearer", "payment"))
    assert done.stdout == f"{bearer} {payment}\n"


# -- a cold start ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("client", "broker"), PAIRS.values(), ids=PAIRS)
def test_a_broker_that_has_no_token_yet_is_waited_for(client, broker):
    """USPS takes its time; one call is enough for all who came too early."""
    with Usps("--fault", "delay=1@token") as usps:
        home = Home(usps.base_url)
        with home.broker(broker.broker_environ):
            token = client.play(STORY, "ask", str(home.socket), "bearer")
            done = client.shim("wait", "--socket", str(home.socket))
            assert token["value"] == home.token()["token"]
        home.remove()
        assert usps.calls("token") == 1
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("client", "broker"), PAIRS.values(), ids=PAIRS)
def test_refused_credentials_are_said(client, broker):
    """The broker's denials mean to one release what they mean to the other."""
    with Usps("--fault", "invalid_client=wrong_secret@token") as usps:
        home = Home(usps.base_url)
        with home.broker(broker.broker_environ):
            error = client.play(STORY, "ask", str(home.socket), "bearer")
            done = client.shim("bearer", "--socket", str(home.socket))
        home.remove()
    assert (error["error"], error["code"]) == ("TokenDenied", "credentials_refused")
    assert (error["permanent"], error["status"]) == (True, 502)
    assert error["fix"]
    assert done.returncode == 78
    assert "credentials_refused" in done.stderr
