"""`usps-token` as a process: what it prints, and what it ends with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripted_broker import HangUp, Held, Reply, Silence, problem

import usps_token_client
from usps_token_client import _arguments, _exits, _status_text
from usps_token_client.__main__ import main

PROGRAM = [sys.executable, "-m", "usps_token_client"]
SECRETS = ("bearer-1", "payment-1", "payment-east-1")


@pytest.fixture
def start(broker):
    """Starts the program against the broker; `path=False` leaves the socket to be found."""

    def begin(*arguments, path=True, environment=None, **more):
        kept = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        if path:
            kept["USPS_TOKEN_SOCKET"] = broker.path
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            env={**kept, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    return begin


@pytest.fixture
def run(start):
    """Runs it to its end: exit status, stdout, stderr. No run may leave a traceback."""

    def finish(*arguments, **more):
        process = start(*arguments, **more)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        for secret in SECRETS:
            assert secret not in err
        return process.returncode, out, err

    return finish


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["bearer"], "bearer-1\n"),
        (["payment"], "payment-1\n"),
        (["payment", "default"], "payment-1\n"),
        (["payment", "east"], "payment-east-1\n"),
        (["headers"], "Authorization: Bearer bearer-1\n"),
        (
            ["headers", "--payment"],
            "Authorization: Bearer bearer-1\nX-Payment-Authorization-Token: payment-1\n",
        ),
        (
            ["headers", "--payment=east"],
            "Authorization: Bearer bearer-1\nX-Payment-Authorization-Token: payment-east-1\n",
        ),
        (
            ["headers", "--payment", "east"],
            "Authorization: Bearer bearer-1\nX-Payment-Authorization-Token: payment-east-1\n",
        ),
    ],
)
def test_it_prints_what_was_asked_for_and_nothing_else(run, arguments, out):
    """The token or the header lines on stdout, silence on stderr, status 0."""
    assert run(*arguments) == (0, out, "")


def test_options_reach_the_broker(run, broker):
    """--app, --min-valid and what --timeout leaves for waiting are in the question."""
    broker.app = "shop"
    assert run("bearer", "--app", "shop", "--min-valid=90", "--timeout", "5")[0] == 0
    assert broker.requests[-1].query == {"app": "shop", "min_valid": "90", "wait": "4.5"}


def test_the_socket_can_be_named(run, broker):
    """--socket wins over the environment."""
    environment = {"USPS_TOKEN_SOCKET": "/nowhere"}
    assert run("bearer", "--socket", broker.path, environment=environment)[0] == 0


@pytest.mark.parametrize("command", ["bearer", "payment", "headers"])
def test_json_is_the_broker_s_answer(run, command):
    """--json prints what the broker said, checked."""
    status, out, err = run(command, "--json")
    assert (status, err) == (0, "")
    data = json.loads(out)
    assert data["app"] == "default"
    assert data["check_after"] == 60.0


def test_a_token_for_another_slot_is_not_printed_as_json(run, broker):
    """--json checks slot and app like the library does."""
    broker.app = "other"
    status, out, err = run("bearer", "--json", "--app", "shop")
    assert (status, out) == (76, "")
    assert "app other" in err


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (problem(400, "bad_request"), 64),
        (problem(403, "forbidden"), 77),
        (problem(403, "scope_missing"), 78),
        (problem(404, "unknown_app"), 78),
        (problem(404, "unknown_slot"), 78),
        (problem(404, "payment_not_configured"), 78),
        (problem(502, "credentials_refused"), 78),
        (problem(502, "payment_refused"), 78),
        (problem(503, "not_ready"), 75),
        (problem(503, "upstream_unavailable"), 75),
        (problem(503, "upstream_rate_limited"), 75),
        (problem(503, "budget_exhausted"), 75),
        (problem(503, "restarting"), 75),
        (problem(429, "too_many_requests"), 75),
        (problem(404, "not_found"), 76),
        (Reply(raw=b"SSH-2.0\r\n"), 76),
        (Reply(200, b"<html>", {"Content-Type": "text/html"}), 76),
        (Reply(200, b"", {"Content-Type": "text/plain"}), 76),
        (Reply(200, b"two words", {"Content-Type": "text/plain"}), 76),
        (Reply(200, b"a\nb", {"Content-Type": "text/plain"}), 76),
        (HangUp(), 76),
        (Silence(), 75),
    ],
)
def test_every_trouble_has_its_status(run, broker, answer, status):
    """Scripts can tell what to do; people are told on stderr; stdout stays empty."""
    broker.always = answer
    ended, out, err = run("bearer", "--timeout", "0.3")
    assert (ended, out) == (status, "")
    assert err.startswith("usps-token: ")


@pytest.mark.parametrize(
    "body",
    [
        b"Authorization: Bearer b\nX-Evil: 1\n",
        b"Authorization: Bearer b",
        b"",
        b"X-Payment-Authorization-Token: p\nAuthorization: Bearer b\n",
    ],
)
def test_headers_that_were_not_asked_for_are_not_printed(run, broker, body):
    """What goes to curl is exactly the two headers."""
    broker.always = Reply(200, body, {"Content-Type": "text/plain"})
    assert run("headers", "--payment")[:2] == (76, "")


def test_it_says_what_happened_and_what_to_do(run, broker):
    """Detail, code, fix and when to try again are on stderr."""
    broker.always = problem(503, "upstream_unavailable", retry_after=30)
    assert run("bearer")[2] == (
        "usps-token: the detail of upstream_unavailable [upstream_unavailable]\n"
        "  the fix of upstream_unavailable\n"
        "  try again in 30 s\n"
    )


def test_no_broker_there(run, tmp_path):
    """A missing socket is 69, with the path."""
    status, out, err = run("bearer", "--socket", str(tmp_path / "gone" / "gone.sock"))
    assert (status, out) == (69, "")
    assert "gone.sock" in err


def test_a_broker_that_is_down(run, broker):
    """A dead socket is 69, with where to look."""
    broker.stop()
    status, _, err = run("bearer", "--timeout", "0.2")
    assert status == 69
    assert "systemctl status" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bear"],
        ["bearer", "--nonsense"],
        ["bearer", "x"],
        ["bearer", "--payment"],
        ["bearer", "--slot", "x"],
        ["payment", "a", "b"],
        ["payment", "a/b"],
        ["payment", ""],
        ["headers", "--payment="],
        ["headers", "--payment", "a/b"],
        ["bearer", "--app"],
        ["bearer", "--app="],
        ["bearer", "--timeout"],
        ["bearer", "--timeout", "soon"],
        ["bearer", "--timeout", "0"],
        ["bearer", "--timeout", "-1"],
        ["bearer", "--timeout", "nan"],
        ["bearer", "--timeout", "inf"],
        ["bearer", "--min-valid", "-5"],
        ["bearer", "--json=yes"],
        ["wait", "--slot"],
        ["wait", "--slot="],
        ["wait", "--json"],
        ["exec"],
        ["exec", "--"],
        ["exec", "--payment", "--"],
        ["-"],
    ],
)
def test_wrong_usage(capsys, arguments):
    """64, with what is wrong and where help is."""
    assert main(arguments) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usps-token: ")
    assert "--help" in captured.err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["bearer", "--help"]])
def test_help_teaches(capfd, arguments):
    """Every command, option and exit status is explained, with a curl recipe."""
    assert main(arguments) == 0
    out = capfd.readouterr().out
    options = {option for options in _arguments.COMMANDS.values() for option in options}
    for word in [*_arguments.COMMANDS, *options, "curl", "-H @-"]:
        assert word in out
    for name, status in vars(_exits).items():
        if name.isupper() and isinstance(status, int):
            assert str(status) in out


def test_version(capfd):
    """The version is that of the package."""
    assert main(["--version"]) == 0
    assert usps_token_client.__version__ in capfd.readouterr().out


def test_wait_ends_when_the_broker_is_ready(run, broker):
    """0 and no word."""
    broker.script = [Reply(503, b'{"ready": false, "not_ready": ["default/bearer"]}')]
    assert run("wait", "--slot", "bearer", "payment", "--min-valid", "9") == (0, "", "")
    asked = [request for request in broker.requests if request.path == "/readyz"]
    assert [request.query.get("slot") for request in asked] == ["bearer", "bearer", "payment"]


def test_wait_gives_up_with_the_reason(run, broker):
    """75 at the deadline, with what is not good."""
    broker.not_ready = ["default/payment"]
    status, out, err = run("wait", "--timeout", "0.2")
    assert (status, out) == (75, "")
    assert "not ready after 0.2 s" in err
    assert "default/payment" in err


def test_wait_without_a_broker_gives_up_with_the_reason(run, tmp_path):
    """75 too, and the path is told."""
    status, _, err = run(
        "wait", "--timeout", "0.2", "--socket", str(tmp_path / "gone" / "gone.sock")
    )
    assert status == 75
    assert "gone.sock" in err


def test_wait_does_not_wait_for_a_person(run, broker):
    """77 at once for a user who is not let in."""
    broker.always = problem(403, "forbidden")
    assert run("wait", "--timeout", "600")[0] == 77


STATUS = {
    "version": "0.1.0",
    "pid": 77,
    "started_at": 1_800_000_000.0,
    "at": 1_800_007_265.0,
    "ready": False,
    "waiting": 0,
    "state_trouble": "disk full",
    "apps": [
        {
            "app": "default",
            "host": "apis.usps.com",
            "skew_seconds": 0.5,
            "slots": [
                {
                    "slot": "bearer",
                    "phase": "waiting",
                    "freshness": "late",
                    "required": True,
                    "degraded": True,
                    "suspect": False,
                    "serial": 1001,
                    "expires_at": 1_800_008_465.0,
                    "next_attempt_at": 1_800_007_270.0,
                    "next_attempt_why": "retry",
                    "trouble": {
                        "code": "upstream_unavailable",
                        "detail": "USPS answered 503",
                        "fix": "wait",
                        "since": 1_800_000_100.0,
                        "times": 7,
                    },
                },
                {"slot": "payment", "phase": "halted", "expires_at": None},
            ],
            "budget": [{"endpoint": "token", "used_last_hour": 3, "calls_per_hour": 30}],
        }
    ],
}


def test_status_for_people(run, broker):
    """Each token, how long it is good, what is wrong, and what to do."""
    broker.status = STATUS
    status, out, err = run("status")
    assert (status, err) == (0, "")
    assert "usps-token-broker 0.1.0, pid 77, up 2 h 1 min: NOT READY" in out
    for fact in (
        "disk full",
        "app default (apis.usps.com)",
        "late, good until",
        "(20 min 0 s)",
        "required, degraded, serial 1001",
        "next call to USPS in 5 s (retry)",
        "(7 times): USPS answered 503 [upstream_unavailable]",
        "payment: no token (halted)",
        "calls to token in the last hour: 3 of 30",
    ):
        assert fact in out


def test_status_as_json(run, broker):
    """--json prints it all."""
    broker.status = STATUS
    assert json.loads(run("status", "--json")[1]) == STATUS


@pytest.mark.parametrize("odd", [{"apps": 7}, {"apps": ["x"]}, {"apps": [{"slots": 7}]}])
def test_status_of_another_shape_is_shown_as_it_came(run, broker, odd):
    """A broker of another version that words it otherwise is shown as JSON."""
    broker.status = odd
    status, out, _ = run("status")
    assert (status, json.loads(out)) == (0, odd)


def test_status_may_say_less():
    """A broker that leaves fields out is still shown."""
    for status in ({}, {"apps": None}, {"apps": [{}]}, {"apps": [{"slots": [{"trouble": {}}]}]}):
        assert "usps-token-broker" in _status_text.describe(status)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0.4, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (26_999.9, "7 h 30 min")],
)
def test_spans_are_words(seconds, text):
    """Two units at most."""
    assert _status_text.span(seconds) == text


def test_exec_puts_the_tokens_into_the_environment(run):
    """The command sees both, and stderr says what that means."""
    show = 'printf \'%s %s\\n\' "$USPS_BEARER_TOKEN" "$USPS_PAYMENT_TOKEN"'
    status, out, err = run("exec", "--payment", "--", "sh", "-c", show)
    assert (status, out) == (0, "bearer-1 payment-1\n")
    assert "sh has the tokens in its environment" in err
    assert "die in 8 h 0 min" in err or "die in 7 h 59 min" in err


@pytest.mark.parametrize("options", [(), ("--payment",), ("--payment=east",)])
def test_exec_gives_the_tokens_asked_for_and_nothing_else(run, options):
    """The environment is the caller's but for them, and no descriptor is left open."""
    show = "import json, os; print(json.dumps([dict(os.environ), os.listdir('/proc/self/fd')]))"
    python = (sys.executable, "-S", "-E", "-c", show)
    before, _ = json.loads(subprocess.run(
        python, env={"PATH": os.environ["PATH"], "OTHER": "x"}, stdin=subprocess.DEVNULL,
        capture_output=True, check=True, timeout=60,
    ).stdout)  # fmt: skip
    _, out, _ = run("exec", *options, "--", *python, environment={"OTHER": "x"})
    given, descriptors = json.loads(out)
    added = {name: given[name] for name in given.keys() - before.keys()}
    added.pop("PYTHONPATH")  # the caller's own, as is where the broker is
    added.pop("USPS_TOKEN_SOCKET")
    expected = {"USPS_BEARER_TOKEN": "bearer-1"}
    if options:
        expected["USPS_PAYMENT_TOKEN"] = "payment-east-1" if "east" in options[0] else "payment-1"
    assert added == expected
    assert len(descriptors) == 4  # the usual three, and the one that lists them


def test_exec_without_payment_gives_the_bearer_alone(run):
    """No payment token where none was asked for; a leftover one of ours does not matter."""
    status, out, _ = run("exec", "sh", "-c", "env | grep -c ^USPS_PAYMENT_TOKEN=")
    assert (status, out) == (1, "0\n")


def test_exec_passes_words_and_status_on(run):
    """Options behind the command are the command's; its status is ours."""
    script = 'printf "%s|" "$@"; exit 7'
    status, out, _ = run("exec", "sh", "-c", script, "x", "--json", "--", "--help")
    assert (status, out) == (7, "--json|--|--help|")


def test_exec_runs_with_the_usual_signals(run):
    """SIGPIPE is not ignored in the command, as it is in Python."""
    status, out, _ = run("exec", "sh", "-c", "grep SigIgn /proc/self/status")
    assert status == 0
    assert int(out.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_exec_of_nothing_runnable(run, tmp_path):
    """127 when there is no such command, 126 when it cannot be run."""
    assert run("exec", "--", "no-such-command-here")[0] == 127
    plain = tmp_path / "plain"
    plain.write_text("")
    assert run("exec", "--", str(plain))[0] == 126


def test_exec_without_a_token_runs_nothing(run, broker, tmp_path):
    """The command is not started when there is no token."""
    broker.always = problem(503, "not_ready")
    assert run("exec", "--", "touch", str(tmp_path / "ran"))[0] == 75
    assert not (tmp_path / "ran").exists()


def test_ctrl_c_is_no_traceback(start, broker):
    """130, without a word."""
    held = Held()
    broker.script = [held]
    process = start("bearer")
    assert held.arrived.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    held.released.set()
    assert (process.returncode, out, err) == (130, "", "")


def test_a_reader_that_went_away_is_no_trouble(start):
    """A closed pipe is quiet."""
    reader, writer = os.pipe()
    os.close(reader)
    process = start("bearer", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


def test_a_stdout_that_takes_nothing_is_told(run):
    """A full disk or a closed stdout is 74, and never a silent success."""
    with Path("/dev/full").open("w") as full:
        status, _, err = run("bearer", stdout=full)
    assert status == 74
    assert "No space left" in err
    status, _, err = run("bearer", stdout=None, preexec_fn=lambda: os.close(1))
    assert status == 74


def test_the_token_is_not_in_the_arguments(start, broker, tmp_path):
    """Nothing that other users can see of the process holds the token."""
    process = start("exec", "--", "cat", "/proc/self/cmdline")
    out, _ = process.communicate(timeout=20)
    assert "bearer-1" not in out


def test_static_tokens_are_printed(run):
    """USPS_TOKEN_STATIC works for the commands too."""
    environment = {"USPS_TOKEN_STATIC": '{"bearer": "b", "payment": {"default": "p", "e": "q"}}'}
    options = {"path": False, "environment": environment}
    assert run("bearer", **options) == (0, "b\n", "")
    assert run("payment", **options) == (0, "p\n", "")
    assert run("payment", "e", **options) == (0, "q\n", "")
    assert run("headers", "--payment", **options)[1] == (
        "Authorization: Bearer b\nX-Payment-Authorization-Token: p\n"
    )
    assert json.loads(run("bearer", "--json", **options)[1])["token"] == "b"
    assert json.loads(run("headers", "--json", **options)[1])["headers"]["Authorization"]
    assert run("wait", "--slot", "bearer", **options) == (0, "", "")
    assert (
        run("status", **options)[1]
        == "static tokens, no broker asked: bearer, payment, payment-e\n"
    )
    assert run("exec", "sh", "-c", 'echo "$USPS_BEARER_TOKEN"', **options)[1] == "b\n"
    assert run("payment", "x", **options)[0] == 78


def test_a_broken_static_variable_is_a_matter_of_configuration(run):
    """78, and the value is not shown."""
    status, _, err = run("bearer", path=False, environment={"USPS_TOKEN_STATIC": "{SECRET"})
    assert status == 78
    assert "SECRET" not in err


def test_waiting_spans_a_late_start(start, silent_broker):
    """`wait` begun before the broker ends when it comes."""
    silent_broker.stop()
    Path(silent_broker.path).unlink()
    process = start("wait", "--timeout", "60")
    deadline = time.perf_counter() + 20
    while process.poll() is None and not _has_started(process.pid):
        assert time.perf_counter() < deadline
    silent_broker.start()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def _has_started(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
