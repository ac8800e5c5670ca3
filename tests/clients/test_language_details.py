"""The clients in other languages in detail: who gets a token, for how long, and what is told."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading

import pytest
from language_clients import LANGUAGES, BrokerSaid, LanguageClient
from scripted_broker import Drip, HangUp, Held, Reply, Request, Silence, json_reply, problem
from spying_host import Says, SpyingHost

PAYMENT = "x-payment-authorization-token"
LABEL = "/labels/v3/label"
QUICK_SECONDS = 0.4
RENEWED = {
    "code": "token_dead",
    "reason": "token_dead",
    "detail": "it was dead",
    "fix": "nothing to do",
    "retry": True,
    "outcome": "renewed",
    "headers": {"Authorization": "Bearer bearer-2"},
    "serials": {"bearer": 1002},
}
NOT_THE_TOKEN = {**RENEWED, "code": "scope_missing", "retry": False, "outcome": "not_the_token"}


@pytest.fixture(params=LANGUAGES, scope="module")
def driver(request):
    """A driver for the whole file."""
    with LanguageClient(request.param) as client:
        client.language = request.param
        yield client


@pytest.fixture
def client(driver, silent_broker):
    """The driver with a new client of the scripted broker."""
    driver.ask("new", socket=silent_broker.path)
    return driver


@pytest.fixture
def usps(broker):
    """The host the broker's tokens are for."""
    with SpyingHost() as host:
        broker.base_url = host.url
        yield host


@pytest.fixture
def stranger():
    with SpyingHost() as host:
        yield host


def fails(client, call, code, **more):
    """The error that a question gives, which has this code."""
    with pytest.raises(BrokerSaid) as caught:
        client.ask(call, **more)
    assert caught.value.code == code, caught.value.error
    return caught.value.error


# -- what is put on, and where ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "has_payment"),
    [
        (LABEL, True),
        ("/international-labels/v3/international-label", True),
        ("/pmod/v3/pmod/create", True),
        ("/returns/v3/return", True),
        ("/labels", True),
        ("/addresses/v3/address", False),
        ("/labelsmith", False),
        ("/v3/labels/", False),
    ],
)
def test_the_payment_token_goes_to_label_calls_alone(client, usps, path, has_payment):
    """Everything on the host gets the bearer."""
    assert client.ask("fetch", url=usps.url + path)["status"] == 200
    [call] = usps.calls
    assert call.headers["authorization"] == "Bearer bearer-1"
    assert call.headers.get(PAYMENT) == ("payment-1" if has_payment else None)


def test_a_label_call_may_have_another_payment_token_or_none(client, usps):
    """By its name, or false."""
    client.ask("fetch", url=usps.url + LABEL, payment="east")
    client.ask("fetch", url=usps.url + LABEL, payment=False)
    assert [call.headers.get(PAYMENT) for call in usps.calls] == ["payment-east-1", None]


def test_the_path_of_the_base_url_counts(client, usps, broker):
    """Labels are below it."""
    broker.base_url = usps.url + "/proxied/"
    for path in ("/proxied" + LABEL, LABEL):
        client.ask("fetch", url=usps.url + path)
    assert [PAYMENT in call.headers for call in usps.calls] == [True, False]


def test_a_stranger_gets_no_token_even_if_the_caller_put_it_on(client, usps, stranger):
    """Another port is another host."""
    mine = {"Authorization": "Bearer bearer-1", "X-Payment-Authorization-Token": "payment-1"}
    client.ask("fetch", url=stranger.url + LABEL, headers=mine)
    client.ask("fetch", url=stranger.url + LABEL, headers={"Authorization": "Basic own"})
    first, second = stranger.calls
    assert "authorization" not in first.headers
    assert PAYMENT not in first.headers
    assert second.headers["authorization"] == "Basic own"
    assert not usps.calls


@pytest.mark.parametrize("where", ["/other", "http://localhost:1/caught", "file:///etc/passwd"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_usps_is_the_callers(client, usps, status, where):
    """It carries no token on, and USPS sends none."""
    usps.answers = [Says(status, headers={"Location": where})]
    said = client.ask("fetch", url=usps.url + LABEL, method="POST", body="x")
    assert said["status"] == status
    [call] = usps.calls
    assert call.headers[PAYMENT] == "payment-1"


def test_a_redirect_can_be_an_error(client, usps):
    """Where the caller of fetch wants it; PSR-18 has no such wish."""
    usps.answers = [Says(302, headers={"Location": "/other"})]
    if client.language != "node":
        assert client.ask("fetch", url=usps.url)["status"] == 302
        return
    client.send("fetch", url=usps.url, redirect="error")
    with pytest.raises(AssertionError, match="fetch failed"):
        client.heard()


def test_a_stranger_cannot_redirect_a_token_out_of_it(client, usps, stranger):
    """What its redirect leads to gets none, even if it is USPS."""
    stranger.answers = [Says(307, headers={"Location": usps.url + LABEL})]
    client.ask("fetch", url=stranger.url, headers={"X-Payment-Authorization-Token": "payment-1"})
    for call in usps.calls:
        assert PAYMENT not in call.headers
        assert "authorization" not in call.headers


# -- a 401 -----------------------------------------------------------------------------------------


def test_a_dead_token_is_told_once_and_the_call_sent_again(client, usps, broker):
    """With its body, and the new headers; the next call has the new token at once."""
    usps.answers = [Says(401, b'{"error": "expired"}', {"Set-Cookie": "a=b", "X-Seen": "1"})]
    broker.verdict = RENEWED
    client.ask("bearer")
    target = "/addresses/v3/address?secret=1"
    said = client.ask("fetch", url=usps.url + target, method="POST", body="the body")
    assert (said["status"], said["verdict"]["outcome"]) == (200, "renewed")
    assert [call.body for call in usps.calls] == [b"the body"] * 2
    assert usps.calls[1].headers["authorization"] == "Bearer bearer-2"
    [told] = [asked.json() for asked in broker.requests if asked.path == "/v1/answers"]
    assert (told["status"], told["path"]) == (401, "/addresses/v3/address")
    assert (told["host"], told["serials"]) == ("127.0.0.1", {"bearer": 1001})
    assert told["body"] == '{"error": "expired"}'
    assert "1" in {name.lower(): value for name, value in told["headers"].items()}["x-seen"]
    assert "cookie" not in json.dumps(told).lower()
    broker.grant("bearer", "bearer-2", 1002)
    assert client.ask("bearer")["value"] == "bearer-2"


def test_a_call_is_sent_again_once(client, usps, broker):
    """The second 401 is the result, and told too."""
    usps.answers = [Says(401), Says(401), Says(401)]
    broker.verdict = RENEWED
    assert client.ask("fetch", url=usps.url)["status"] == 401
    assert len(usps.calls) == 2
    told = [one.json()["serials"] for one in broker.requests if one.path == "/v1/answers"]
    assert told == [{"bearer": 1001}, {"bearer": 1002}]


def test_a_401_that_is_not_the_tokens_is_not_sent_again(client, usps, broker):
    """The caller gets the answer, whole, and the verdict."""
    usps.answers = [Says(401, b"x" * 9000)]
    broker.verdict = NOT_THE_TOKEN
    said = client.ask("fetch", url=usps.url)
    assert (said["status"], said["text"]) == (401, "x" * 9000)
    assert said["verdict"]["fix"] == "nothing to do"
    assert said["said"].startswith("Unauthorized: ")
    assert said["said"].endswith("; nothing to do")
    [told] = [one.json() for one in broker.requests if one.path == "/v1/answers"]
    assert len(told["body"]) <= 4096


def test_a_body_that_was_used_up_is_not_sent_again(client, usps, broker):
    """A stream; the verdict is there all the same."""
    usps.answers = [Says(401)]
    broker.verdict = RENEWED
    said = client.ask("fetch", url=usps.url, method="POST", body="once", stream=True)
    assert (said["status"], said["verdict"]["retry"]) == (401, True)
    assert [call.body for call in usps.calls] == [b"once"]


def test_a_broker_that_cannot_be_told_costs_nothing(client, usps, broker):
    """The 401 is the result, and why it was not told is there too."""
    usps.answers = [Says(401)]
    client.ask("headers")
    broker.always = problem(400, "bad_request")
    said = client.ask("fetch", url=usps.url)
    assert (said["status"], said["error"], said.get("verdict")) == (401, "bad_request", None)
    assert "[bad_request]" in said["said"]


def test_a_header_may_be_a_number(client, broker):
    """Some libraries give them so."""
    broker.verdict = NOT_THE_TOKEN
    said = {"status": 401, "body": "", "path": "/", "used": {"bearer": 1}}
    client.ask("report", headers={"X-Left": 5, "X-Two": ["a", "b"]}, **said)
    told = broker.requests[-1].json()["headers"]
    assert told["X-Left"] == "5"
    assert told["X-Two"].replace(" ", "") == "a,b"


def test_a_401_of_a_stranger_is_not_told(client, usps, stranger, broker):
    """It is none of the broker's business."""
    stranger.answers = [Says(401)]
    assert client.ask("fetch", url=stranger.url)["status"] == 401
    assert not [one for one in broker.requests if one.path == "/v1/answers"]


# -- what is kept ----------------------------------------------------------------------------------


def test_a_token_is_never_used_in_the_last_part_of_its_life(client, broker):
    """The last `check_after`: with no broker there is none."""
    broker.grant("bearer", "short", 1, life=100, check_after=10)
    client.ask("new", socket=broker.path, timeout=QUICK_SECONDS)
    client.ask("bearer")
    broker.stop()
    client.ask("advance", seconds=80)
    assert client.ask("bearer")["value"] == "short"
    client.ask("advance", seconds=10)
    fails(client, "bearer", "not_running")


def test_a_broker_that_fails_is_asked_again_after_a_growing_span(client, broker):
    """2 s, 4 s, …; meanwhile the good token is used without a question."""
    client.ask("bearer")
    broker.always = problem(503, "not_ready")
    client.ask("advance", seconds=60)
    asked = []
    for _ in range(7):
        assert client.ask("bearer")["value"] == "bearer-1"
        asked.append(len(broker.requests) - 1)
        client.ask("advance", seconds=1)
    assert asked == [1, 1, 2, 2, 2, 2, 3]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_takes_the_token_away(client, broker, status):
    """Who may not have it any more has it no more."""
    client.ask("bearer")
    broker.always = problem(status, "forbidden")
    client.ask("advance", seconds=60)
    fails(client, "bearer", "forbidden")
    broker.always = problem(503, "not_ready")
    fails(client, "bearer", "not_ready")


@pytest.mark.parametrize("language", LANGUAGES)
def test_another_user_has_nothing_of_the_one_before(language, broker):
    """After a real seteuid the new user asks, and here may not even see the socket."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with LanguageClient(language) as client:
        client.ask("new", socket=broker.path)
        client.ask("bearer")
        client.ask("become", uid=65534)
        assert fails(client, "bearer", "no_permission")["permanent"] is True


def test_a_late_token_is_asked_for_whole(client, broker):
    """A 304 does not say that it is degraded, so from then on there is no ETag."""
    broker.grant("bearer", "bearer-1", 1001, life=2000, buffer=1800)
    client.ask("bearer")
    client.ask("advance", seconds=300)
    client.ask("bearer")
    assert "if-none-match" not in broker.requests[-1].headers


def test_many_calls_at_once_are_one_question(client, broker):
    """The others wait for its answer (PHP does one thing at a time)."""
    if client.language != "node":
        assert client.ask("bearer")
        return
    held = Held()
    broker.script = [held]
    client.send("at_once", times=50)
    assert held.arrived.wait(20)
    held.released.set()
    assert client.heard() == 1
    assert len(broker.requests) == 1


def test_printing_shows_no_token(client, broker):
    """Debuggers, logs and stores get names and serials."""
    shown = client.ask("printed")
    assert "1001" in shown
    assert "bearer-1" not in shown
    assert "payment-1" not in shown


def test_an_error_shows_no_token(client, broker):
    """Neither in its words, nor in what a crash reporter takes from its frames."""
    data = json.loads(broker.answer(Request("GET", "/v1/headers", {}, b"")).body)
    broker.always = json_reply({**data, "serials": {"bearer": "x"}})
    error = fails(client, "headers", "bad_answer")
    assert "bearer-1" not in json.dumps(error)
    # PHP before 8.2 knows no sensitive parameters: there are no arguments at all.
    assert "[args]" not in error["trace"]
    broker.always = json_reply({**data, "expires_in": 1})
    client.ask("new", socket=broker.path, timeout=QUICK_SECONDS)
    assert "bearer-1" not in json.dumps(fails(client, "headers", "bad_answer"))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"reason": "client_secret_wrong"}, "credentials_refused: client_secret_wrong"),
        ({"reason": "credentials_refused"}, "credentials_refused"),
        ({}, "credentials_refused"),
    ],
)
def test_an_error_says_its_row_and_what_to_do(client, broker, more, named):
    """A traceback shows the message alone."""
    broker.always = problem(502, "credentials_refused", **more)
    said = fails(client, "headers", "credentials_refused")["message"]
    assert said == (f"the detail of credentials_refused [{named}]; the fix of credentials_refused")


# -- trouble ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble", [Silence(), Drip(b"HTTP/1.1 200 OK\r\n" * 99)], ids=["silent", "slow"]
)
def test_one_deadline_counts_over_everything(client, broker, trouble):
    """Neither silence nor a byte now and then extends it."""
    broker.always = trouble
    client.ask("new", socket=broker.path, timeout=QUICK_SECONDS)
    fails(client, "bearer", "timed_out")


def test_a_broker_that_restarts_is_asked_again(client, broker):
    """It hung up, it said so, it is back."""
    broker.script = [HangUp(), problem(503, "restarting", retry_after=0.05)]
    assert client.ask("bearer")["value"] == "bearer-1"
    assert len(broker.requests) == 3


def test_an_endless_answer_is_refused(client, broker):
    """After a megabyte."""
    broker.always = Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (2 << 20))
    fails(client, "bearer", "not_a_broker")


def test_who_is_refused_before_asking_is_told_so(client, silent_broker):
    """The broker sends its 403 and hangs up before a byte was read, each time it is tried."""
    silent_broker.listen()
    refusal = problem(403, "forbidden").encode()

    def refuse():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = silent_broker._listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(refusal)

    refusing = threading.Thread(target=refuse)
    refusing.start()
    try:
        for _ in range(20):
            fails(client, "bearer", "forbidden")
    finally:
        silent_broker._listener.shutdown(socket.SHUT_RDWR)
        refusing.join()


def test_where_nothing_is_the_paths_are_told(driver, tmp_path):
    """At once when there is not even a directory."""
    path = tmp_path / "none" / "broker.sock"
    driver.ask("new", socket=str(path))
    assert str(path) in fails(driver, "bearer", "not_installed")["detail"]


@pytest.mark.parametrize("kind", ["file", "directory", "long"])
def test_a_path_that_is_no_socket_is_told(driver, tmp_path, kind):
    """What it is instead."""
    path = tmp_path / "x"
    if kind == "file":
        path.touch()
    else:
        path.mkdir()
    named = str(path) + "y" * 120 if kind == "long" else str(path)
    driver.ask("new", socket=named)
    fails(driver, "bearer", {"long": "unreachable"}.get(kind, "not_running"))


def test_a_full_backlog_is_waited_out(driver, silent_broker):
    """Until the deadline; then it says what is wrong."""
    silent_broker.listen(backlog=0)
    driver.ask("new", socket=silent_broker.path, timeout=QUICK_SECONDS)
    with socket.socket(socket.AF_UNIX) as taken:
        taken.connect(silent_broker.path)
        fails(driver, "bearer", "busy")


def test_waiting_ends_with_the_last_reason(client, broker):
    """And with the names of what is missing."""
    broker.not_ready = ["default/bearer"]
    error = fails(client, "wait_ready", "timed_out", timeout=QUICK_SECONDS)
    assert "default/bearer" in error["detail"]
    broker.not_ready = []
    assert client.ask("wait_ready", slots=["bearer", "payment"]) is None


def test_another_app_is_not_taken(driver, broker):
    """An answer about another app than the one that was named."""
    driver.ask("new", socket=broker.path, app="east")
    fails(driver, "bearer", "bad_answer")
    assert broker.requests[-1].query["app"] == "east"
    broker.app = "east"
    assert driver.ask("headers")["app"] == "east"


@pytest.mark.parametrize("field", ["expires_in", "check_after", "use_until"])
def test_a_number_that_is_none_is_refused(client, broker, field):
    """Whichever the client reckons with."""
    data = json.loads(broker.answer(Request("GET", "/v1/tokens/bearer", {}, b"")).body)
    broker.always = json_reply({**data, field: "soon"})
    fails(client, "bearer", "bad_answer")


# -- without a broker ------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_static_tokens_need_no_broker(language):
    """USPS_TOKEN_STATIC, as JSON; one that was not given is named."""
    said = json.dumps({"bearer": "b-1", "payment": {"east": "p-1"}, "base_url": "https://x.test"})
    with LanguageClient(language, USPS_TOKEN_STATIC=f" {said} ") as client:
        client.ask("new")
        assert client.ask("bearer")["value"] == "b-1"
        headers = client.ask("headers", payment="east")
        assert headers["values"]["X-Payment-Authorization-Token"] == "p-1"
        assert headers["base_url"] == "https://x.test"
        fails(client, "payment", "payment_not_configured")
        assert client.ask("unready", slots=["bearer"]) == []
        said = {"status": 401, "headers": {}, "body": "", "path": "/", "used": {"bearer": 1}}
        assert client.ask("report", **said)["retry"] is False


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("value", ["{", '{"payment": "SECRETx"}', "SECRET x", "[SECRETé]"])
def test_a_static_value_that_cannot_be_meant_is_not_shown(language, value):
    """The error says how it is written, and not what it was."""
    with LanguageClient(language, USPS_TOKEN_STATIC=value) as client:
        client.send("new")
        with pytest.raises(AssertionError, match="USPS_TOKEN_STATIC") as caught:
            client.heard()
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_socket_is_found_by_the_environment(language, broker):
    """USPS_TOKEN_SOCKET alone, or the directory of the user."""
    with LanguageClient(language, USPS_TOKEN_SOCKET=broker.path) as client:
        client.ask("new")
        assert client.ask("bearer")["value"] == "bearer-1"
    runtime = broker.folder / "run"
    (runtime / "usps-token-broker").mkdir(parents=True)
    (runtime / "usps-token-broker" / "broker.sock").symlink_to(broker.path)
    with LanguageClient(language, XDG_RUNTIME_DIR=str(runtime)) as client:
        client.ask("new")
        assert client.ask("bearer")["value"] == "bearer-1"
