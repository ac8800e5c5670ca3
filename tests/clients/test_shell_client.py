"""`usps-token` in sh: what it does with the shell and the tools it stands on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from contract_files import commands, exchanges, script
from scripted_broker import Held, Silence, problem
from token_programs import SHELL_CLIENT, SHELLS, command, missing, run

SECRETS = ("bearer-1", "payment-1")
TOOLS = ["awk", "curl", "date", "head", "id", "printf", "sed", "sleep", "tr"]
DEADLINE_SECONDS = 20.0
LOGGING_TOOL = """\
#!/bin/sh
{{ printf '%s ' TOOL {name} "$@"; echo; {environment}; }} >>{log}
exec {real} "$@"
"""
WHOLE_SLEEP = """\
#!/bin/sh
case {name}$1 in sleep*.*) exit 1 ;; esac
exec {real} "$@"
"""


@pytest.fixture(params=SHELLS)
def shell(request):
    """A shell that this machine has."""
    if missing(request.param):
        pytest.skip(f"there is no {missing(request.param)}")
    return request.param


@pytest.fixture
def environment(broker):
    """What names the broker."""
    return {"USPS_TOKEN_SOCKET": broker.path}


@pytest.fixture
def start(shell, environment):
    """Starts the program; the caller sees to its end."""

    def begin(*argv, **more):
        return subprocess.Popen(
            [*command(shell), *argv],
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    return begin


def a_path_of_tools(folder, text, **more):
    """A PATH on which each tool is this script first, with its {name} and the {real} one in it."""
    folder.mkdir()
    for name in [*TOOLS, *(words[0] for words in SHELLS.values())]:
        real = shutil.which(name)
        if real is not None:
            tool = folder / name
            tool.write_text(text.format(name=name, real=real, **more))
            tool.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    "argv",
    [
        ["bearer"],
        ["bearer", "--json"],
        ["payment", "--json"],
        ["headers", "--payment"],
        ["headers", "--payment", "--json"],
        ["exec", "--payment", "--", "true"],
        ["exec", "--fd", "--payment", "--", "true"],
        ["exec", "--file", "--payment", "--", "true"],
    ],
)
def test_no_process_has_a_token_in_its_arguments_or_its_environment(
    shell, environment, tmp_path, argv
):
    """Arguments are seen by every user; the environment of CMD alone is meant to hold tokens."""
    log = tmp_path / "log"
    path = a_path_of_tools(tmp_path / "tools", LOGGING_TOOL, log=log, environment="/usr/bin/env")
    done = run(shell, argv, {**environment, "PATH": path})
    assert done.status == 0, done.err
    told = log.read_text()
    assert "TOOL curl" in told
    assert "TOOL awk" in told
    for secret in SECRETS:
        assert secret not in told
    # The shell itself prints: a printf of the system would have the token in its arguments.
    assert "TOOL printf" not in told


def test_a_shell_that_cannot_print_by_itself_is_refused(environment, broker):
    """Its printf would be a process with the token in its arguments."""
    if missing("bash"):
        pytest.skip(f"there is no {missing('bash')}")
    without = ["bash", "-c", 'enable -n printf; . "$0"', str(SHELL_CLIENT), "bearer"]
    done = subprocess.run(
        without,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (69, "")
    assert "no printf of its own" in done.stderr
    assert broker.requests == []


@pytest.mark.parametrize("argv", [["bearer"], ["payment", "--json"], ["exec", "--", "true"]])
def test_a_shell_that_traces_shows_no_token(environment, argv):
    """Nor one that shows what it reads: in bash both are inherited, and CI keeps what is shown."""
    if missing("bash"):
        pytest.skip(f"there is no {missing('bash')}")
    inherited = {**environment, "SHELLOPTS": "allexport:verbose:xtrace"}
    done = run("bash", argv, inherited)
    assert done.status == 0
    for secret in SECRETS:
        assert secret not in done.err


def test_static_tokens_are_in_no_arguments_either(shell, tmp_path):
    """They come from the environment, and stay out of every command line."""
    log = tmp_path / "log"
    environment = {
        "PATH": a_path_of_tools(tmp_path / "tools", LOGGING_TOOL, log=log, environment=":"),
        "USPS_TOKEN_STATIC": '{"bearer": "bearer-1", "payment": "payment-1"}',
    }
    for argv in (["bearer"], ["payment", "--json"], ["exec", "--payment", "--", "true"]):
        assert run(shell, argv, environment).status == 0
    told = log.read_text()
    assert "TOOL awk" in told
    for secret in SECRETS:
        assert secret not in told


def test_no_temporary_file_is_made(shell, environment, tmp_path):
    """It works where there is no place for one, and leaves nothing where it stands."""
    environment = {**environment, "TMPDIR": str(tmp_path / "none"), "HOME": str(tmp_path)}
    done = run(shell, ["headers", "--payment"], environment, cwd=tmp_path)
    assert done.out.count("\n") == 2
    assert list(tmp_path.iterdir()) == []


def test_standard_input_is_left_to_the_command(shell, environment):
    """What is piped to `usps-token exec` is for CMD."""
    done = subprocess.run(
        [*command(shell), "exec", "--", "cat"],
        env={"PATH": os.environ["PATH"], **environment},
        input=b"piped\n",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"piped\n")


def test_a_large_status_is_shown(shell, environment, broker):
    """Three hundred tokens, each with its trouble."""
    status = exchanges()["the status in trouble"]["answer"]["json"]
    [app] = status["apps"]
    broker.status = {**status, "apps": [{**app, "slots": app["slots"] * 150}]}
    done = run(shell, ["status"], environment)
    assert done.status == 0
    assert done.out.count("[upstream_unavailable]") == 150


def test_settings_of_curl_are_not_read(shell, environment, tmp_path):
    """A ~/.curlrc might print, trace or send elsewhere what is ours."""
    traced = tmp_path / "traced"
    (tmp_path / ".curlrc").write_text(f"trace-ascii = {traced}\nproxy = 127.0.0.1:1\n")
    done = run(shell, ["bearer"], {**environment, "HOME": str(tmp_path)})
    assert done == (0, "bearer-1\n", "")
    assert not traced.exists()


def test_a_strange_environment_does_not_matter(shell, environment):
    """Variables that steer shells, awk and curl in other ways."""
    strange = {
        "IFS": "brace",
        "POSIXLY_CORRECT": "1",
        "LC_ALL": "C.UTF-8",
        "LC_NUMERIC": "de_DE.UTF-8",
        "MODE": "exec",
        "APP": "x",
        "_answer": "x",
        "ENV": "/dev/full",
        "CDPATH": "/",
    }
    assert run(shell, ["bearer", "--timeout", "2.5"], {**environment, **strange}).out == (
        "bearer-1\n"
    )


def test_without_curl_it_says_so(shell, environment, tmp_path):
    """69, with what to install."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in [*TOOLS, SHELLS[shell][0]]:
        if name != "curl":
            (tools / name).symlink_to(shutil.which(name))
    done = run(shell, ["bearer"], {**environment, "PATH": str(tools)})
    assert (done.status, done.out) == (69, "")
    assert "[no_curl]" in done.err
    assert "install curl" in done.err


def test_a_sleep_that_knows_no_fractions_is_enough(shell, environment, broker, tmp_path):
    """POSIX asks for whole seconds only."""
    path = a_path_of_tools(tmp_path / "tools", WHOLE_SLEEP)
    broker.script = [problem(503, "restarting", retry_after=0.01)]
    assert run(shell, ["bearer"], {**environment, "PATH": path}).out == "bearer-1\n"
    assert len(broker.requests) == 2


BY_TOOL = [
    "tokens: all options of a question",
    "tokens: a name that has to be encoded",
    "tokens: headers as JSON are what the broker said",
    "refusals: a refusal that would steer the terminal",
    "refusals: a refusal with escapes",
    "refusals: a refusal in another alphabet",
    "status: trouble",
    "troubles: a NUL in a text",
    "troubles: text that is not ASCII",
    "troubles: JSON that is none: too deep",
    "exec: both tokens",
    "static: not to be meant: another alphabet",
    "wait: it asks again until it is ready",
]


@pytest.mark.parametrize("name", BY_TOOL)
def test_the_tools_of_busybox_are_enough(broker, tmp_path, name):
    """As on Alpine: every tool but curl is an applet."""
    if missing("busybox"):
        pytest.skip(f"there is no {missing('busybox')}")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in [*TOOLS, "sh", "busybox"]:
        (tools / tool).symlink_to(shutil.which("curl" if tool == "curl" else "busybox"))
    case = commands()[name]
    script(broker, case)
    given = case.get("env", {"USPS_TOKEN_SOCKET": "{socket}"})
    given = {key: value.replace("{socket}", broker.path) for key, value in given.items()}
    done = run("busybox", case["argv"], {**given, "PATH": str(tools)})
    assert (done.status, done.err) == (case["exit"], case["stderr"])
    if case["stdout"] != "{answer}\n":
        assert done.out == case["stdout"]


def test_a_reader_that_went_away_is_no_trouble(start):
    """A closed pipe is quiet."""
    reader, writer = os.pipe()
    os.close(reader)
    process = start("bearer", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("argv", [["bearer"], ["--help"], ["--version"], ["status"]])
def test_a_stdout_that_takes_nothing_is_told(start, argv):
    """A full disk is 74, and never a silent success."""
    with Path("/dev/full").open("w") as full:
        process = start(*argv, stdout=full)
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 74
    assert err.startswith("usps-token: cannot write the answer")


def test_a_closed_stdout_is_told(start):
    """74 too."""
    process = start("bearer", preexec_fn=lambda: os.close(1))
    _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 74
    assert err.startswith("usps-token: cannot write the answer")


def test_ctrl_c_is_quiet(start, broker):
    """A shell sees 130: ended by the signal, or by its own word."""
    held = Held()
    broker.script = [held]
    process = start("bearer", stdout=subprocess.PIPE, start_new_session=True)
    assert held.arrived.wait(DEADLINE_SECONDS)
    # As a terminal does it: to all processes of the group.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    held.released.set()
    assert process.returncode in {130, -signal.SIGINT}
    assert (out, err) == ("", "")


def test_the_deadline_holds(shell, environment, broker):
    """All attempts and pauses together."""
    broker.always = Silence()
    began = time.perf_counter()
    assert run(shell, ["bearer", "--timeout", "0.5"], environment).status == 75
    assert 0.4 < time.perf_counter() - began < DEADLINE_SECONDS / 2


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say():
    """Not even at the level of style."""
    done = subprocess.run(
        ["shellcheck", "--shell=sh", "--severity=style", str(SHELL_CLIENT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
