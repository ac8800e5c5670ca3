"""`status`: what a person reads of a broker, and what instead of one."""

import json
import os
import socket
import threading
from contextlib import contextmanager

import msgspec
import pytest

from usps_token_broker.cli.status import lines
from usps_token_broker.wire.messages import (
    AppMessage,
    BudgetMessage,
    SlotMessage,
    StatusMessage,
    TroubleMessage,
    encode,
)

AT = 1_790_000_000.0
GOOD = SlotMessage(
    slot="bearer",
    phase="idle",
    freshness="fresh",
    ready=True,
    required=True,
    degraded=False,
    suspect=False,
    serial=5,
    issued_at=AT - 100,
    expires_at=AT + 28_680,
    expires_in=28_680.0,
    use_until=AT + 26_900,
    renew_at=AT + 22_980,
    next_attempt_at=AT + 22_980,
    next_attempt_why="due",
    attempts_left=3.0,
    scopes=("labels",),
    trouble=None,
)
NONE = msgspec.structs.replace(
    GOOD,
    slot="payment",
    phase="halted",
    freshness="none",
    ready=False,
    required=False,
    serial=None,
    issued_at=None,
    expires_at=None,
    expires_in=None,
    use_until=None,
    renew_at=None,
    next_attempt_at=AT + 720,
    next_attempt_why="probe",
    trouble=TroubleMessage(
        "payment_refused", "USPS said no", "mend the roles", AT - 180, AT - 120, 2, 400, "160228"
    ),
)


def status(*slots, ready=True, skew=None, **more):
    budget = [BudgetMessage("token", 1, 30)]
    app = AppMessage("default", "apis.usps.com", skew, list(slots), budget)
    said = StatusMessage("1.2.3", 4711, AT - 3600, AT, ready, 0, None, [app])
    return msgspec.structs.replace(said, **more)


@contextmanager
def broker(path, *bodies, code=200):
    """Answers one request after another with these bodies."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve():
        for body in bodies:
            connected, _ = listener.accept()
            connected.recv(65536)
            head = f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            connected.sendall(head.encode() + body)
            connected.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path
    listener.close()
    thread.join(5)


# -- what is read ---------------------------------------------------------------------------------


def test_one_line_a_fact():
    """The broker, the app, each token with time left and the next step, the budget."""
    said = list(lines(status(GOOD)))
    assert said[0] == "usps-token-broker 1.2.3  pid 4711  up 1 h  ready"
    assert said[1] == "app default  apis.usps.com"
    assert said[2].startswith(
        "  bearer      fresh, 7 h 58 min left; idle; next: due in 6 h 23 min ("
    )
    assert said[3] == "  budget token: 1 of 30 calls in the last hour"


def test_a_trouble_is_told_with_its_fix():
    """What, how often, since when, and what to do."""
    said = "\n".join(lines(status(GOOD, NONE)))
    assert "  payment     no token; halted; next: probe in 12 min (" in said
    assert "    payment_refused, 2 times, first 3 min ago: USPS said no" in said
    assert "    do: mend the roles" in said


@pytest.mark.parametrize(
    ("skew", "words"),
    [
        (3600.0, "(USPS's clock is 1 h ahead of ours)"),
        (-120.0, "(USPS's clock is 2 min behind ours)"),
    ],
)
def test_a_clock_that_is_off_is_told(skew, words):
    """Harmless, and worth knowing."""
    assert words in "\n".join(lines(status(GOOD, skew=skew)))


def test_a_clock_that_is_right_is_not_worth_a_word():
    """Nobody minds some seconds."""
    assert "clock" not in "\n".join(lines(status(GOOD, skew=3.0)))


def test_what_else_is_wrong_is_told():
    """Not ready, the state not saved, callers that wait, tokens that are late or doubted."""
    late = msgspec.structs.replace(GOOD, freshness="late", degraded=True, suspect=True)
    said = "\n".join(lines(status(late, ready=False, waiting=7, state_trouble="disk full")))
    assert "NOT READY" in said
    assert "state not saved: disk full" in said
    assert "waiting: 7" in said
    assert "late, 7 h 58 min left, degraded, suspect" in said


def test_a_slot_without_a_next_attempt_says_why():
    """A payment token that waits for another bearer."""
    slot = msgspec.structs.replace(NONE, next_attempt_at=None, next_attempt_why="next bearer")
    assert "no token; halted (next bearer)" in "\n".join(lines(status(slot)))


# -- the command ----------------------------------------------------------------------------------


def test_ready_is_0_and_not_ready_is_75(command, folder):
    """For scripts."""
    path = folder / "s"
    with broker(path, encode(status(GOOD)), encode(status(NONE, ready=False))):
        done = command("status", "--socket", path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == list(lines(status(GOOD)))
        assert command("status", "--socket", path).returncode == 75


def test_json_is_the_brokers_answer_as_it_is(command, folder):
    """Fields that this version does not know, too."""
    said = {**json.loads(encode(status(GOOD))), "later": [1, 2]}
    with broker(folder / "s", json.dumps(said).encode()):
        done = command("status", "--json", "--socket", folder / "s")
    assert json.loads(done.stdout) == said
    assert done.returncode == 0


def test_the_socket_is_found_where_clients_look(command, folder):
    """USPS_TOKEN_SOCKET, then XDG_RUNTIME_DIR."""
    (folder / "usps-token-broker").mkdir()
    path = folder / "usps-token-broker" / "broker.sock"
    with broker(path, encode(status(GOOD)), encode(status(GOOD))):
        assert command("status", environ={"USPS_TOKEN_SOCKET": str(path)}).returncode == 0
        if not os.path.lexists("/run/usps-token-broker/broker.sock"):
            assert command("status", environ={"XDG_RUNTIME_DIR": str(folder)}).returncode == 0


def test_no_broker_is_69_and_says_where_it_was_looked_for(command, folder):
    """And how to start one."""
    environ = {"XDG_RUNTIME_DIR": str(folder), "USPS_TOKEN_SOCKET": ""}
    done = command("status", environ=environ)
    assert (done.returncode, done.stdout) == (69, "")
    assert f"{folder}/usps-token-broker/broker.sock" in done.stderr
    assert "usps-token-broker run" in done.stderr


def test_a_dead_socket_is_69(command, folder):
    """A killed broker left it."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder / "s"))
    dead.close()
    done = command("status", "--socket", folder / "s")
    assert done.returncode == 69
    assert "the broker is not running" in done.stderr


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"ready": true}', b'{"apps": 5}'])
def test_what_is_no_broker_is_69_and_no_traceback(command, folder, body):
    """JSON of somebody else, too."""
    with broker(folder / "s", body):
        done = command("status", "--socket", folder / "s")
    assert (done.returncode, done.stdout) == (69, "")
    assert "is no broker" in done.stderr
    assert "Traceback" not in done.stderr


def test_forbidden_is_77_in_the_brokers_words(command, folder):
    """Who you are, what is open, the line to add."""
    problem = b'{"code": "forbidden", "detail": "user alice may not", "fix": "add users"}'
    with broker(folder / "s", problem, code=403):
        done = command("status", "--socket", folder / "s")
    assert (done.returncode, done.stderr) == (77, "user alice may not\nadd users\n")
