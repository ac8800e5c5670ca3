"""`usps-token` in sh, against a real broker and a simulated USPS."""

import json
import os
import pty
import shutil
import subprocess
import sys

import pytest
from processes import DEADLINE_SECONDS, Home, Usps
from token_programs import PROGRAMS, SHELLS, command, missing, run

ADDRESS = "/addresses/v3/address?streetAddress=475+LENFANT+PLZ+SW&city=WASHINGTON&state=DC"


@pytest.fixture(params=SHELLS)
def shell(request):
    """A shell that this machine has."""
    if missing(request.param):
        pytest.skip(f"there is no {missing(request.param)}")
    return request.param


@pytest.fixture(params=PROGRAMS)
def program(request):
    """`usps-token` in Python, and in a shell that this machine has."""
    if missing(request.param):
        pytest.skip(f"there is no {missing(request.param)}")
    return request.param


@pytest.fixture(scope="module")
def shop():
    """One broker with both tokens, for all tests here that leave it as it was."""
    with Usps() as usps:
        home = Home(usps.base_url)
        with home.broker():
            home.token("payment")
            home.usps = usps
            yield home
        home.remove()


@pytest.fixture
def usps():
    with Usps() as process:
        yield process


@pytest.fixture
def home(usps):
    home = Home(usps.base_url)
    yield home
    home.remove()


@pytest.fixture
def ask(shell):
    """Runs a command against the broker of a folder; what it prints."""

    def finish(home, *argv):
        done = run(shell, argv, {"USPS_TOKEN_SOCKET": str(home.socket)})
        assert done.status == 0, done
        return done.out

    return finish


def test_it_takes_what_the_broker_has(ask, shop):
    """Both tokens, both headers, and the JSON as the broker gives it."""
    bearer, payment = shop.token()["token"], shop.token("payment")["token"]
    assert ask(shop, "bearer") == f"{bearer}\n"
    assert ask(shop, "payment", "--min-valid", "60") == f"{payment}\n"
    assert ask(shop, "headers", "--payment") == (
        f"Authorization: Bearer {bearer}\nX-Payment-Authorization-Token: {payment}\n"
    )
    assert json.loads(ask(shop, "bearer", "--json"))["serial"] == shop.token()["serial"]
    assert json.loads(ask(shop, "headers", "--json"))["headers"]["Authorization"]


def test_its_headers_feed_curl(ask, shop):
    """`usps-token headers | curl -H @-` makes a call that USPS takes."""
    calls = shop.usps.calls("addresses")
    answer = subprocess.run(
        [shutil.which("curl"), "-fsS", "-H", "@-", shop.usps.base_url + ADDRESS],
        input=ask(shop, "headers").encode(),
        capture_output=True,
        check=True,
        timeout=DEADLINE_SECONDS,
    ).stdout
    assert json.loads(answer)["address"]["city"] == "WASHINGTON"
    assert shop.usps.calls("addresses") == calls + 1


def test_a_program_finds_both_tokens_in_its_environment(ask, shop):
    """`exec`, with real tokens."""
    show = 'printf "%s %s\\n" "$USPS_BEARER_TOKEN" "$USPS_PAYMENT_TOKEN"'
    shown = ask(shop, "exec", "--payment", "--", "sh", "-c", show)
    assert shown.split() == [shop.token()["token"], shop.token("payment")["token"]]


def test_a_restart_keeps_the_token_and_costs_no_call(ask, usps, home):
    """After `kill -9` and a new broker the command prints the same."""
    with home.broker() as first:
        before = ask(home, "bearer")
        first.kill()
    with home.broker():
        assert ask(home, "bearer") == before
    assert usps.calls("token") == 1


def test_waiting_begins_before_the_broker_does(shell, ask, home):
    """`wait` ends when the token is there; then `status` is fit for a person."""
    environment = {"PATH": "/usr/bin:/bin", "USPS_TOKEN_SOCKET": str(home.socket)}
    waiting = subprocess.Popen(
        [*command(shell), "wait", "--slot", "bearer", "payment", "--timeout", "60"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with home.broker():
        out, err = waiting.communicate(timeout=60)
        assert (waiting.returncode, out, err) == (0, b"", b"")
        status = ask(home, "status")
        assert "ready" in status
        assert "  bearer: fresh, good until " in status
        assert "[required, serial " in status


def test_a_refusal_of_usps_is_told_with_what_to_do(shell, usps, home):
    """78 when the secret is wrong, with the broker's words."""
    (home.folder / "client-secret").write_text("wrong\n")
    with home.broker():
        done = run(shell, ["bearer"], {"USPS_TOKEN_SOCKET": str(home.socket)})
    assert (done.status, done.out) == (78, "")
    assert "[credentials_refused: client_secret_wrong]" in done.err
    assert "Consumer Secret" in done.err


def test_waiting_ends_at_once_with_what_a_person_must_mend(program, usps, home):
    """78 with the fix, long before the ten minutes it was given; the broker is ready to go on."""
    home.write_secret("wrong")
    with home.broker():
        arguments = ["wait", "--timeout", "600"]
        done = run(program, arguments, {"USPS_TOKEN_SOCKET": str(home.socket)})
    assert (done.status, done.out) == (78, "")
    assert "[credentials_refused: client_secret_wrong]" in done.err
    assert "Consumer Secret" in done.err


def test_what_was_mended_is_waited_for(program, usps, home):
    """A refusal of the secret before is none of the one that USPS is being asked about."""
    home.write_secret("wrong")
    arguments = ["wait", "--slot", "bearer", "--timeout", "60"]
    environment = {"USPS_TOKEN_SOCKET": str(home.socket)}
    with home.broker():
        assert run(program, arguments, environment).status == 78
    home.write_secret("demo-client-secret")
    usps.ask("POST", "/sim/faults", {"name": "delay", "value": 1, "endpoint": "token"})
    with home.broker():
        done = run(program, arguments, environment)
    assert (done.status, done.out, done.err) == (0, "", "")


TRANSCRIPT = """\
HTTP/1.1 400 Bad Request
Content-Type: application/json

{"error": {"code": "400", "message": "Missing role information: [PAYER]", \
"errors": [{"code": "160228", "title": "x"}]}}
"""


@pytest.mark.parametrize(
    ("words", "stdin"),
    [(["160228"], ""), (["client_secret_wrong"], ""), ([], TRANSCRIPT), (["moon phase"], "")],
)
def test_it_explains_as_the_broker_s_own_command_does(program, shop, words, stdin):
    """The same lines, and the same exit, from a code and from what `curl -i` printed."""
    own = subprocess.run(
        [sys.executable, "-m", "usps_token_broker", "explain", *(words if stdin else ["-"])],
        input=stdin or words[0],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )
    environment = {"USPS_TOKEN_SOCKET": str(shop.socket)}
    done = run(program, ["explain", *words], environment, stdin=stdin)
    assert (done.status, done.out, done.err) == (own.returncode, own.stdout, "")


def test_more_than_a_broker_takes_is_cut(program, shop):
    """A long transcript is explained by its beginning, also with bytes that are no text."""
    environment = {"USPS_TOKEN_SOCKET": str(shop.socket)}
    piped = TRANSCRIPT + "\0é" * 100_000
    done = run(program, ["explain"], environment, stdin=piped)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("160228\n")


def test_explain_on_a_terminal_wants_a_word(program, shop):
    """Nobody knows that it would wait for more to be typed."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*command(program), "explain"],
            env={"PATH": os.environ["PATH"], "USPS_TOKEN_SOCKET": str(shop.socket)},
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, done.stdout) == (64, "")
    assert "a code, or what USPS answered piped in" in done.stderr
