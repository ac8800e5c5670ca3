"""What a 401 of USPS leads to, with every HTTP library: told once, sent once more, or explained."""

from __future__ import annotations

import concurrent.futures
import io
import os
import pickle

import pytest
from http_libraries import LIBRARIES
from loopback_world import zipped
from scripted_broker import Reply, problem

from usps_token_broker.wire.explaining import explain
from usps_token_client import BrokerError, CallRefused, TokenDenied, Verdict

USPS = "https://apis.usps.com"
LABEL = f"{USPS}/labels/v3/label"
ADDRESS = f"{USPS}/addresses/v3/address?city=X"
DEAD = b'{"error": {"code": "401"}}'
BEARER = "Authorization"
OTHER_FILES = [library for library in LIBRARIES if not library.name.startswith("httpx")]
"""httpx takes the size of a file for the length of a body, whatever it is, wherever it stands."""


def dead(body=DEAD, **headers):
    return Reply(401, body, {"Content-Type": "application/json", **headers})


def not_the_token(**more):
    return {
        "code": "scope_missing",
        "reason": "scope_missing",
        "detail": "the token lacks the scope labels",
        "fix": "add the product",
        "retry": False,
        "outcome": "not_the_token",
        **more,
    }


def bearers(world):
    return [seen.header(BEARER) for seen in world.seen]


BOTH_BEARERS = ["Bearer bearer-1", "Bearer bearer-2"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_401_is_told_and_sent_once_more(send, world, renewing, stream):
    """With the new headers, the same method and body; the caller sees the second answer."""
    world.answers.append(dead(**{"Set-Cookie": "a=b"}))
    answer = send("POST", f"{LABEL}?q=1", data=b"the label", stream=stream)
    assert (answer.status, answer.content) == (200, b"done")
    assert bearers(world) == BOTH_BEARERS
    assert {seen.header("X-Payment-Authorization-Token") for seen in world.seen} == {"payment-1"}
    assert [(seen.method, seen.target, seen.body) for seen in world.seen] == [
        ("POST", "/labels/v3/label?q=1", b"the label")
    ] * 2
    [report] = renewing.reports
    assert (report["status"], report["body"]) == (401, DEAD.decode())
    assert (report["path"], report["host"]) == ("/labels/v3/label", "apis.usps.com")
    assert report["serials"] == {"bearer": 1001, "payment": 2001}
    assert report["payment"] == "default"
    headers = {name.lower(): value for name, value in report["headers"].items()}
    assert headers["content-type"] == "application/json"
    assert "a=b" not in str(report)


def test_the_verdict_is_left_on_the_response(send, world, renewing):
    """Whoever wants to know finds it there, and nothing else."""
    world.answers.append(dead())
    answer = send("GET", ADDRESS)
    assert isinstance(answer.verdict, Verdict)
    assert (answer.verdict.outcome, answer.verdict.retry) == ("renewed", True)
    assert (answer.error, answer.note) == (None, None)


@pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 500])
def test_an_answer_without_a_401_has_no_verdict(send, world, broker, status):
    """Nothing is told of other answers, and none is raised."""
    world.answers.append(Reply(status))
    answer = send("GET", ADDRESS, rules={"raise_refusals": True})
    assert (answer.status, answer.verdict, answer.error, answer.note) == (status, None, None, None)
    assert broker.reports == []


def test_the_library_s_own_error_names_the_row_and_its_fix(send, world, broker):
    """Most programs do no more than `raise_for_status()`, and their traceback is what is read."""
    broker.verdict = not_the_token()
    world.answers.append(dead())
    said = send("GET", ADDRESS).said
    assert "401" in said
    assert "Unauthorized: the token lacks the scope labels [scope_missing]; add the product" in said


def test_explain_knows_the_library_s_own_error(send, world, broker):
    """Who finds it in a log feeds it to `explain`, and the row is in it."""
    broker.verdict = not_the_token(detail="USPS's \u201clabels\u201d is lacking " + "x" * 200)
    world.answers.append(dead())
    said = send("GET", ADDRESS).said
    assert explain(f"requests.HTTPError: {said}", now=0.0).row.code == "scope_missing"


def test_the_library_s_own_error_names_a_broker_that_cannot_say(send, world, broker):
    """Where there is no verdict, why there is none."""
    plain = broker.answer
    broker.always = lambda request: (
        problem(503, "not_ready") if request.path == "/v1/answers" else plain(request)
    )
    world.answers.append(dead())
    assert "the detail of not_ready [not_ready]; the fix of not_ready" in send("GET", ADDRESS).said


def test_a_verdict_of_any_characters_fits_a_reason_phrase(send, world, broker):
    """One line of ASCII, whatever USPS may have said that is quoted in it."""
    broker.verdict = not_the_token(detail="Zo\u00eb said\r\nX-Evil: 1 \u2028 \U0001f4ee")
    world.answers.append(dead())
    said = send("GET", ADDRESS).said
    assert "Zo? said X-Evil: 1 ? [scope_missing]" in said.replace("? ?", "?")


@pytest.mark.parametrize("status", [400, 403, 500])
def test_another_answer_keeps_its_reason_phrase(send, world, broker, status):
    """What the broker was not asked about, it says nothing about."""
    world.answers.append(Reply(status))
    assert "Unauthorized" not in send("GET", ADDRESS).said


def test_a_second_401_is_told_but_not_sent_again(send, world, renewing):
    """One retry, whatever comes; the broker hears of the new token too."""
    world.answers += [dead(), dead(b"again")]
    answer = send("GET", ADDRESS)
    assert (answer.status, answer.content) == (401, b"again")
    assert bearers(world) == BOTH_BEARERS
    assert [report["serials"]["bearer"] for report in renewing.reports] == [1001, 1002]
    assert answer.verdict.outcome == "throttled"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [0, 100, 4096, 1_000_000])
def test_a_verdict_against_a_retry_is_obeyed(send, world, broker, size, stream):
    """The caller gets USPS's own answer whole, and the verdict beside it."""
    broker.verdict = not_the_token()
    world.answers.append(dead(b"x" * size))
    answer = send("POST", LABEL, data=b"label", stream=stream)
    assert (answer.status, answer.content) == (401, b"x" * size)
    assert answer.verdict.code == "scope_missing"
    assert len(world.seen) == len(broker.reports) == 1
    assert broker.reports[0]["body"] == "x" * min(size, 4096)


@pytest.fixture
def file(tmp_path):
    """A real file."""
    (tmp_path / "label").write_bytes(b"label")
    with (tmp_path / "label").open("rb") as opened:
        yield opened


BODIES = {
    "bytes": lambda _: {"data": b"label"},
    "text": lambda _: {"data": "label"},
    "nothing": lambda _: {},
    "json": lambda _: {"json": {"a": 1}},
    "memory": lambda _: {"data": io.BytesIO(b"label")},
    "file": lambda file: {"data": file},
}


@pytest.mark.parametrize(
    ("library", "kind"),
    [
        pytest.param(library, kind, id=f"{library.name}-{kind}")
        for library in LIBRARIES
        for kind in BODIES
        if library.takes_files or kind not in {"memory", "file"}
    ],
)
def test_a_body_that_can_be_sent_again_is(send, world, renewing, file, kind):
    """Both attempts carry the whole of it."""
    world.answers.append(dead())
    answer = send("POST", LABEL, **BODIES[kind](file))
    assert (answer.status, answer.note) == (200, None)
    whole = {"nothing": [b""], "json": [b'{"a":1}', b'{"a": 1}']}.get(kind, [b"label"])
    first, second = (seen.body for seen in world.seen)
    assert first == second
    assert first in whole


@pytest.mark.parametrize("library", OTHER_FILES, ids=lambda library: library.name)
def test_a_file_is_sent_again_from_where_it_stood(send, world, renewing, file):
    """What the caller had read of it is not the call's."""
    file.seek(2)
    world.answers.append(dead())
    assert send("POST", LABEL, data=file).status == 200
    assert [seen.body for seen in world.seen] == [b"bel"] * 2


def test_a_body_that_cannot_be_sent_again_is_not(send, world, renewing, library):
    """A generator is used up: the 401 is told, the caller gets it, and is told why."""
    world.answers.append(dead())
    answer = send("POST", LABEL, data=library.pieces())
    assert (answer.status, answer.content) == (401, DEAD)
    assert [seen.body for seen in world.seen] == [b"piece"]
    assert len(renewing.reports) == 1
    assert answer.verdict.retry
    assert "not sent again" in answer.note


@pytest.mark.parametrize("library", OTHER_FILES, ids=lambda library: library.name)
def test_a_pipe_cannot_be_sent_again(send, world, renewing):
    """A file that cannot seek is no better than a generator."""
    reader, writer = os.pipe()
    os.write(writer, b"label")
    os.close(writer)
    world.answers.append(dead())
    with os.fdopen(reader, "rb") as pipe:
        answer = send("POST", LABEL, data=pipe)
    assert [seen.body for seen in world.seen] == [b"label"]
    assert answer.status == 401
    assert "not sent again" in answer.note


def test_the_broker_failing_does_not_hide_the_401(send, world, broker):
    """USPS's answer reaches the caller, with the reason why nothing was done."""
    plain = broker.answer
    broker.always = lambda request: (
        problem(400, "bad_request") if request.path == "/v1/answers" else plain(request)
    )
    world.answers.append(dead())
    answer = send("GET", ADDRESS)
    assert (answer.status, answer.content) == (401, DEAD)
    assert isinstance(answer.error, TokenDenied)
    assert answer.verdict is None


def test_a_401_of_a_foreign_host_is_not_told(send, world, broker):
    """Somebody else's refusal says nothing of our token, after a redirect neither."""
    world.answers += [dead(), Reply(307, b"", {"Location": "https://other.example/"}), dead()]
    for url in ("https://other.example/", ADDRESS):
        answer = send("GET", url, rules={"raise_refusals": True})
        assert (answer.status, answer.verdict) == (401, None)
    assert broker.reports == []


def test_a_401_after_a_redirect_within_usps_is_told_once(send, world, renewing):
    """The hop that was refused is sent again, and not the one before it."""
    world.answers += [Reply(307, b"", {"Location": "/labels/v3/other"}), dead()]
    answer = send("POST", ADDRESS, data=b"label")
    assert answer.status == 200
    assert [seen.target.partition("?")[0] for seen in world.seen] == [
        "/addresses/v3/address",
        "/labels/v3/other",
        "/labels/v3/other",
    ]
    assert [report["path"] for report in renewing.reports] == ["/labels/v3/other"]


def test_a_redirect_that_answers_the_second_attempt_is_followed(send, world, renewing):
    """The library goes on from there, without our headers if it leads away."""
    world.answers += [dead(), Reply(307, b"", {"Location": "https://evil.example/"})]
    assert send("POST", LABEL, data=b"label").status == 200
    assert [seen.host for seen in world.seen] == ["apis.usps.com"] * 2 + ["evil.example"]
    assert bearers(world) == [*BOTH_BEARERS, None]


@pytest.mark.parametrize("stream", [False, True])
def test_a_compressed_body_is_told_as_text(send, world, broker, stream):
    """The broker sees what USPS said, and so does the caller."""
    broker.verdict = not_the_token()
    world.answers.append(zipped(DEAD, 401))
    answer = send("GET", ADDRESS, stream=stream)
    assert answer.content == DEAD
    assert broker.reports[0]["body"] == DEAD.decode()


def test_a_broken_encoding_is_the_caller_s_to_meet(send, world, broker, library):
    """What cannot be unpacked is told without a body, and is the library's own error."""
    broker.verdict = not_the_token()
    world.answers.append(dead(b"not gzip", **{"Content-Encoding": "gzip"}))
    with pytest.raises(library.errors):
        send("GET", ADDRESS, stream=True)
    assert [report["body"] for report in broker.reports] == [""]


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_refusal_that_is_cut_is_an_error_of_the_library(send, world, broker, library, framing):
    """Nobody takes the beginning of an answer for all of it."""
    broker.verdict = not_the_token()
    cut = f"HTTP/1.1 401 No\r\nConnection: close\r\n{framing}\r\n\r\n5\r\nhello\r\n"
    world.answers.append(Reply(raw=cut.encode()))
    world.hangs_up = True
    with pytest.raises(library.errors):
        send("GET", ADDRESS, stream=True)


def test_a_refusal_to_head_has_no_body(send, world, broker):
    """A length without a body is not waited for."""
    broker.verdict = not_the_token()
    world.answers.append(Reply(raw=b"HTTP/1.1 401 No\r\nContent-Length: 10\r\n\r\n"))
    answer = send("HEAD", ADDRESS)
    assert (answer.status, answer.content) == (401, b"")
    assert broker.reports[0]["body"] == ""


# --- raised instead


def refusal(send, method="GET", url=ADDRESS, **asked):
    with pytest.raises(CallRefused) as caught:
        send(method, url, rules={"raise_refusals": True}, **asked)
    return caught.value


def test_a_refusal_can_be_raised(send, world, broker):
    """With the name of the error, what it is and what to do; the message has it all."""
    broker.verdict = not_the_token(reason="product_missing")
    world.answers.append(dead())
    error = refusal(send)
    assert isinstance(error, BrokerError)
    assert (error.code, error.reason) == ("scope_missing", "product_missing")
    assert (error.detail, error.fix) == ("the token lacks the scope labels", "add the product")
    assert (error.status, error.outcome, error.permanent) == (401, "not_the_token", True)
    assert str(error) == (
        "the token lacks the scope labels [scope_missing: product_missing]; add the product"
    )
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


def test_a_refusal_that_a_new_token_mends_is_not_raised(send, world, renewing):
    """The worker never learns of it."""
    world.answers.append(dead())
    assert send("GET", ADDRESS, rules={"raise_refusals": True}).status == 200


def test_a_refusal_that_passes_is_not_permanent(send, world, renewing):
    """A second 401: the broker says when reports count again."""
    world.answers += [dead(), dead()]
    error = refusal(send)
    assert (error.outcome, error.permanent) == ("throttled", False)


def test_a_refusal_of_a_body_that_was_used_up_says_so(send, world, renewing, library):
    """The token is new by now; the caller sends it again."""
    world.answers.append(dead())
    error = refusal(send, "POST", LABEL, data=library.pieces())
    assert "not sent again" in error.detail
    assert not error.permanent


def test_a_refusal_that_nobody_could_explain_is_raised_too(send, world, broker):
    """With the broker's own trouble as its cause."""
    plain = broker.answer
    broker.always = lambda request: (
        problem(400, "bad_request") if request.path == "/v1/answers" else plain(request)
    )
    world.answers.append(dead())
    error = refusal(send)
    assert "the detail of bad_request" in error.detail
    assert (error.code, error.outcome, error.reason) == ("bad_request", None, None)
    assert isinstance(error.__cause__, TokenDenied)


# --- many at once


def test_a_revocation_fails_no_call_of_many_threads(send, world, renewing, library):
    """Each that met the dead token tells of it, and each is served in the end."""
    client = library.client(renewing.path)
    world.refuses = lambda seen: dead() if seen.header(BEARER) == "Bearer bearer-1" else None
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(send, "POST", LABEL, client=client, data=b"x") for _ in range(16)]
        assert {call.result().status for call in calls} == {200}
    refused = [seen for seen in world.seen if seen.header(BEARER) == "Bearer bearer-1"]
    assert len(world.seen) == 16 + len(refused)
    assert {report["serials"]["bearer"] for report in renewing.reports} == {1001}
