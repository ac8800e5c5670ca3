"""One GET on a socket: what a person is told when there is no broker, or none that answers."""

import os
import shutil
import socket
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from ordinary_user import as_ordinary_user

from usps_token_broker.drivers import asking
from usps_token_broker.drivers.asking import AskError


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="utb-"))
    yield path
    shutil.rmtree(path)


@contextmanager
def answering(path, answer, *, close=True):
    """A server that answers one request with these bytes, whatever it is."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    asked = []
    kept = []

    def serve():
        try:
            connected, _ = listener.accept()
        except OSError:
            return
        asked.append(connected.recv(65536))
        connected.sendall(answer)
        if close:
            connected.close()
        else:
            kept.append(connected)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connected in kept:
            connected.close()


def http(body, status=200, kind="application/json"):
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def told(*paths, target="/v1/status", **more):
    """What is said of these paths, and the exit code."""
    try:
        answer = asking.get([*paths], target, **more)
    except AskError as error:
        return f"{error.exit_code} {error}"
    raise AssertionError(f"answered {answer}")


def test_the_answer_of_the_first_socket_that_exists(folder):
    """In the order in which clients look."""
    with answering(folder / "b", http(b'{"ready": true}')) as asked:
        assert asking.get([folder / "a", folder / "b"], "/v1/status") == {"ready": True}
    assert asked[0].startswith(b"GET /v1/status HTTP/1.1\r\n")


def test_no_socket_says_where_it_was_looked_for(folder):
    """And how to start one."""
    text = told(folder / "a", folder / "b")
    assert text.startswith("69 no broker here")
    assert f"{folder}/a nor at {folder}/b" in text
    assert "usps-token-broker run" in text
    assert "--socket" in text


def test_a_path_below_a_file_is_no_socket(folder):
    """The same."""
    (folder / "file").write_text("")
    assert told(folder / "file" / "sock").startswith("69 no broker here")


def test_a_socket_that_nobody_listens_on(folder):
    """What a killed broker leaves behind."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder / "s"))
    dead.close()
    text = told(folder / "s")
    assert text.startswith("69 nobody listens on")
    assert "systemctl status" in text


@pytest.mark.parametrize("kind", ["file", "directory", "datagram", "long", "nul"])
def test_what_is_no_socket_of_a_broker(folder, kind):
    """Whatever the path is, a sentence and no traceback."""
    path = folder / "s"
    kept = None
    match kind:
        case "file":
            path.write_text("")
        case "directory":
            path.mkdir()
        case "datagram":
            kept = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            kept.bind(str(path))
        case "long":
            path = folder / ("x" * 200)
            path.write_text("")
        case "nul":
            path = Path(f"{folder}/a\0b")
    text = told(path)
    assert text.startswith("69 ")
    assert len(text.splitlines()) == 2
    if kept:
        kept.close()


def test_a_socket_that_may_not_be_opened(folder):
    """By its own mode."""
    with answering(folder / "s", b""):
        folder.chmod(0o755)
        (folder / "s").chmod(0o600)
        text = as_ordinary_user(lambda: told(folder / "s"))
    if os.geteuid() == 0:
        assert text.startswith("77 uid 54321 may not open")
        assert "sudo" in text


def test_a_directory_that_may_not_be_entered(folder):
    """The path cannot even be looked at."""
    inner = folder / "closed"
    inner.mkdir()
    with answering(inner / "s", b""):
        folder.chmod(0o755)
        inner.chmod(0o000)
        text = as_ordinary_user(lambda: told(inner / "s"))
        inner.chmod(0o700)
    assert text.startswith("77 uid")


def test_a_broker_that_one_may_not_look_at_is_not_taken_for_none(folder):
    """Who forgot `sudo` is told so, though there is another place that is empty."""
    inner = folder / "closed"
    inner.mkdir()
    with answering(inner / "s", b""):
        folder.chmod(0o755)
        inner.chmod(0o000)
        text = as_ordinary_user(lambda: told(inner / "s", folder / "own"))
        inner.chmod(0o700)
    assert text.startswith("77 uid")
    assert f"{inner}/s" in text


def test_a_broker_of_ones_own_is_asked_where_another_may_not_be_looked_at(folder):
    """As on a host that has the machine's beside it."""
    inner = folder / "closed"
    inner.mkdir(mode=0o000)
    with answering(folder / "own", http(b'{"ready": true}')):
        folder.chmod(0o755)
        (folder / "own").chmod(0o666)
        text = as_ordinary_user(lambda: str(asking.get([inner / "s", folder / "own"], "/")))
    assert text == "{'ready': True}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
        http(b"<html>hello</html>", kind="text/html"),
        http(b"[1, 2]"),
        http(b'"text"'),
        http(b"\xff\xfe"),
        http(b"null", status=404),
        http(b"", status=500),
    ],
)
def test_what_answers_is_no_broker(folder, answer):
    """Whatever it says."""
    with answering(folder / "s", answer):
        text = told(folder / "s")
    code = 76 if answer else 69
    assert text.startswith(f"{code} what answers on {folder}/s is no broker")
    assert "--socket" in text


def test_what_answers_nothing_hangs(folder):
    """Ten seconds, and not for ever."""
    with answering(folder / "s", b"", close=False):
        text = told(folder / "s", deadline_seconds=0.2)
    assert text.startswith("69 ")
    assert "no answer came in time" in text


def test_a_refusal_is_said_in_the_brokers_words(folder):
    """403 is not allowed; anything else of a broker's problems is not available."""
    problem = b'{"code": "forbidden", "detail": "user alice may not", "fix": "add a line"}'
    with answering(folder / "s", http(problem, status=403)):
        assert told(folder / "s") == "77 user alice may not\nadd a line"
    (folder / "s").unlink()
    with answering(folder / "s", http(problem, status=503)):
        assert told(folder / "s").startswith("69 user alice")


# -- following ------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def followed(*paths, **more):
    """The lines of these paths, and what is said in the end with the exit code."""
    lines = []
    try:
        lines += asking.follow([*paths], "/v1/events", **more)
    except AskError as error:
        return lines, f"{error.exit_code} {error}"
    return lines, None


@pytest.mark.parametrize(
    "body",
    [
        CHUNKED + b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n",
        CHUNKED + b"8\r\none\ntwo\n\r\n0\r\n\r\n",
        CHUNKED + b"2\r\non\r\n6\r\ne\ntwo\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 8\r\n\r\none\ntwo\n",
        HEAD + b"Connection: close\r\n\r\none\ntwo\n",
    ],
)
def test_a_stream_is_lines_however_it_is_cut(folder, body):
    """To its end."""
    with answering(folder / "s", body) as asked:
        assert followed(folder / "s") == ([b"one\n", b"two\n"], None)
    assert asked[0].startswith(b"GET /v1/events HTTP/1.1\r\n")


def test_lines_come_when_they_come(folder):
    """Not once there are many."""
    with answering(folder / "s", CHUNKED + b"4\r\none\n\r\n", close=False):
        lines = asking.follow([folder / "s"], "/v1/events")
        assert next(lines) == b"one\n"
        lines.close()


@pytest.mark.parametrize("cut", [b"", b"4", b"4\r\n", b"4\r\ntw", b"4\r\ntwo\n", b"nonsense\r\n"])
def test_a_stream_that_is_cut_off_is_lost(folder, cut):
    """After what had come; a cut is not the end."""
    with answering(folder / "s", CHUNKED + b"4\r\none\n\r\n" + cut):
        lines, said = followed(folder / "s")
    assert lines[0] == b"one\n"
    assert said.startswith(f"75 the connection to the broker on {folder}/s is lost (")


def test_a_last_line_without_its_end_is_lost(folder):
    """It is not told."""
    with answering(folder / "s", CHUNKED + b"7\r\none\ntwo\r\n0\r\n\r\n"):
        lines, said = followed(folder / "s")
    assert lines == [b"one\n"]
    assert "in the middle of a line" in said


def test_a_stream_that_falls_silent_is_lost(folder):
    """A broker says each half minute that it is alive."""
    with answering(folder / "s", CHUNKED + b"4\r\none\n\r\n", close=False):
        lines, said = followed(folder / "s", silence_seconds=0.2)
    assert lines == [b"one\n"]
    assert said.startswith("75 ")
    assert "nothing comes any more" in said


def test_a_line_without_end_is_no_stream(folder, monkeypatch):
    """And fills no memory."""
    monkeypatch.setattr(asking, "_MOST_BYTES", 100)
    with answering(folder / "s", HEAD + b"\r\n" + b"x" * 1000):
        lines, said = followed(folder / "s")
    assert lines == []
    assert said.startswith("76 ")
    assert "cannot be followed" in said


def test_what_is_no_stream_cannot_be_followed(folder):
    """A status, say, of something that answers everything."""
    with answering(folder / "s", http(b"{}")):
        assert "cannot be followed" in followed(folder / "s")[1]


def test_a_refusal_to_be_followed_is_said_in_the_brokers_words(folder):
    """As any other."""
    problem = b'{"code": "too_many_requests", "detail": "uid 5 has 16 streams", "fix": "fewer"}'
    with answering(folder / "s", http(problem, status=429)):
        assert followed(folder / "s") == ([], "69 uid 5 has 16 streams\nfewer")


def test_nobody_to_follow_is_said_as_for_any_question(folder):
    """Where it was looked for, and how to start one."""
    assert followed(folder / "a")[1].startswith("69 no broker here")
