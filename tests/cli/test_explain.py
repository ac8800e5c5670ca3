"""`explain`: from a code or an answer to what to do."""

import json
import os
import subprocess
import sys

import pytest

from usps_token_broker.catalogue import CATALOGUE

REFUSED = '{"error": "invalid_client", "error_description": "Client authentication failed."}'


@pytest.fixture
def explain(clean_environ):
    """Run it with this on its standard input."""

    def run(*arguments, text=b""):
        return subprocess.run(
            [sys.executable, "-m", "usps_token_broker", "explain", *arguments],
            input=text,
            capture_output=True,
            env=clean_environ,
            timeout=60,
            check=False,
        )

    return run


def test_a_code_is_explained(explain):
    """Cause, what to do, who can, and where it is known from."""
    done = explain("160228")
    text = " ".join(done.stdout.decode().split())
    row = CATALOGUE["160228"]
    assert done.returncode == 0
    for part in (row.cause, row.fix, row.who.value, row.source):
        assert part in text


def test_a_code_is_known_in_capitals_too(explain):
    """As somebody reads it out on the telephone."""
    assert explain("NOT_READY").stdout.startswith(b"not_ready\n")


def test_a_status_alone_is_asked_for_more(explain):
    """Most errors of USPS are a 401: none of them is meant by it."""
    done = explain("401")
    assert done.returncode == 66
    assert b"whole answer" in done.stderr


def test_a_long_word_stays_whole(explain):
    """As `usps-token explain` has it: an address in two pieces cannot be copied."""
    word = "https://apis.usps.com/a/" + "b/" * 30
    done = explain(text=f"HTTP/1.1 400 Bad\n\n{json.dumps({'error': {'message': word}})}".encode())
    assert word in done.stdout.decode()


def test_an_answer_is_taken_from_standard_input(explain):
    """As it comes out of curl."""
    done = explain(text=f"HTTP/1.1 401 Unauthorized\r\n\r\n{REFUSED}".encode())
    assert done.returncode == 0
    assert done.stdout.startswith(b"client_secret_wrong\n")


def test_an_answer_is_taken_from_a_file(explain, tmp_path):
    """As it was saved."""
    file = tmp_path / "answer.txt"
    file.write_text(REFUSED)
    assert explain(file).stdout.startswith(b"client_secret_wrong\n")


@pytest.mark.parametrize(
    "text", [b"", b"\x00\xff\xfe" * 400, b"\xff\xfe\0", b"hello", bytes(range(256)) * 2000]
)
def test_anything_else_is_not_recognised(explain, text):
    """Exit code 65, and how to report it; never a traceback."""
    done = explain(text=text)
    assert (done.returncode, done.stderr) == (65, b"")
    assert b"not recognised" in done.stdout
    assert b"doctor --bundle" in done.stdout


@pytest.mark.parametrize("arguments", ["", " -"])
def test_a_closed_standard_input_has_nothing_in_it(arguments, clean_environ):
    """As cron and some supervisors leave it."""
    command = f"{sys.executable} -m usps_token_broker explain{arguments} <&-"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, env=clean_environ, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (65, b"")
    assert b"there is nothing in it" in done.stdout


def test_a_terminal_is_told_what_is_waited_for(clean_environ):
    """Who typed `-` sees nothing move."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "usps_token_broker", "explain", "-"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environ
    ) as process:
        os.write(ours, b"not_ready\n\x04")
        out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert err == b"paste what USPS answered, then Ctrl-D\n"
    assert out.startswith(b"not_ready\n")


def test_a_slip_of_the_pen_is_met_with_what_is_near(explain):
    """And with where all codes are."""
    done = explain("client_secret_wrogn")
    assert done.returncode == 66
    assert b"client_secret_wrong" in done.stderr
    assert b"--list" in done.stderr


@pytest.mark.parametrize("name", ["a\\0b", "/proc/self/mem", "/", "x" * 5000])
def test_a_file_that_cannot_be_read_is_none(explain, name):
    """Whatever the system says of it."""
    done = explain(name)
    assert done.returncode in {65, 66}
    assert b"Traceback" not in done.stderr


def test_programs_get_it_as_json(explain):
    """With the same names as over the socket."""
    told = json.loads(explain("not_enrolled", "--json").stdout)
    assert (told["code"], told["recognised"]) == ("not_enrolled", True)
    assert told["who"] == "USPS, when asked"


def test_the_list_has_every_code_within_80_columns(explain):
    """For who has only an idea of it."""
    lines = explain("--list").stdout.decode().splitlines()
    assert {line.split()[0] for line in lines if line.startswith("  ")} == set(CATALOGUE)
    assert max(map(len, lines)) < 80


def test_a_status_beside_a_body_is_one_of_http(explain):
    """99999 would be taken for trouble of USPS's own."""
    assert explain("--status", "429", text=b"{}").stdout.startswith(b"rate_limited\n")
    for wrong in ("99", "600", "99999", "-1", "abc"):
        done = explain(f"--status={wrong}", text=b"{}")
        assert done.returncode == 64
        assert b"is no HTTP status, such as 401" in done.stderr


def test_a_host_says_where_the_tokens_are_from(explain):
    """Without it, a call to another environment looks like a dead token."""
    text = b"curl https://apis-tem.usps.com/a\nHTTP/2 401\n\n"
    assert explain("--host", "apis.usps.com", text=text).stdout.startswith(b"host_mismatch\n")
