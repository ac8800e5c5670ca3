"""Requests and replies as values."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.core.outcomes import Code
from usps_token_broker.wire import requests
from usps_token_broker.wire.problems import STATUS, BadRequestError, Problem, problem, problem_reply
from usps_token_broker.wire.replies import (
    LAST_CHUNK,
    Reply,
    Streamed,
    chunk,
    json_reply,
    not_modified_reply,
    text_reply,
)
from usps_token_broker.wire.requests import Request, parse_target


def test_reply_is_made_once():
    """`whole` is head, blank line and body, and `head` ends with its last field."""
    reply = json_reply(200, b"{}", {"ETag": '"1"'})
    assert reply.whole == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        b'Cache-Control: no-store\r\nETag: "1"\r\n\r\n{}'
    )
    assert reply.whole == reply.head + b"\r\n" + reply.body


def test_connection_field_is_added():
    """`encode` adds a Connection field to the same head."""
    reply = json_reply(200, b"{}")
    assert reply.encode(connection="close") == reply.head + b"Connection: close\r\n\r\n{}"
    assert reply.encode() == reply.whole


def test_body_is_left_out():
    """Without the body, its length is still told, as HEAD wants it."""
    reply = json_reply(200, b"{}")
    assert reply.encode(with_body=False) == reply.head + b"\r\n"
    assert b"Content-Length: 2" in reply.head


def test_text_is_bare():
    """Text is sent as it is, with no line break added."""
    reply = text_reply(200, "tökén")
    assert reply.body == "tökén".encode()
    assert b"Content-Type: text/plain; charset=utf-8\r\n" in reply.head


def test_not_modified_has_no_length():
    """A 304 tells no length, which would be that of the body it does not have."""
    reply = not_modified_reply({"ETag": '"1"'})
    assert reply.whole.startswith(b"HTTP/1.1 304 Not Modified\r\n")
    assert b"Content-" not in reply.whole
    assert reply.whole.endswith(b'ETag: "1"\r\n\r\n')


def test_no_reply_is_stored_or_dated():
    """Tokens belong in no cache; the time of day is not ours to tell."""
    for reply in (json_reply(200, b""), not_modified_reply({}), text_reply(200, "")):
        assert b"Cache-Control: no-store\r\n" in reply.head
        assert b"Date:" not in reply.head


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A", "b\r\nC: d"),
        ("A", "b\n"),
        ("A\r\nB", "c"),
        ("A:", "b"),
        ("", "b"),
        ("A", "ü"),
        ("A", "\0"),
    ],
)
def test_header_cannot_break_out(name, value):
    """A header with a line break in it is a mistake of ours, and is not sent."""
    with pytest.raises(ValueError, match="not a header"):
        Reply(200, headers={name: value})


def test_printing_shows_no_content():
    """What is asked and answered does not show in a log by mistake."""
    assert repr(text_reply(200, "secret")) == "<Reply 200, 6 bytes>"
    assert "secret" not in repr(Request("GET", b"/?a=secret", {}))


def test_every_code_has_a_status():
    """No code is without a status, and none is 401, which clients would take for USPS's."""
    assert set(STATUS) == set(Code)
    assert 401 not in STATUS.values()


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (400, {"bad_request", "too_large"}),
        (403, {"forbidden", "scope_missing"}),
        (404, {"unknown_app", "unknown_slot", "payment_not_configured", "not_found"}),
        (405, {"method_not_allowed"}),
        (429, {"too_many_requests"}),
        (502, {"credentials_refused", "payment_refused"}),
        (
            503,
            {
                "not_ready",
                "upstream_unavailable",
                "upstream_rate_limited",
                "budget_exhausted",
                "restarting",
            },
        ),
    ],
)
def test_statuses_are_those_of_the_contract(status, codes):
    """Each status has exactly these codes."""
    assert {str(code) for code, its in STATUS.items() if its == status} == codes


def test_problem_has_the_members_of_the_rfc():
    """A problem is RFC 9457 with a code and a fix, and nothing that does not apply."""
    assert msgspec.json.decode(problem_reply(problem(Code.NOT_FOUND, "no", "do")).body) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "no",
        "fix": "do",
    }


def test_problem_tells_all_that_applies():
    """Times and what USPS said come along when they are known."""
    full = problem(
        Code.CREDENTIALS_REFUSED,
        "no",
        "do",
        next_attempt_at=1.5,
        retry_after=2.5,
        upstream_status=401,
        upstream_code="invalid_client",
    )
    said = msgspec.json.decode(problem_reply(full).body)
    assert (said["next_attempt_at"], said["retry_after"]) == (1.5, 2.5)
    assert (said["upstream_status"], said["upstream_code"]) == (401, "invalid_client")
    assert msgspec.json.decode(problem_reply(full).body, type=Problem) == full


def test_a_reason_that_says_no_more_than_the_code_is_left_out():
    """Clients show both, one after the other."""
    assert problem(Code.NOT_READY, "", "", reason="not_ready").reason is None
    assert problem(Code.NOT_READY, "", "", reason="bearer_refused").reason == "bearer_refused"


@pytest.mark.parametrize(("seconds", "header"), [(0, "0"), (0.1, "1"), (60, "60"), (-5, "0")])
def test_retry_after_is_rounded_up(seconds, header):
    """The header is in whole seconds, never too early and never negative (RFC 9110 10.2.3)."""
    reply = problem_reply(problem(Code.RESTARTING, "", "", retry_after=seconds))
    assert f"Retry-After: {header}\r\n".encode() in reply.head


@pytest.mark.parametrize("seconds", [None, math.inf, math.nan])
def test_retry_after_that_is_no_time_is_left_out(seconds):
    """Without a time to come back there is no header."""
    reply = problem_reply(problem(Code.RESTARTING, "", "", retry_after=seconds))
    assert b"Retry-After" not in reply.head


def test_problem_is_a_problem_by_type():
    """Clients tell errors by their media type; further headers come along."""
    reply = problem_reply(problem(Code.METHOD_NOT_ALLOWED, "", ""), {"Allow": "GET"})
    assert b"Content-Type: application/problem+json\r\n" in reply.head
    assert b"Allow: GET\r\n" in reply.head
    assert reply.status == 405


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", {}),
        (b"/v1/tokens/bearer?app=shop&wait=5", "/v1/tokens/bearer", {"app": "shop", "wait": "5"}),
        (b"/a%20b?c%3D=d%26e", "/a b", {"c=": "d&e"}),
        (b"/?scope=a+b%2Bc", "/", {"scope": "a b+c"}),
        (b"/a+b", "/a+b", {}),
        (b"/?flag", "/", {"flag": ""}),
        (b"/?&&a=1&", "/", {"a": "1"}),
        (b"/?a=b=c", "/", {"a": "b=c"}),
        (b"/?a=b?c", "/", {"a": "b?c"}),
        (b"/%C3%BC", "/ü", {}),
        (b"http://localhost/a?b=c", "/a", {"b": "c"}),
        (b"HTTP://localhost", "/", {}),
        (b"http://localhost?a=b", "/", {"a": "b"}),
        (b"/a#b?c=d", "/a", {}),
        (b"*", "*", {}),
        (b"//double/slash", "//double/slash", {}),
    ],
)
def test_target_is_taken_apart(target, path, query):
    """Path and query are decoded, each on its own."""
    request = Request("GET", target, {})
    assert (request.path, dict(request.query)) == (path, query)


async def no_pieces():
    """A body of nothing."""
    for piece in ():
        yield piece


def test_stream_has_a_head_and_no_length():
    """Chunks, or the end of the connection, tell where the body ends."""
    streamed = Streamed(200, "application/x-ndjson", no_pieces(), {"X-A": "1"})
    fields = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n%b"
        b"Cache-Control: no-store\r\nX-A: 1\r\n%b\r\n"
    )
    in_chunks = fields % (b"Transfer-Encoding: chunked\r\n", b"")
    assert streamed.encode_head(chunked=True, last=False) == in_chunks
    bare = fields % (b"", b"Connection: close\r\n")
    assert streamed.encode_head(chunked=False, last=True) == bare
    assert repr(streamed) == "<Streamed 200>"


def test_stream_with_a_header_that_breaks_out_is_refused():
    """When it is made, as a reply is."""
    with pytest.raises(ValueError, match="X-A"):
        Streamed(200, "text/plain", no_pieces(), {"X-A": "1\r\nX-B: 2"})


def test_chunks_tell_their_length():
    """In hexadecimal, and the last is the empty one (RFC 9112 7.1)."""
    assert chunk(b"0123456789abcdef") == b"10\r\n0123456789abcdef\r\n"
    assert LAST_CHUNK == b"0\r\n\r\n"


@pytest.mark.parametrize(
    "target",
    [b"", b"a", b"a:1", b"/%", b"/%4", b"/%zz", b"/%ff", b"/%00", b"/%0a", b"/%7f", b"/?a=%0d",
     b"/?a=1&a=2", b"/?a&a", b"/?%61=1&a=2", b"/\xff"],
)  # fmt: skip
def test_target_that_makes_no_sense(target):
    """What cannot be decoded, or says a thing twice, is a bad request with a fix."""
    request = Request("GET", target, {})
    for part in ("path", "query"):
        with pytest.raises(BadRequestError) as refused:
            getattr(request, part)
        said = msgspec.json.decode(refused.value.reply.body)
        assert (said["status"], said["code"]) == (400, "bad_request")
        assert said["fix"]


def test_long_query_key_is_not_sent_back_whole():
    """A reply to a bad request does not grow with it."""
    key = "k" * 9000
    with pytest.raises(BadRequestError) as refused:
        parse_target(f"/?{key}=1&{key}=2".encode())
    assert len(refused.value.reply.body) < 400


def test_query_is_shared_and_cannot_be_changed():
    """The same target is parsed once; nobody can change what others see of it."""
    one, two = Request("GET", b"/?a=1", {}), Request("POST", b"/?a=1", {})
    assert one.query is two.query
    with pytest.raises(TypeError):
        one.query["a"] = "2"


def test_memo_is_bounded():
    """However many targets come, few are remembered, and no long ones."""
    for number in range(2000):
        parse_target(b"/%d" % number)
    assert requests._remembered.cache_info().currsize <= 512
    before = requests._remembered.cache_info()
    parse_target(b"/" + b"x" * 600)
    assert requests._remembered.cache_info() == before


@given(st.binary(max_size=60))
def test_any_target_is_taken_apart_or_refused(target):
    """No bytes make parsing fail in another way."""
    try:
        parsed = parse_target(target)
    except BadRequestError:
        return
    assert parsed.path
