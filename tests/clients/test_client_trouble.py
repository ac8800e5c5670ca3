"""Every way of not getting a token: what it is called, what it says, and how long it takes."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from scripted_broker import Drip, HangUp, Reply, Silence, json_reply, problem

from usps_token_client import (
    AsyncTokenClient,
    BrokerError,
    BrokerNotInstalled,
    BrokerNotRunning,
    BrokerTimeout,
    BrokerUnreachable,
    NoPermission,
    ProtocolMismatch,
    TokenClient,
    TokenDenied,
)

QUICK = 0.3


def quick(broker, **options):
    """A client on the real clock that gives up soon."""
    return TokenClient(broker.path, timeout=QUICK, **options)


def refused(client):
    with pytest.raises(BrokerError) as caught:
        client.bearer()
    return caught.value


def test_no_socket_anywhere_means_not_installed(monkeypatch, tmp_path):
    """The error names every path that was tried, and fails at once."""
    system = str(tmp_path / "system" / "broker.sock")
    monkeypatch.setattr("usps_token_client._finding.SYSTEM_SOCKET", system)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    error = refused(TokenClient(timeout=60))
    assert type(error) is BrokerNotInstalled
    assert (error.code, error.passing) == ("not_installed", False)
    assert system in str(error)
    assert str(tmp_path / "usps-token-broker/broker.sock") in str(error)


def test_a_directory_in_the_way_means_not_installed(tmp_path):
    """A path through a file is no socket either."""
    (tmp_path / "file").write_text("")
    assert type(refused(TokenClient(tmp_path / "file" / "broker.sock"))) is BrokerNotInstalled


def test_a_socket_that_is_away_for_a_moment_is_waited_for(silent_broker):
    """A broker started by hand takes its socket away while it restarts."""
    pauses = []

    def restart(_seconds):
        pauses.append(_seconds)
        if len(pauses) == 3:
            silent_broker.start()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("usps_token_client._driving.pause", restart)
        assert TokenClient(silent_broker.path).bearer().value == "bearer-1"
    assert len(pauses) == 3


def test_a_socket_that_stays_away_is_told_after_a_second(silent_broker, make, clock, monkeypatch):
    """Nobody waits the whole deadline for a broker that was never there."""
    monkeypatch.setattr("usps_token_client._driving.pause", clock.advance)
    begin = clock()
    assert type(refused(make(timeout=60))) is BrokerNotInstalled
    assert 0.5 < clock() - begin <= 1.0


def test_a_dead_socket_file_means_not_running(broker):
    """A file but nobody listening: not running, with where to look."""
    broker.stop()
    error = refused(quick(broker))
    assert type(error) is BrokerNotRunning
    assert "systemctl status usps-token-broker" in error.fix
    assert broker.path in error.detail
    assert not error.permanent


def test_a_plain_file_in_place_of_the_socket_is_told_at_once(tmp_path):
    """Nothing will ever listen on a file, so nobody waits for it."""
    path = tmp_path / "broker.sock"
    path.write_text("")
    error = refused(TokenClient(path, timeout=60))
    assert type(error) is BrokerNotRunning
    assert "not a socket" in error.detail


def test_a_datagram_socket_is_not_a_broker(silent_broker):
    """A socket of another kind is told as such."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(silent_broker.path)
        error = refused(TokenClient(silent_broker.path, timeout=60))
    assert type(error) is ProtocolMismatch
    assert error.code == "not_a_broker"


def test_a_path_that_does_not_fit_is_told(tmp_path):
    """A Unix socket path has 107 bytes at most."""
    error = refused(TokenClient("/" + "x" * 200))
    assert type(error) is BrokerUnreachable
    assert "107 bytes" in error.detail


def test_a_path_closed_to_us_means_no_permission(broker):
    """EACCES is told from a missing broker, with who we are."""
    Path(broker.path).chmod(0)
    me = os.geteuid()
    # Root opens every path, so root becomes nobody for a moment.
    os.seteuid(me or 65534)
    try:
        error = refused(quick(broker))
    finally:
        os.seteuid(me)
    assert type(error) is NoPermission
    assert error.code == "no_permission"
    assert error.permanent
    assert f"uid {me or 65534}," in error.detail


def test_no_descriptor_left_is_an_error_of_ours(broker, monkeypatch):
    """EMFILE does not come out as a bare OSError."""

    def exhausted(*_arguments):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("_socket.socket", exhausted)
    error = refused(quick(broker))
    assert type(error) is BrokerUnreachable
    assert "Too many open files" in error.detail


def test_the_broker_says_forbidden(broker):
    """The broker's own 403 keeps its words, and is a NoPermission too."""
    broker.always = problem(403, "forbidden")
    error = refused(quick(broker))
    assert type(error) is NoPermission
    assert (error.code, error.detail, error.fix) == (
        "forbidden", "the detail of forbidden", "the fix of forbidden",
    )  # fmt: skip
    assert error.permanent
    assert error.status == 403


def test_a_403_before_the_request_was_read_is_understood(broker):
    """A broker that refuses a peer at accept may answer and close without reading."""
    refusal = problem(403, "forbidden").encode()
    broker.stop()
    Path(broker.path).unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(broker.path)
        listener.listen()

        def refuse():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(refusal)

        thread = threading.Thread(target=refuse)
        thread.start()
        error = refused(quick(broker))
        thread.join(20)
    assert error.code == "forbidden"


def test_a_refusal_before_the_request_was_sent_is_understood(broker, monkeypatch):
    """The peer answered and went away before we had written a byte."""

    def refused_at_accept(_paths):
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(problem(403, "forbidden").encode())
        return ours, broker.path

    monkeypatch.setattr("usps_token_client._dial.connect", refused_at_accept)
    assert refused(quick(broker)).code == "forbidden"

    async def main():
        with pytest.raises(NoPermission):
            await AsyncTokenClient(broker.path).bearer()

    asyncio.run(main())


def test_a_reset_connection_is_a_cut_answer(broker, monkeypatch):
    """A broker killed with our question unread resets the connection; another one is asked."""

    def reset(_paths):
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        ours.send(b"unread")
        theirs.close()
        return ours, broker.path

    monkeypatch.setattr("usps_token_client._dial.connect", reset)
    assert refused(quick(broker)).code == "cut_answer"

    async def main():
        with pytest.raises(ProtocolMismatch, match="cut_answer"):
            await AsyncTokenClient(broker.path, timeout=QUICK).bearer()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (400, "bad_request", True),
        (400, "too_large", True),
        (403, "scope_missing", True),
        (404, "unknown_app", True),
        (404, "unknown_slot", True),
        (404, "payment_not_configured", True),
        (502, "credentials_refused", True),
        (502, "payment_refused", True),
        (503, "not_ready", False),
        (503, "upstream_unavailable", False),
        (503, "upstream_rate_limited", False),
        (503, "budget_exhausted", False),
    ],
)
def test_a_denial_is_raised_at_once(broker, status, code, permanent):
    """Whatever the broker has decided is raised after one question, with its words."""
    broker.always = problem(status, code)
    error = refused(TokenClient(broker.path, timeout=60))
    assert type(error) is TokenDenied
    assert (error.code, error.permanent, error.status) == (code, permanent, status)
    assert f"the detail of {code}" in str(error)
    assert f"the fix of {code}" in str(error)
    assert len(broker.requests) == 1


def test_a_denial_carries_when_to_come_back_and_what_usps_said(broker):
    """`retry_after`, `next_attempt_at`, `upstream_status` and `upstream_code` are handed on."""
    broker.always = problem(
        503,
        "upstream_rate_limited",
        retry_after=42.5,
        next_attempt_at=1_800_000_000.25,
        upstream_status=429,
        upstream_code="invalid_request",
    )
    error = refused(quick(broker))
    assert isinstance(error, TokenDenied)
    assert error.retry_after == 42.5
    assert error.next_attempt_at == 1_800_000_000.25
    assert (error.upstream_status, error.upstream_code) == (429, "invalid_request")


def test_retry_after_of_the_header_is_taken_without_one_in_the_body(broker):
    """A `Retry-After` in whole seconds counts when the body has none."""
    answer = problem(503, "not_ready")
    answer.headers["Retry-After"] = "7"
    broker.always = answer
    assert refused(quick(broker)).retry_after == 7.0


@pytest.mark.parametrize(
    "more",
    [
        {"retry_after": "soon"},
        {"retry_after": float("inf")},
        {"next_attempt_at": []},
        {"upstream_status": {}},
        {"detail": None, "fix": 7},
        {"detail": "x" * 100_000},
    ],
)
def test_a_denial_with_odd_fields_is_still_a_denial(broker, more):
    """A field of the wrong kind is left out; a sentence without end is cut."""
    broker.always = problem(503, "not_ready", **more)
    error = refused(quick(broker))
    assert error.code == "not_ready"
    assert len(str(error)) < 3000


def test_words_of_the_broker_cannot_steer_a_terminal(broker):
    """Control characters in a detail are blanked."""
    broker.always = problem(503, "not_ready", detail="a\x1b[31m\r\nb")
    assert "\x1b" not in str(refused(quick(broker)))


def test_an_unknown_code_is_a_denial(broker):
    """A newer broker's code is kept as it is."""
    broker.always = problem(503, "gone_fishing")
    error = refused(quick(broker))
    assert (type(error), error.code, error.permanent) == (TokenDenied, "gone_fishing", False)


@pytest.mark.parametrize("code", ["restarting", "too_many_requests"])
def test_passing_trouble_is_asked_again(broker, code):
    """A restarting broker, or one that has too many of us, is asked until it answers."""
    broker.script = [problem(503, code), problem(503, code)]
    assert TokenClient(broker.path).bearer().value == "bearer-1"
    assert len(broker.requests) == 3


def test_retry_after_of_a_restarting_broker_is_obeyed(broker, make, clock, monkeypatch):
    """The pause is what the broker says, where that is longer than our own."""
    pauses = []
    monkeypatch.setattr("usps_token_client._driving.pause", pauses.append)
    broker.script = [problem(503, "restarting", retry_after=1.0), HangUp()]
    make().bearer()
    assert pauses == [1.0, 0.02]


def test_passing_trouble_that_does_not_pass_ends_with_the_deadline(broker):
    """When the pauses do not fit any more, the last trouble is raised."""
    broker.always = problem(503, "restarting", retry_after=60.0)
    error = refused(TokenClient(broker.path))
    assert error.code == "restarting"
    assert len(broker.requests) == 1


def test_a_broker_that_hangs_up_is_asked_again(broker):
    """kill -9 in the middle of an answer: the next broker is asked."""
    whole = json_reply({"token": "x" * 2000}).encode()
    broker.script = [HangUp(), Reply(raw=whole[:200]), Reply(raw=whole[:20])]
    assert TokenClient(broker.path).bearer().value == "bearer-1"


def test_a_broker_that_always_hangs_up_is_an_error(broker):
    """A cut answer that stays cut is told as such."""
    broker.always = HangUp()
    error = refused(quick(broker))
    assert (type(error), error.code) == (ProtocolMismatch, "cut_answer")


def test_what_was_heard_says_more_than_a_deadline(broker):
    """When the last attempt is cut short by the deadline, the trouble before it is told."""
    broker.script = [HangUp()]
    broker.always = Silence()
    assert refused(quick(broker)).code == "cut_answer"


def test_a_broker_that_comes_back_within_the_deadline_is_found(silent_broker):
    """Connection refused while a broker restarts is waited out."""
    silent_broker.listen()
    silent_broker.stop()
    got = []
    asker = threading.Thread(target=lambda: got.append(TokenClient(silent_broker.path).bearer()))
    asker.start()
    silent_broker.start()
    asker.join(20)
    assert [token.value for token in got] == ["bearer-1"]


def test_a_full_backlog_is_waited_out(silent_broker):
    """EAGAIN of a full queue is tried again until the broker takes us."""
    silent_broker.listen(backlog=0)
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(silent_broker.path)
        error = refused(quick(silent_broker))
        assert (error.code, error.passing) == ("busy", True)
        got = []
        client = TokenClient(silent_broker.path)
        asker = threading.Thread(target=lambda: got.append(client.bearer()))
        asker.start()
        silent_broker.start()
        asker.join(20)
    assert [token.value for token in got] == ["bearer-1"]


def elapsed(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def test_a_broker_that_never_answers_costs_the_deadline_and_no_more(broker):
    """Accepted and then silence: BrokerTimeout when the deadline is reached."""
    broker.always = Silence()
    errors = []
    took = elapsed(lambda: errors.append(refused(quick(broker))))
    assert type(errors[0]) is BrokerTimeout
    assert QUICK <= took < 10 * QUICK


def test_a_listener_that_never_accepts_costs_the_deadline_and_no_more(silent_broker):
    """A stopped process whose backlog takes us, and nothing else."""
    silent_broker.listen()
    assert type(refused(quick(silent_broker))) is BrokerTimeout


def test_a_dripping_broker_costs_the_deadline_and_no_more(broker):
    """A byte every now and then does not move the deadline."""
    broker.always = lambda request: Drip(broker.answer(request).encode(), pause_seconds=0.02)
    errors = []
    took = elapsed(lambda: errors.append(refused(quick(broker))))
    assert type(errors[0]) is BrokerTimeout
    assert took < 10 * QUICK


def test_a_dripping_broker_that_is_fast_enough_is_understood(broker):
    """Pieces of one byte make a whole answer."""
    broker.always = lambda request: Drip(broker.answer(request).encode(), pause_seconds=0.0)
    assert TokenClient(broker.path).bearer().value == "bearer-1"


def test_hanging_up_again_and_again_costs_the_deadline_and_no_more(broker):
    """All retries together stay within the one deadline."""
    broker.always = HangUp()
    assert elapsed(lambda: refused(quick(broker))) < 10 * QUICK


def test_the_wait_asked_of_the_broker_fits_the_deadline(broker):
    """With a short timeout the broker is told to wait less than that."""
    TokenClient(broker.path, timeout=2.0).bearer()
    assert float(broker.requests[-1].query["wait"]) == 1.8


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"+PONG\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1 << 20),
    ],
)
def test_something_else_on_the_socket_is_told_at_once(broker, raw):
    """What is not a broker's HTTP is a ProtocolMismatch, without waiting for the deadline."""
    broker.always = Reply(raw=raw)
    error = refused(TokenClient(broker.path, timeout=60))
    assert (type(error), error.code) == (ProtocolMismatch, "not_a_broker")
    assert len(broker.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [Reply(304), Reply(500, b"<html>"), Reply(302), Reply(200, b""), json_reply({}, 418)],
)
def test_http_of_somebody_else_is_told_at_once(broker, answer):
    """HTTP that no broker would say is a ProtocolMismatch too."""
    broker.always = answer
    error = refused(TokenClient(broker.path, timeout=60))
    assert (type(error), error.code) == (ProtocolMismatch, "bad_answer")


def test_an_older_broker_is_recognised(broker):
    """`not_found` for the path itself means a broker that does not know this call."""
    broker.always = problem(404, "not_found")
    assert "older" in str(refused(quick(broker)))


def test_an_answer_that_ends_with_the_connection_is_understood(broker):
    """Without Content-Length the end of the connection ends the body."""

    def unmeasured(request):
        head, _, body = broker.answer(request).encode().partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
        return Reply(raw=b"\n".join(lines) + b"\n\n" + body)

    broker.always = unmeasured
    assert TokenClient(broker.path).bearer().value == "bearer-1"


def test_a_named_socket_is_the_only_one(monkeypatch, broker, tmp_path):
    """A broker that was named and is away is not replaced by another one that is there."""
    monkeypatch.setattr("usps_token_client._finding.SYSTEM_SOCKET", broker.path)
    assert TokenClient().bearer().value == "bearer-1"
    gone = tmp_path / "gone" / "broker.sock"
    monkeypatch.setenv("USPS_TOKEN_SOCKET", str(gone))
    error = refused(TokenClient())
    assert type(error) is BrokerNotInstalled
    assert broker.path not in str(error)
    assert type(refused(TokenClient(gone))) is BrokerNotInstalled


def test_the_variable_names_the_socket(monkeypatch, broker):
    """USPS_TOKEN_SOCKET is used when there is no argument."""
    monkeypatch.setenv("USPS_TOKEN_SOCKET", broker.path)
    assert TokenClient().bearer().value == "bearer-1"


def test_the_user_s_own_broker_is_found(monkeypatch, silent_broker, tmp_path):
    """Without the system's socket the one under XDG_RUNTIME_DIR is used."""
    monkeypatch.setattr("usps_token_client._finding.SYSTEM_SOCKET", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(silent_broker.folder))
    own = silent_broker.folder / "usps-token-broker"
    own.mkdir()
    silent_broker.path = str(own / "broker.sock")
    silent_broker.start()
    assert TokenClient().bearer().value == "bearer-1"


def test_a_broker_that_was_installed_later_is_found(silent_broker):
    """Where the socket is, is looked up anew for each question."""
    client = TokenClient(silent_broker.path, timeout=0.1)
    assert type(refused(client)) is BrokerNotInstalled
    silent_broker.start()
    assert client.bearer().value == "bearer-1"


def test_no_connection_is_kept(broker):
    """Every question is asked on a connection of its own, which is closed after it."""
    before = _descriptors()
    client = TokenClient(broker.path, check_after=0)
    for _ in range(5):
        client.bearer()
    broker.stop()
    assert _descriptors() <= before


def _descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"wait": -1},
        {"wait": 61},
        {"wait": float("nan")},
        {"check_after": -1},
        {"check_after": float("nan")},
        {"socket": ""},
        {"socket": "a\0b"},
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_at_once(options):
    """A client that cannot work is not made."""
    with pytest.raises(ValueError, match="`"):
        TokenClient(**options)


@pytest.mark.parametrize("body", [b"SECRET", b'{"token": "SECRET"}', b'{"token": "SECRET\\n"}'])
def test_no_error_shows_what_an_answer_held(broker, body):
    """Neither the text nor the attributes of an error hold bytes of a broken answer."""
    broker.always = Reply(200, body)
    error = refused(quick(broker))
    assert "SECRET" not in f"{error} {error!r} {vars(error)}"
