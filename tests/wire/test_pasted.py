"""Answers of USPS as people really have them: quoted, logged, wrapped, in other encodings."""

import json
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.wire.explaining import explain
from usps_token_broker.wire.pasted import MOST_CHARS, bodies_in, decoded, plain

ERROR = {
    "apiVersion": "/addresses/v3/",
    "error": {
        "code": "401",
        "message": "Insufficient OAuth scope.",
        "errors": [{"title": "insufficient_scope", "detail": "Not granted.", "source": "Token"}],
    },
}
BODY = json.dumps(ERROR)
PRETTY = f"\n            {json.dumps(ERROR, indent=4)}\n        "
HEAD = "HTTP/1.1 401 Unauthorized\nContent-Type: application/json\nContent-Length: 406\n"
ANSWER = f"{HEAD}\n{PRETTY}"
BUSY = f"HTTP/1.1 503 Service Unavailable\nRetry-After: 1\n\n{PRETTY.replace('401', '503')}"
NODE = """\
{
  apiVersion: '/addresses/v3/',
  error: {
    code: '401',
    message: 'Insufficient OAuth scope.',
    errors: [ [Object] ]
  }
}"""
WGET = textwrap.indent(HEAD, "  ")


def code(text: str) -> str:
    """The row of this text."""
    return explain(text, now=1_790_000_000.0).row.code


@pytest.mark.parametrize(
    "text",
    [
        textwrap.indent(ANSWER, "    "),
        textwrap.indent(ANSWER, "> ", lambda _line: True),
        f"```\n{ANSWER}\n```",
        f"```json\n{BODY}\n```",
        f"$ curl -s https://apis.usps.com/addresses/v3/address\n{PRETTY}\n$ ",
        "\n".join(BODY[at : at + 80] for at in range(0, len(BODY), 80)),
        f"{PRETTY}401",
        f"401 Unauthorized\n{BODY}",
        f"HTTP/1.1 401 Unauthorized\n{BODY}",
        f"HTTP/1.1 401 Unauthorized\nand then: {BODY}",
        f"Nov 26 15:22:17 web1 shop[812]: label failed: {BODY}",
        f"[2026-11-26] production.ERROR: status code 401:\n{BODY}\n at /var/www/x.php:301)",
        f"\x1b[31;1mInvoke-RestMethod: \x1b[31;1m\n\x1b[31;1m{BODY}\x1b[0m",
        json.dumps(BODY),
        json.dumps({"level": "error", "response": BODY}),
        json.dumps({"log": json.dumps({"response": BODY})}),
        json.dumps({"statusCode": 401, "headers": {}, "body": BODY}),
        json.dumps({"status": "401", "data": ERROR}),
        repr((401, PRETTY.encode())),
        repr(ERROR),
        NODE,
        f"{BODY}\ncurl: (22) The requested URL returned error: 401",
        f"http: warning: HTTP 401 Unauthorized\n\n{PRETTY}",
        f"--2026-11-26 15:25:32--  https://apis.usps.com/a\n{WGET}Length: 406\n\n{BODY}",
        f"{HEAD}\n---response end---\n401 Unauthorized\nSkipping 406 bytes of body: [{BODY}] done.",
    ],
)
def test_the_words_of_usps_are_found(text: str) -> None:
    """Whatever stands around them."""
    assert code(text) == "scope_missing"


@pytest.mark.parametrize("between", ["", "\n"])
def test_of_the_attempts_of_curl_the_last_counts(between: str) -> None:
    """`--retry` prints each answer, and no line break between them."""
    assert code(BUSY + between + BUSY.strip() + between + ANSWER) == "scope_missing"
    assert code(ANSWER.strip() + between + BUSY) == "server_error"


@pytest.mark.parametrize("end", ["", "\r\n", "\r\n\r", "\r\n\r\n", "\n\n"])
def test_a_status_line_is_an_answer_however_it_ends(end: str) -> None:
    """The clients take off line feeds at the end."""
    assert code(f"HTTP/2 429 {end}") == "rate_limited"


def test_a_status_line_with_other_words_behind_it_is_an_answer() -> None:
    """A person has shortened it."""
    assert code("HTTP/1.1 503 Service Unavailable\nand nothing else") == "server_error"


def test_a_head_within_a_body_is_no_answer() -> None:
    """Somebody may quote one."""
    body = BODY.replace("Not granted.", "HTTP/1.1 503 Service Unavailable")
    assert code(f"{HEAD}\n{body}") == "scope_missing"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_what_powershell_saved_is_read(codec: str) -> None:
    """`>` writes UTF-16 there, and the shell client has blanks for the NULs."""
    bom = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(codec, b"")
    data = bom + ANSWER.encode(codec)
    assert code(decoded(data)) == "scope_missing"
    assert code(decoded(data.replace(b"\0", b" "))) == "scope_missing"


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"Status","status":"Failure","message":"Unauthorized","code":401}',
        '{"message":"Bad credentials","status":"401"}',
        '{"error": "not found"}',
        '{"error": {"code": "ENOENT", "message": "no such file"}}',
        '10.0.0.1 - - [26/Nov/2026:15:22:17 +0000] "GET /a HTTP/1.1" 401 406 "-" "curl/7.88.1"',
        "HTTP/1.1 is nice",
        "401 Unauthorized",
    ],
)
def test_the_words_of_others_are_not_taken_for_those_of_usps(text: str) -> None:
    """A wrong answer costs more than none."""
    assert code(text) == "not_recognised"


@given(st.binary(max_size=400))
def test_any_bytes_are_text(data: bytes) -> None:
    """Without an error."""
    assert isinstance(decoded(data), str)


@given(st.text(alphabet="{}[]\"'\\:>, \nerorbody", max_size=400))
def test_what_is_found_is_part_of_the_text_or_shown_as_json(text: str) -> None:
    """However it is nested."""
    assert all(body.startswith("{") for body in bodies_in(text))


def test_of_a_long_text_the_rest_is_not_looked_at() -> None:
    """Whoever feeds a log gets an answer at once."""
    assert len(plain("x" * (2 * MOST_CHARS))) == MOST_CHARS
