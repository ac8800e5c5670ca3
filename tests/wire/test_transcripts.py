"""What people paste of a call that failed, and what is read of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.wire.transcripts import Transcript, read

BODY = '{"error": {"code": "401", "message": "Missing access token."}}'
HEAD = "HTTP/1.1 401 Unauthorized\nContent-Type: application/json\nWWW-Authenticate: Bearer\n\n"
VERBOSE = f"""\
* Host apis.usps.com:443 was resolved.
> POST /labels/v3/label HTTP/2
> Host: apis.usps.com
> Authorization: Bearer eyJabc
> Accept: */*
>
{{ [5 bytes data]
< HTTP/2 401
< content-type: application/json
<
{BODY}
* Connection #0 left intact
"""


def test_the_output_of_curl_i_is_read() -> None:
    """Status, headers and body."""
    call = read(HEAD + BODY)
    assert (call.status, call.body) == (401, BODY)
    assert call.headers["WWW-Authenticate"] == "Bearer"
    assert call.sent is None


def test_carriage_returns_and_colours_do_not_matter() -> None:
    """As curl writes them on a terminal."""
    text = (HEAD + BODY).replace("\n", "\r\n").replace("Content-Type", "\x1b[1mContent-Type\x1b[0m")
    assert read(text).headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "before",
    [
        "HTTP/1.1 100 Continue\n\n",
        "HTTP/1.1 200 Connection established\n\n",
        "HTTP/2 302\na: b\n\n",
    ],
)
def test_the_last_of_several_answers_counts(before: str) -> None:
    """Those before it are of a proxy, a redirect or `Expect`."""
    assert read(before + HEAD + BODY).status == 401


def test_the_command_before_it_says_what_was_called() -> None:
    """People paste the prompt too."""
    call = read(f"$ curl -i 'https://apis.usps.com/prices/v3/total-rates?x=1'\n{HEAD}{BODY}")
    assert (call.host, call.path) == ("apis.usps.com", "/prices/v3/total-rates?x=1")


def test_the_output_of_curl_v_tells_of_the_request_too() -> None:
    """Its headers are what is wrong most often."""
    call = read(VERBOSE)
    assert (call.status, call.host, call.path) == (401, "apis.usps.com", "/labels/v3/label")
    assert call.sent is not None
    assert call.sent["authorization"] == "Bearer eyJabc"
    assert call.body == BODY


def test_a_request_before_a_redirect_is_not_the_one() -> None:
    """`curl -vL` prints both; what the second carried counts."""
    first = (
        "> GET /a HTTP/1.1\n> Host: a\n> Authorization: Bearer eyJabc\n>\n< HTTP/1.1 302 Found\n"
    )
    second = "> GET /b HTTP/1.1\n> Host: b\n>\n< HTTP/1.1 401 Unauthorized\n<\n"
    call = read(first + second)
    assert (call.path, call.host) == ("/b", "b")
    assert call.sent is not None
    assert "authorization" not in call.sent


def test_a_report_is_read_as_workers_send_it() -> None:
    """The same JSON as `POST /v1/answers`."""
    call = read('{"status": 403, "headers": {"A": "b"}, "body": "x", "path": "/p", "host": "h"}')
    assert call == Transcript(403, {"A": "b"}, "x", "/p", "h")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (BODY, 401),
        ('{"error": "invalid_client", "error_description": "x"}', 401),
        ('{"error": {"code": "", "errors": [{"code": "160228"}]}}', 400),
        ('{"body": "CRID isn\'t enrolled in USPS Ship Outbound", "roles": []}', 400),
        ('{"fault": {"faultstring": "x", "detail": {"errorcode": "oauth.v2.Invalid"}}}', 401),
        ('{"hello": "world"}', None),
    ],
)
def test_a_body_alone_tells_the_status_where_it_can(body: str, status: int | None) -> None:
    """Many a log has no more."""
    assert read(body).status == status


@pytest.mark.parametrize(
    "text",
    [
        "httpx.HTTPStatusError: Client error '403 Forbidden' for url 'https://h/a/b'\nFor more",
        "requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://h/a/b",
        "aiohttp.client_exceptions.ClientResponseError: 403, message='Forbidden', url='https://h/a/b'",
    ],
)
def test_the_message_of_a_library_is_read(text: str) -> None:
    """The last line of a traceback is what people have."""
    call = read(text)
    assert (call.status, call.host, call.path) == (403, "h", "/a/b")


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    """Something comes of it, and no error."""
    assert isinstance(read(text), Transcript)


@given(st.lists(st.sampled_from([*VERBOSE.splitlines(), *HEAD.splitlines(), "", "{", BODY])))
def test_any_order_of_lines_is_read(lines: list[str]) -> None:
    """Copying goes wrong in every way."""
    assert isinstance(read("\n".join(lines)), Transcript)


def test_a_transcript_does_not_show_itself() -> None:
    """It may have a token in it."""
    assert "eyJ" not in repr(read(VERBOSE))
