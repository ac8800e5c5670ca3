"""The command line as a whole: help, version, exit codes, and output that nobody takes."""

import os
import platform
import re
import signal
import socket
import ssl
import subprocess
import sys
from importlib.metadata import requires
from importlib.metadata import version as metadata_version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import usps_token_broker
from usps_token_broker import version
from usps_token_broker.cli import _COMMANDS, main

COMMANDS = tuple(_COMMANDS)


def test_help_names_every_command(command):
    """And how to begin."""
    done = command("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in COMMANDS)
    assert "usps-token-broker demo" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(command, name):
    """What it does and its options; it does nothing else."""
    done = command(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: usps-token-broker {name}" in done.stdout
    assert len(done.stdout) > 200
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_gives_an_example_and_says_what_is_next(command, name):
    """A reader who has never used it can type something, and knows where to go on."""
    lines = command(name, "--help").stdout.splitlines()
    example = lines[lines.index("examples:") + 1]
    assert f"usps-token-broker {name}" in example
    assert example.startswith("  ")
    assert any(line.startswith("next: ") for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_path_is_broken_in_the_help(command, name):
    """They have dashes, and are there to be copied."""
    for line in command(name, "--help").stdout.splitlines():
        assert not re.search(r"[\w/]-$", line), line


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_prose_of_the_help_fits_the_terminal(clean_environ, name, columns):
    """Only what is there to be copied, or stands in columns, may be longer."""
    done = subprocess.run(
        [sys.executable, "-m", "usps_token_broker", name, "--help"],
        env={**clean_environ, "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=True,
    )
    described = done.stdout.split("\n\n", 1)[1]
    prose = [line for line in described.splitlines() if line[:1].isalpha() and "  " not in line]
    assert all(len(line) <= min(columns, 100) or " " not in line for line in prose)
    assert any(line.startswith("next: ") for line in prose)


def test_version_begins_with_our_own(command):
    """The first line is for programs; the others have what a report of trouble needs."""
    done = command("--version")
    first, *facts = done.stdout.splitlines()
    assert (done.returncode, first) == (0, f"usps-token-broker {version()}")
    told = dict(line.split(maxsplit=1) for line in facts)
    assert told["python"].startswith(platform.python_version())
    assert told["kernel"].endswith(os.uname().release)
    assert ssl.OPENSSL_VERSION.endswith(told["openssl"])
    assert told["installed"] == str(Path(usps_token_broker.__file__).parent)
    assert told["systemd"]


def test_version_names_every_package_we_need(command):
    """With the version that is there, which may not be the one of our own tests."""
    out = command("--version").stdout
    needed = [Requirement(text).name for text in requires("usps-token-broker")]
    assert len(needed) > 5
    for name in (*needed, "usps-token-client"):
        assert f"{name} {metadata_version(name)}" in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "COMMAND"),
        (("frobnicate",), "'frobnicate'"),
        (("run", "--nope"), "--nope"),
        (("run", "--config"), "--config"),
        (("status", "extra"), "extra"),
        (("check", "--config", "a", "b"), "b"),
        (("--nope", "run"), "--nope"),
    ],
)
def test_wrong_usage_is_64_and_says_where_help_is(command, arguments, word):
    """sysexits.h; two lines and no more."""
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert word in done.stderr
    assert "try: usps-token-broker" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_an_option_may_have_the_name_of_a_command(command):
    """`status --socket run` is about a socket."""
    done = command("status", "--socket", "run")
    assert done.returncode == 69
    assert "no socket at run" in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("simulate", "--help"), ("check",)])
def test_a_reader_who_leaves_early_gets_no_complaint(clean_environ, config, arguments):
    """`| head -1`: no traceback, no word, and the exit code a shell gives for it."""
    options = ("--config", str(config)) if arguments == ("check",) else ()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "usps_token_broker", *arguments, *options],
            env=clean_environ,
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("arguments", [("--version",), ("simulate", "--help"), ("check",)])
def test_output_that_cannot_be_written_is_said(clean_environ, config, arguments):
    """A full disk behind the redirection."""
    options = ("--config", str(config)) if arguments == ("check",) else ()
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "usps_token_broker", *arguments, *options],
            env=clean_environ,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 74
    assert done.stderr == b"cannot write the output: No space left on device\n"


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_closed_streams_are_no_trouble(clean_environ, config, closed):
    """As some supervisors start a program."""
    done = subprocess.run(
        [sys.executable, "-m", "usps_token_broker", "check", "--config", str(config)],
        env=clean_environ,
        preexec_fn=lambda: [os.close(number) for number in closed],
        timeout=60,
        check=False,
        stdout=None if 1 in closed else subprocess.DEVNULL,
        stderr=None if 2 in closed else subprocess.PIPE,
    )
    assert done.returncode == 0
    assert not done.stderr


def test_ctrl_c_is_130_without_a_traceback(clean_environ, folder):
    """While it asks a broker that does not answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "usps_token_broker", "status", "--socket", str(folder / "s")],
            env=clean_environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        connected, _ = listener.accept()
        connected.recv(1000)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
        connected.close()
    assert (process.returncode, out, errors) == (130, b"", b"")


def test_main_gives_the_exit_code(capsys):
    """For the script that the installation makes."""
    assert main(["status", "--socket", "/nonexistent/socket"]) == 69
    assert "no broker here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said", "meant"),
    [
        (["statsu"], "usps-token-broker: there is no command 'statsu'", "did you mean status?"),
        (["--verson"], "usps-token-broker: --verson", "did you mean --version?"),
        (["status", "--folow"], "usps-token-broker status: --folow", "did you mean --follow?"),
        (["status", "--xyz=1"], "--xyz=1 is not known here\ntry: ", "status --help"),
    ],
)
def test_what_is_misspelt_is_64_and_what_was_meant_is_named(command, words, said, meant):
    """And the help of that very command."""
    done = command(*words)
    assert done.returncode == 64
    assert said in done.stderr
    assert meant in done.stderr
