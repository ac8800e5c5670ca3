"""`simulate` is a program: it says where it listens, takes its arguments, and ends on a signal."""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from usps_token_broker.simulator import add_simulate_arguments, simulate

PROGRAM = (
    "import argparse, sys\n"
    "from usps_token_broker.simulator import add_simulate_arguments, simulate\n"
    "parser = argparse.ArgumentParser('simulate')\n"
    "add_simulate_arguments(parser)\n"
    "sys.exit(simulate(parser.parse_args()))\n"
)
DEADLINE = 20


@contextlib.contextmanager
def program(*arguments, stdout=subprocess.PIPE):
    started = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate(timeout=DEADLINE)


def finish(running):
    out, err = running.communicate(timeout=DEADLINE)
    return running.returncode, out, err


def ask(url, body=None, method=None, headers=None):
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def ask_token(base_url, secret="demo-client-secret", client_id="demo-client-id"):
    form = f"grant_type=client_credentials&client_id={client_id}&client_secret={secret}"
    status, body = ask(f"{base_url}/oauth2/v3/token", form.encode())
    return status, json.loads(body)


def parsed(*arguments):
    parser = argparse.ArgumentParser("simulate")
    add_simulate_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(sent):
    """Exit status 0, and nothing on standard error."""
    with program("--json") as running:
        base_url = json.loads(running.stdout.readline())["base_url"]
        assert ask_token(base_url)[0] == 200

        running.send_signal(sent)

        assert finish(running) == (0, "", "")


def test_a_signal_ends_it_while_calls_hang():
    """Nobody has to wait for a client."""
    with program("--json", "--fault", "hang") as running:
        base_url = json.loads(running.stdout.readline())["base_url"]
        port = int(base_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as hanging:
            hanging.sendall(b"GET /addresses/v3/address HTTP/1.1\r\n\r\n")
            while json.loads(ask(f"{base_url}/sim/calls")[1])["total"] < 1:
                pass

            running.send_signal(signal.SIGTERM)

            assert finish(running) == (0, "", "")


def test_json_is_one_line_for_programs():
    """With address, client id and process id; no more is printed."""
    with program("--json") as running:
        first = json.loads(running.stdout.readline())

        assert set(first) == {"base_url", "client_id", "pid"}
        assert first["pid"] == running.pid
        assert first["base_url"].startswith("http://127.0.0.1:")


def test_without_json_it_explains_itself():
    """Address, credentials, configuration and faults to copy."""
    with program("--life", "60", "--fault", "delay=0.1@token") as running:
        lines = []
        while not lines or "delay=0.1@token" not in lines[-1]:
            lines.append(running.stdout.readline())
        text = "".join(lines)

    base_url = text.split("listens on ")[1].split()[0]
    assert f"export USPS_BASE_URL={base_url}" in text
    assert "export USPS_CLIENT_SECRET=demo-client-secret" in text
    assert f'base_url = "{base_url}"' in text
    assert f"{base_url}/sim/faults" in text
    roles = text.split("USPS_PAYMENT_ROLES='")[1].split("'")[0]
    assert json.loads(roles)[0]["roleName"] == "PAYER"


def test_it_takes_life_quota_and_faults():
    """As the first calls see."""
    arguments = ("--life", "60", "--quota", "2", "--quota", "addresses=0")
    with program("--json", *arguments, "--fault", "unavailable@tokenx1") as running:
        base_url = json.loads(running.stdout.readline())["base_url"]

        assert ask_token(base_url)[0] == 503
        assert ask_token(base_url)[1]["expires_in"] == 59
        assert ask_token(base_url)[0] == 429
        assert ask(f"{base_url}/addresses/v3/address")[0] == 429


def test_it_takes_credentials_of_ones_own(tmp_path):
    """The secret comes from a file and is printed nowhere."""
    secret = tmp_path / "secret"
    secret.write_text("my-own-secret\n")
    with program("--client-id", "mine", "--client-secret-file", str(secret)) as running:
        greeting = "".join(running.stdout.readline() for _ in range(6))
        base_url = greeting.split("listens on ")[1].split()[0]

        assert "my-own-secret" not in greeting
        assert f'USPS_CLIENT_SECRET="$(cat {secret})"' in greeting
        assert ask_token(base_url, "my-own-secret", "mine")[0] == 200
        assert ask_token(base_url)[0] == 401


def test_a_reader_that_leaves_does_not_end_it():
    """As with `| head -0`: it goes on, and ends in order."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reading, writing = os.pipe()
    os.close(reading)
    with program("--port", str(port), stdout=writing) as running:
        os.close(writing)
        wait_until_it_listens(port)
        assert ask_token(f"http://127.0.0.1:{port}")[0] == 200

        running.send_signal(signal.SIGTERM)

        assert finish(running) == (0, None, "")


def wait_until_it_listens(port):
    give_up_at = time.perf_counter() + DEADLINE
    while time.perf_counter() < give_up_at:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=DEADLINE).close()
            return
    pytest.fail(f"nobody listens on port {port}")


@pytest.mark.parametrize(
    ("arguments", "taught"),
    [
        (("--host", "0.0.0.0"), "--anywhere"),
        (("--host", "example.com"), "--anywhere"),
        (("--fault", "slow"), "there are: delay, hang"),
        (("--fault", "hang@nowhere"), "it has: token"),
        (("--client-id", "a\nb"), "client_id to be a text"),
        (("--client-secret-file", "/nonexistent/secret"), "/nonexistent/secret"),
    ],
)
def test_arguments_that_do_not_fit_end_it_with_two(arguments, taught, capsys):
    """Before it listens, with what would fit on standard error."""
    assert simulate(parsed(*arguments)) == 2
    assert taught in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "taught"),
    [
        (("--port", "70000"), "0 to 65535"),
        (("--port", "http"), "0 to 65535"),
        (("--life", "1"), "seconds from 2"),
        (("--quota", "prices=3"), "ENDPOINT is one of token"),
        (("--quota", "many"), "CALLS a whole number or none"),
        (("--quota=-3",), "CALLS a whole number or none"),
    ],
)
def test_values_that_do_not_fit_are_explained(arguments, taught, capsys):
    """By argparse, with exit status 2."""
    with pytest.raises(SystemExit) as caught:
        parsed(*arguments)

    assert caught.value.code == 2
    assert taught in capsys.readouterr().err


def test_a_port_that_is_taken_ends_it_with_one(capsys):
    """And says how to go on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        assert simulate(parsed("--port", port)) == 1

    error = capsys.readouterr().err
    assert f"port {port}" in error
    assert "Choose another --port" in error


def test_an_address_of_another_machine_ends_it_with_one(capsys):
    """192.0.2.1 is nobody's (RFC 5737)."""
    assert simulate(parsed("--host", "192.0.2.1", "--anywhere")) == 1
    assert "an address of this machine" in capsys.readouterr().err


def test_localhost_is_a_loopback():
    """It means 127.0.0.1."""
    with program("--json", "--host", "localhost") as running:
        assert "127.0.0.1" in json.loads(running.stdout.readline())["base_url"]


def test_anywhere_is_allowed_and_warned_of():
    """Who wants it has been told that nothing guards it."""
    with program("--host", "0.0.0.0", "--anywhere") as running:
        greeting = "".join(running.stdout.readline() for _ in range(4))

    assert "nothing guards /sim/" in greeting


def test_help_has_the_faults_and_costs_little():
    """The table is shown without importing what runs it."""
    code = (
        "import argparse, sys\n"
        "from usps_token_broker.simulator import add_simulate_arguments\n"
        "parser = argparse.ArgumentParser('simulate')\n"
        "add_simulate_arguments(parser)\n"
        "print(parser.format_help())\n"
        "heavy = {'anyio', 'asyncio', 'msgspec', 'httptools', 'httpx'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env={**os.environ, "COLUMNS": "100"},
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "revoke_on_renewal" in done.stdout
    assert "rate_limited=RETRY_AFTER" in done.stdout
