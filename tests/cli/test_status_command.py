"""`status`: what a person reads of a broker, and what instead of one."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import msgspec
import pytest
from standings import AT, GOOD, NONE, status

from usps_token_broker.cli.standing import event_lines, lines
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.events import (
    AliveEvent,
    ReloadedEvent,
    RemovedEvent,
    SlotEvent,
    StoppingEvent,
    status_event,
)
from usps_token_broker.wire.replies import LAST_CHUNK, chunk


@contextmanager
def broker(path, *bodies, code=200, kind="application/json", end=b""):
    """Answers one request after another with these bodies; a list is one in chunks."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve():
        for body in bodies:
            connected, _ = listener.accept()
            connected.recv(65536)
            sent, length = body, f"Content-Length: {len(body)}"
            if isinstance(body, list):
                sent, length = b"".join(map(chunk, body)) + end, "Transfer-Encoding: chunked"
            head = f"HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
            connected.sendall(head.encode() + sent)
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
        "  bearer      fresh, 7 h 58 min left; idle; next: renewal in 6 h 23 min ("
    )
    assert said[3] == "  budget token: 1 of 30 calls in the last hour"


def test_a_trouble_is_told_with_its_fix():
    """What, how often, since when, and what to do."""
    said = "\n".join(lines(status(GOOD, NONE)))
    assert "  payment     no token; halted; next: another try in 12 min (" in said
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


def test_a_reload_that_is_under_way_is_told():
    """For as long as it has been: one that hangs is not silent."""
    at = status().at
    said = "\n".join(lines(status(reloading_since=at - 125)))
    assert "reloading for 2 min" in said


def test_a_slot_without_a_next_attempt_says_why():
    """A payment token that waits for another bearer."""
    slot = msgspec.structs.replace(NONE, next_attempt_at=None, next_attempt_why="next bearer")
    assert "no token; halted (next bearer)" in "\n".join(lines(status(slot)))


# -- the command ----------------------------------------------------------------------------------


def test_ready_is_0_and_not_ready_is_75(command, folder):
    """For scripts."""
    path = folder / "s"
    with broker(path, to_json(status(GOOD)), to_json(status(NONE, ready=False))):
        done = command("status", "--socket", path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == list(lines(status(GOOD)))
        assert command("status", "--socket", path).returncode == 75


def test_json_is_the_brokers_answer_as_it_is(command, folder):
    """Fields that this version does not know, too."""
    said = {**json.loads(to_json(status(GOOD))), "later": [1, 2]}
    with broker(folder / "s", json.dumps(said).encode()):
        done = command("status", "--json", "--socket", folder / "s")
    assert json.loads(done.stdout) == said
    assert done.returncode == 0


def test_the_socket_is_found_where_clients_look(command, folder):
    """USPS_TOKEN_SOCKET, then XDG_RUNTIME_DIR."""
    (folder / "usps-token-broker").mkdir()
    path = folder / "usps-token-broker" / "broker.sock"
    with broker(path, to_json(status(GOOD)), to_json(status(GOOD))):
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
def test_what_is_no_broker_is_76_and_no_traceback(command, folder, body):
    """JSON of somebody else, too."""
    with broker(folder / "s", body):
        done = command("status", "--socket", folder / "s")
    assert (done.returncode, done.stdout) == (76, "")
    assert "is no broker" in done.stderr
    assert "Traceback" not in done.stderr


def test_forbidden_is_77_in_the_brokers_words(command, folder):
    """Who you are, what is open, the line to add."""
    problem = b'{"code": "forbidden", "detail": "user alice may not", "fix": "add users"}'
    with broker(folder / "s", problem, code=403):
        done = command("status", "--socket", folder / "s")
    assert (done.returncode, done.stderr) == (77, "user alice may not\nadd users\n")


# -- following ------------------------------------------------------------------------------------

LATE = msgspec.structs.replace(GOOD, freshness="late", degraded=True)
STORY = [
    status_event(status(GOOD, NONE)),
    SlotEvent(AT + 1, "default", LATE),
    SlotEvent(AT + 2, "default", NONE),
    AliveEvent(AT + 32),
    ReloadedEvent(AT + 40),
    RemovedEvent(AT + 40, "default", "payment"),
]


def following(path, *events, end=LAST_CHUNK):
    """A broker that is followed: each event in a chunk of its own."""
    lines_ = [event if isinstance(event, bytes) else to_json(event) + b"\n" for event in events]
    return broker(path, lines_, kind="application/x-ndjson", end=end)


def test_the_state_comes_first_then_a_line_for_each_change(command, folder):
    """When, which, how it stands, what comes next; a trouble with its fix; of nothing no line."""
    with following(folder / "s", *STORY, StoppingEvent(AT + 50)):
        done = command("status", "--follow", "--socket", folder / "s", environ={"TZ": "UTC"})
    said = done.stdout.splitlines()
    state = list(lines(status(GOOD, NONE)))
    assert said[1] == state[1]
    rest = said[len(state) :]
    assert rest[0].startswith(
        "2026-09-21 14:13:21  default/bearer: late, 7 h 58 min left, degraded; idle; "
        "next: renewal in "
    )
    assert rest[1].startswith(
        "2026-09-21 14:13:22  default/payment: no token; halted; next: another try"
    )
    assert rest[2].startswith("    payment_refused, 2 times")
    assert rest[3:] == [
        "    do: mend the roles",
        "2026-09-21 14:14:00  another configuration is in force:",
        "2026-09-21 14:14:00  default/payment: removed, or no longer open to you",
        "2026-09-21 14:14:10  the broker is ending",
    ]


def test_a_broker_that_ends_is_75(command, folder):
    """And said."""
    with following(folder / "s", *STORY, StoppingEvent(AT + 50)):
        done = command("status", "--follow", "--socket", folder / "s")
    assert done.returncode == 75
    assert done.stderr == "the broker is ending\nfollow it again in a moment\n"


def test_a_stream_that_just_ends_is_75(command, folder):
    """The broker let nothing open to this user."""
    with following(folder / "s", *STORY):
        done = command("status", "--follow", "--socket", folder / "s")
    assert done.returncode == 75
    assert "what is open to you may have changed" in done.stderr


@pytest.mark.parametrize("end", [b"", b"5\r\n{", b"x\r\n", b'6\r\n{"eve\r\n0\r\n\r\n'])
def test_a_connection_that_is_lost_is_75(command, folder, end):
    """A broker that was killed, wherever it was."""
    with following(folder / "s", *STORY, end=end):
        done = command("status", "--follow", "--socket", folder / "s")
    assert done.returncode == 75
    assert len(done.stdout.splitlines()) > len(STORY)
    assert "is lost" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("last", [StoppingEvent(AT), b"what is this\n"])
def test_json_gives_the_lines_as_they_are(command, folder, last):
    """Events of a later version, too."""
    later = b'{"event":"merged", "at":1}\n'
    with following(folder / "s", *STORY, later, last):
        done = command("status", "--follow", "--json", "--socket", folder / "s")
    told = [to_json(event).decode() + "\n" for event in STORY]
    ending = last if isinstance(last, bytes) else to_json(last) + b"\n"
    assert done.stdout == "".join(told) + later.decode() + ending.decode()
    assert done.returncode == 75


def test_an_event_of_a_later_version_is_passed_over(command, folder):
    """What this version cannot tell, it does not."""
    with following(folder / "s", STORY[0], b'{"event":"merged"}\n', StoppingEvent(AT)):
        done = command("status", "--follow", "--socket", folder / "s")
    assert done.returncode == 75
    assert len(done.stdout.splitlines()) == len(list(lines(status(GOOD, NONE)))) + 1


@pytest.mark.parametrize("line", [b"<html>\n", b"{}\n", b"\xff\n", b'{"event": "status"}\n'])
def test_lines_of_no_broker_are_76(command, folder, line):
    """In words."""
    with following(folder / "s", line):
        done = command("status", "--follow", "--socket", folder / "s")
    assert (done.returncode, done.stdout) == (76, "")
    assert "is no broker" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_that_cannot_be_followed_is_69_or_76(command, folder):
    """An older one, in its own words; or something else that answers."""
    gone = b'{"code": "not_found", "detail": "nothing is served at /v1/events", "fix": "other"}'
    with broker(folder / "s", gone, code=404):
        done = command("status", "--follow", "--socket", folder / "s")
    assert (done.returncode, done.stderr) == (69, "nothing is served at /v1/events\nother\n")
    (folder / "s").unlink()
    with broker(folder / "s", to_json(status(GOOD))):
        done = command("status", "--follow", "--socket", folder / "s")
    assert done.returncode == 76
    assert "cannot be followed" in done.stderr


def test_no_broker_to_follow_is_69(command, folder):
    """As without --follow."""
    done = command("status", "--follow", "--socket", folder / "s")
    assert (done.returncode, done.stdout) == (69, "")
    assert "no broker here" in done.stderr


def test_every_kind_of_event_can_be_told():
    """None is forgotten."""
    for event in (*STORY, StoppingEvent(AT)):
        told = list(event_lines(event))
        assert all("\n" not in line for line in told)
        assert bool(told) != isinstance(event, AliveEvent)


def test_following_ends_with_who_reads(clean_environ, folder):
    """At once, and not with the next change: over ssh without a terminal nothing else ends it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "s"))
    listener.listen()
    words = [sys.executable, "-m", "usps_token_broker", "status", "--follow", "--socket"]
    with subprocess.Popen(
        [*words, folder / "s"], env=clean_environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        connected, _ = listener.accept()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
        connected.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        connected.sendall(chunk(to_json(status_event(status(GOOD))) + b"\n"))
        assert process.stdout.readline().endswith(b"ready\n")
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""
    connected.close()
    listener.close()


def test_a_terminal_of_which_nothing_is_known_gets_no_colour(clean_environ, folder):
    """Without TERM, as with TERM=dumb."""
    environ = {name: value for name, value in clean_environ.items() if name != "TERM"}
    ours, theirs = os.openpty()
    with broker(folder / "s", to_json(status(GOOD))):
        words = [sys.executable, "-m", "usps_token_broker", "status", "--socket", folder / "s"]
        done = subprocess.run(words, env=environ, stdout=theirs, timeout=60, check=False)
    os.close(theirs)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert done.returncode == 0
    assert b"bearer" in shown
    assert b"\x1b" not in shown


def test_a_ready_broker_with_trouble_says_so():
    """In its first line; the exit code is of the required tokens alone."""
    assert next(lines(status(GOOD, NONE))).endswith("ready, 1 trouble")
    assert next(lines(status(GOOD, NONE, NONE))).endswith("ready, 2 troubles")
    assert next(lines(status(NONE, ready=False))).endswith("NOT READY")
