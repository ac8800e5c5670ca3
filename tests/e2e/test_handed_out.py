"""Who was handed which token, as the log of a real broker has it."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from identities import Identity, as_identity, exchange, request
from processes import DEADLINE_SECONDS, Process, until

LIBC = ctypes.CDLL(None)
PR_SET_NAME = 15
PR_CAPBSET_DROP = 24
CAP_KILL = 5
CAP_SYS_PTRACE = 19
BEARER = request("/v1/tokens/bearer")
WORKER = Identity(51001, 51001, (52001,))
WORKERS = 200
FAKES = str(Path(__file__).parents[1] / "fakes")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")


def lines(broker):
    """What the log says of tokens that were handed out, without time and level."""
    said = broker.errors().splitlines()
    return [line.partition("handed out: ")[2] for line in said if "handed out: " in line]


def in_child(work):
    """Run in a process of its own."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return child


def test_a_worker_is_told_once(home):
    """Who it is and what it is, though it asks again and again, on connections of its own."""
    with home.broker() as broker:
        for _ in range(5):
            home.token()
        me = f"tokens=default/bearer uid={os.geteuid()} pid={os.getpid()} "
        [line] = until(lambda: lines(broker), broker.errors)
    assert line.startswith(me)
    assert line.endswith(f" exe={os.path.realpath(sys.executable)}")


def test_headers_name_both_tokens_and_a_report_those_it_answers_with(home):
    """Each way in which a token leaves the broker."""
    with home.broker() as broker:
        home.get("/v1/headers?payment=default")
        in_child(lambda: report(home))
        home.command("status")
        broker.kill(signal.SIGTERM)
        first, more = lines(broker)
    assert first.startswith("tokens=default/bearer,default/payment uid=")
    assert more.startswith(f"tokens=default/bearer uid={os.geteuid()} more_processes=1 ")


def report(home):
    """A 401 that is not about the token: its answer has headers in it."""
    said = {"status": 401, "headers": {}, "path": "/addresses/v3/address"}
    said |= {"body": '{"error": {"message": "Insufficient OAuth scope"}}', "serials": {"bearer": 1}}
    assert b"Bearer " in home.ask("POST", "/v1/answers", said)[2]


@pytest.mark.parametrize(
    "target", ["/v1/status", "/readyz", "/v1/tokens/nothing", "/v1/tokens/bearer?min_valid=9999"]
)
def test_who_takes_no_token_is_not_told(home, target):
    """Questions of people, and refusals."""
    with home.broker() as broker:
        home.get(target)
        exchange(str(home.socket), [request("/v1/headers?wait=20", "HEAD")])
        broker.kill(signal.SIGTERM)
        assert lines(broker) == []


def test_a_crowd_of_200_is_one_line_and_a_number(home, crowd):
    """At once the first, at the end of the interval or of the broker the others."""
    with home.broker() as broker:
        home.token()
        crowd(WORKERS, lambda: exchange(str(home.socket), [BEARER])[:15])
        assert len(until(lambda: lines(broker), broker.errors)) == 1
        broker.kill(signal.SIGTERM)
        _, more = lines(broker)
    assert f" more_processes={WORKERS} " in more


@needs_root
def test_a_worker_of_another_user_is_told_by_its_uid(home):
    """The kernel's word."""
    home.change("[apps.default.bearer]", f"[apps.default.bearer]\nusers = [{WORKER.uid}]")
    with home.broker() as broker:
        as_identity(WORKER, lambda: exchange(str(home.socket), [BEARER]))
        [line] = until(lambda: lines(broker), broker.errors)
    assert line.startswith(f"tokens=default/bearer uid={WORKER.uid} pid=")


def test_who_left_its_connection_to_others_is_told_as_gone(home):
    """The kernel names who connected; who asks in its place is not taken for it."""
    with home.broker() as broker, socket.socket(socket.AF_UNIX) as left:
        child = in_child(lambda: left.connect(str(home.socket)))
        left.settimeout(DEADLINE_SECONDS)
        left.sendall(BEARER)
        assert left.recv(15) == b"HTTP/1.1 200 OK"
        [line] = until(lambda: lines(broker), broker.errors)
    assert line.endswith(f" pid={child} process=gone")


def test_shells_that_ask_in_turn_are_one_line(home):
    """As cron starts them: a program of its own each time, the same one."""
    with home.broker() as broker:
        for _ in range(20):
            code = f"import identities; identities.exchange({str(home.socket)!r}, [{BEARER!r}])"
            subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": FAKES}, check=True)
        assert len(lines(broker)) == 1
        broker.kill(signal.SIGTERM)
        _, more = lines(broker)
    assert " more_processes=19 " in more


def lose_capabilities():
    """With fewer than the workers have, their executables are not shown; as to any other user."""
    for capability in (CAP_SYS_PTRACE, CAP_KILL):
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@needs_root
@pytest.mark.parametrize("name", [b"x\nhanded out:", b"\x1b[2J\rx", b"x uid=0", b"\xff\xfe"])
def test_a_process_that_gives_itself_a_name_stays_on_its_line(home, name):
    """Where the name is shown it is a quoted value; no byte of it reaches a terminal."""

    def ask():
        LIBC.prctl(PR_SET_NAME, name, 0, 0, 0)
        exchange(str(home.socket), [BEARER])

    options = ("run", "--config", str(home.config))
    with Process("usps_token_broker", *options, preexec_fn=lose_capabilities) as broker:
        home.wait_for_socket(broker)
        in_child(ask)
        [line] = until(lambda: lines(broker), broker.errors)
    assert line.endswith(f" comm={json.dumps(os.fsdecode(name))}")
    assert line.isascii()
    assert line.isprintable()


def test_no_token_is_in_it(home):
    """Names of tokens, never what they are."""
    with home.broker() as broker:
        values = [home.token(slot)["token"] for slot in ("bearer", "payment")]
        home.get("/v1/headers?payment=default", {"Accept": "text/plain"})
        broker.kill(signal.SIGTERM)
        said = broker.errors()
    assert "handed out: tokens=default/payment " in said
    assert not [value for value in values if value in said or value[-20:] in said]
