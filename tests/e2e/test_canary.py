"""No secret and no token anywhere but where it belongs, with every log turned up.

The client secret and the tokens are recognisable, and USPS quotes them in all that it says.
"""

import json
import signal
import stat
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from processes import Home, Process, until
from telling_usps import TellingUsps, spellings

SECRET = "kanari secret/+qzxvkj"
TOKEN = "KANARIsignature"
CANARIES = ("kanari", "KANARI", "qzxvkj")
"""No digits alone: figures and instants hold any four of them before long."""
FAKES = Path(__file__).parents[1] / "fakes"
LOUD = {"PYTHONPATH": str(FAKES), "PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1"}
KINDS = ("api", "oauth", "html", "header", "broken")


@contextmanager
def loud_broker(usps, secret=SECRET, **environ):
    """A broker of that USPS, and what lies where."""
    home = Home(usps.base_url)
    (home.folder / "client-secret").write_text(f"{secret}\n")
    command = ("loud_broker", "run", "--config", str(home.config))
    with Process(*command, environ={**LOUD, **environ}) as broker:
        yield home, broker
        broker.kill(signal.SIGTERM)
    home.remove()


@pytest.fixture(scope="module")
def story():
    """Everything that a broker said and left behind in a life with a refusal."""
    with TellingUsps(TOKEN) as usps, loud_broker(usps) as (home, broker):
        home.wait_for_socket(broker)
        said = list(live(home, usps))
        proc = Path(f"/proc/{broker.process.pid}")
        said.append((proc / "cmdline").read_bytes())
        with suppress(PermissionError):  # as whoever is not root finds it: better still
            said.append((proc / "environ").read_bytes())
        children = "".join(path.read_text() for path in proc.glob("task/*/children"))
        shape = look_around(home.folder)
        broker.kill(signal.SIGTERM)
        said.append(broker.errors().encode())
        yield {"said": said, "children": children, "shape": shape}


def live(home, usps):
    """Grants, a refusal, a report that quotes a token, and slips of workers."""
    tokens = [home.token(slot) for slot in ("bearer", "payment")]
    assert all(TOKEN in token["token"] for token in tokens)
    usps.refuse = "api"
    yield report(home, tokens)
    until(lambda: home.slot()["trouble"], home.status)
    yield from look(home)
    value = tokens[0]["token"]
    for target in (f"/v1/tokens/{value}", f"/v1/tokens/bearer?app={value}", f"/{value}?{value}=1"):
        home.get(target)
    home.ask("POST", "/v1/answers", {"status": value, "body": value})


def report(home, tokens):
    """What the broker says to a worker that was told its own token."""
    body = json.dumps({"error": {"code": "401", "message": f"expired: {tokens[0]['token']}"}})
    serials = {"bearer": tokens[0]["serial"], "payment": tokens[1]["serial"]}
    message = {"status": 401, "body": body, "path": "/a", "serials": serials}
    answer = json.loads(home.ask("POST", "/v1/answers?wait=0", message)[2])
    answer.pop("headers", None)  # that is where tokens belong
    return json.dumps(answer).encode()


def look(home):
    calls = ("/v1/status", "/readyz", "/healthz", "/v1/tokens/bearer?min_valid=9999")
    for target in (*calls, "/metrics", "/openapi.json"):
        yield home.get(target)[2]


def look_around(folder):
    """Each file with its mode, and whether a canary is in it."""
    shape = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        name = str(path.relative_to(folder))
        sings = any(canary.encode() in content for canary in CANARIES)
        shape[name] = (oct(stat.S_IMODE(status.st_mode)), sings)
    return shape


def test_the_story_is_one(story):
    """There was a refusal that quoted the secret: else nothing would be shown."""
    log = story["said"][-1].decode()
    assert "WARNING" in log or "ERROR" in log
    assert "[…]" in log


@pytest.mark.parametrize("canary", CANARIES)
def test_nothing_that_the_broker_said_holds_a_secret(story, canary):
    """Logs, status, problems, verdicts, argv and environment."""
    for text in story["said"]:
        assert canary.encode() not in text


def test_only_the_state_and_the_secret_hold_any_and_only_their_owner_reads_them(story):
    """0600 in a directory of mode 0700; the rest is for everybody and empty of them."""
    shape = story["shape"]
    assert {name for name, (_, sings) in shape.items() if sings} == {"client-secret", "state/state"}
    assert shape["state"][0] == "0o700"
    assert shape["client-secret"][0] == "0o600"
    assert shape["state/state"][0] == "0o600"
    inside = [name for name in shape if name.startswith("state/")]
    assert all(shape[name][0] == "0o600" for name in inside)


def test_it_has_no_children(story):
    """Whose arguments and environment others could read."""
    assert story["children"].split() == []


def test_the_secret_in_the_environment_goes_no_further():
    """In a container there may be no file: it is in our own environment and in nothing we say."""
    with TellingUsps(TOKEN) as usps:
        home = Home(usps.base_url)
        usps.refuse = "oauth"
        environ = {
            **LOUD,
            "USPS_CLIENT_ID": "the-id",
            "USPS_CLIENT_SECRET": SECRET,
            "USPS_BASE_URL": usps.base_url,
            "USPS_TOKEN_SOCKET": str(home.socket),
            "USPS_TOKEN_STATE_DIR": str(home.folder / "state"),
        }
        with Process("loud_broker", "run", environ=environ) as broker:
            home.wait_for_socket(broker)
            until(lambda: home.slot()["trouble"], home.status)
            said = json.dumps(home.status())
            assert "invalid_client" in said
            broker.kill(signal.SIGTERM)
            said += broker.errors() + (home.folder / "state" / "state").read_text()
        home.remove()
    assert not any(canary in said for canary in CANARIES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("slot", "path"), [("bearer", "oauth2"), ("payment", "payments")])
def test_a_usps_that_quotes_what_it_was_asked_with_is_quoted_without_it(kind, slot, path):
    """In the log, in status, in the problem and in the state: whatever shape the answer has."""
    with TellingUsps(TOKEN) as usps:
        usps.refuse, usps.refused_path = kind, path
        with loud_broker(usps) as (home, broker):
            home.wait_for_socket(broker)
            until(lambda: home.slot(slot)["trouble"], home.status)
            said = b"".join(look(home)) + home.get(f"/v1/tokens/{slot}?wait=0")[2]
            broker.kill(signal.SIGTERM)
            said += broker.errors().encode()
            state = json.loads((home.folder / "state" / "state").read_bytes().partition(b"\n")[2])
    said += json.dumps([slot["trouble"] for slot in state["slots"]]).encode()
    assert usps.refusals
    assert not any(canary.encode() in said for canary in CANARIES)


PLAIN = "kQ7vWx2NfGh8LpRtB5yZ"
"""A secret as USPS makes them: it may stand wherever a word may."""


@pytest.mark.parametrize("kind", ["spellings", "code", "chunks", "cut", "grant"])
def test_an_echo_in_another_writing_or_place_is_not_passed_on(kind):
    """Nor handed to a worker, should USPS grant the secret itself; no part of six characters."""
    with TellingUsps(TOKEN) as usps:
        usps.refuse, usps.refused_path = kind, "oauth2"
        with loud_broker(usps, PLAIN) as (home, broker):
            home.wait_for_socket(broker)
            until(lambda: home.slot()["trouble"], home.status)
            said = b"".join(look(home)) + home.get("/v1/tokens/bearer?wait=0")[2]
            broker.kill(signal.SIGTERM)
            said += broker.errors().encode() + (home.folder / "state" / "state").read_bytes()
    assert usps.refusals
    written = said.decode().lower()
    for parts in (PLAIN, *spellings(PLAIN).values()):
        width = max(6, 6 * len(parts) // len(PLAIN))
        windows = (parts[at : at + width].lower() for at in range(len(parts) - width + 1))
        assert not any(window in written for window in windows if "%" not in window[-2:]), parts


def test_a_crash_tells_no_secret():
    """A bug ends the broker with 70 and a traceback: places, and no values."""
    with TellingUsps(TOKEN) as usps, loud_broker(usps, LOUD_BROKER_BREAKS="grant") as (_, broker):
        assert broker.process.wait(30) == 70
        errors = broker.errors()
    assert "a bug in the broker ended it; please report what follows" in errors
    assert "RuntimeError: an invariant does not hold" in errors
    assert "Traceback" in errors
    assert not any(canary in errors for canary in CANARIES)
