"""Calls that USPS never answered, or not in words: what is printed of them, and its row."""

import gzip
from typing import Any

import pytest

from usps_token_broker.wire import stand_in
from usps_token_broker.wire.explaining import UNPACK, WITH_BODY, WITHOUT_FAIL, Explanation, explain
from usps_token_broker.wire.replies import Reply

SCOPE = '{"error": {"code": "401", "message": "Insufficient OAuth scope."}}'
ANSWER = f"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\r\n{SCOPE}"
TUNNEL = "> CONNECT apis.usps.com:443 HTTP/1.1\n> Host: apis.usps.com:443\n>\n"
METER = (
    "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n"
    "                                 Dload  Upload   Total   Spent    Left  Speed\n"
    "\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0"
)
METER_END = "\r100   408  100   408    0     0   187k      0 --:--:-- --:--:-- --:--:--  199k\n"


def told(text: str, **more: Any) -> Explanation:
    """The explanation of this text."""
    return explain(text, now=1_790_000_000.0, **more)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("curl: (6) Could not resolve host: apis.usps.com", "dns_failed"),
        ("curl: (7) Failed to connect to apis.usps.com port 443: Refused", "not_connected"),
        ("curl: (28) Connection timed out after 3001 milliseconds", "not_connected"),
        ("curl: (28) Operation timed out after 3001 milliseconds", "call_timed_out"),
        ("curl: (35) OpenSSL/3.0.15: error:0A00010B:SSL routines", "tls_failed"),
        ("curl: (52) Empty reply from server", "answer_broken"),
        ("curl: (60) SSL certificate problem: self-signed certificate", "certificate_refused"),
        ("curl: (60) SSL certificate problem: certificate has expired", "certificate_out_of_time"),
        ("curl: (77) error setting certificate file: /x", "ca_file_unusable"),
        ("curl: (56) Received HTTP code 407 from proxy after CONNECT", "proxy_refused"),
    ],
)
def test_what_curl_says_of_a_call_without_an_answer_has_its_row(text: str, code: str) -> None:
    """At 3 a.m. it is more often the network than the token."""
    found = told(f"$ curl https://apis.usps.com/x\n{text}\n")
    assert found.row.code == code
    assert text.partition(") ")[2] in found.detail


def test_nothing_for_the_caller_is_left_to_the_broker() -> None:
    """The row of a timeout says that the broker asks again: the call was another's."""
    assert told("curl: (28) Operation timed out after 3 ms").fix.startswith("call once more")


@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required"])
def test_the_no_of_a_proxy_is_not_taken_for_that_of_usps(status: str) -> None:
    """It answers CONNECT, before USPS is reached."""
    said = f"curl: (56) CONNECT tunnel failed, response {status[:3]}"
    assert told(f"{TUNNEL}< HTTP/1.1 {status}\n<\n{said}").row.code == "proxy_refused"
    assert told(f"HTTP/1.1 {status}\r\n\r\n{said}").row.code == "proxy_refused"


@pytest.mark.parametrize("before", [f"{TUNNEL}< ", ""])
def test_a_tunnel_that_stands_is_no_answer(before: str) -> None:
    """What comes to nothing after it is told by curl."""
    text = f"{before}HTTP/1.1 200 Connection established\r\n\r\ncurl: (35) TLS connect error"
    assert told(text).row.code == "tls_failed"
    assert not told(text.partition("curl")[0]).recognised


def test_an_interim_answer_alone_is_none() -> None:
    """`100 Continue`, and then the connection ended."""
    assert not told("HTTP/1.1 100 Continue\r\n\r\n").recognised


def test_the_meter_of_curl_does_not_hide_the_answer() -> None:
    """curl without -s shows it as soon as its output goes into a pipe."""
    assert told(METER + METER_END + ANSWER).row.code == "scope_missing"
    verbose = f"> GET /a HTTP/1.1\n> Host: h\n>\n< HTTP/1.1 401 Unauthorized\n<\n{METER_END}{SCOPE}"
    assert told(f"{METER}* Trying\n{verbose}").row.code == "authorization_missing"
    assert "Insufficient OAuth scope" in told(f"{METER}* Trying\n{verbose}").detail


def test_without_a_request_nothing_is_said_of_its_headers() -> None:
    """`grep '^<'` leaves none of it: that is no call without Authorization."""
    text = f"< HTTP/1.1 401 Unauthorized\n<\n{SCOPE}"
    assert told(text).row.code == "scope_missing"


def test_compressed_words_are_not_taken_for_silence() -> None:
    """`--compressed` shows them; else a scope that is missing would look like a dead token."""
    body = gzip.compress(SCOPE.encode()).decode("utf-8", "replace")
    found = told(f"HTTP/2 401 \r\ncontent-encoding: gzip\r\n\r\n{body}")
    assert (found.recognised, found.fix) == (False, UNPACK)


def test_words_that_a_library_has_unpacked_are_read() -> None:
    """It leaves the header in place."""
    text = f"HTTP/2 401 \r\ncontent-encoding: gzip\r\n\r\n{SCOPE}"
    assert told(text).row.code == "scope_missing"


def test_a_status_without_its_answer_says_too_little() -> None:
    """`curl -f`, as recipes have it: the reason is what it kept back."""
    found = told("curl: (22) The requested URL returned error: 401")
    assert (found.recognised, found.fix) == (False, WITHOUT_FAIL)
    assert told("curl: (22) The requested URL returned error: 429").row.code == "rate_limited"


@pytest.mark.parametrize("by_basic", [True, False])
def test_a_local_key_that_is_none_is_not_taken_for_usps_no(*, by_basic: bool) -> None:
    """The same shape and another door: `credentials_refused` would send people to USPS's portal."""
    reply = stand_in.wrong_key(by_basic=by_basic)
    head = f"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic {stand_in.REALM}\r\n\r\n"
    assert told(reply.body.decode()).row.code == "local_key_wrong"
    assert told(head).row.code == "local_key_wrong"


def test_a_bearer_of_another_door_is_not_taken_for_a_dead_token() -> None:
    """Many a program logs the body alone."""
    assert told(stand_in.wrong_bearer().body.decode()).row.code == "local_key_wrong"


@pytest.mark.parametrize(
    "reply",
    [
        stand_in.oauth_error(503, "invalid_request", "dns_failed: no bearer token. Wait"),
        stand_in.api_error(503, "Service Unavailable", "dns_failed: no payment token. Wait"),
    ],
)
def test_a_token_that_the_local_door_has_not_is_told_by_the_reason(reply: Reply) -> None:
    """With a head and without one, as programs log it."""
    body = reply.body.decode()
    assert told(f"HTTP/1.1 503 Service Unavailable\r\n\r\n{body}").row.code == "dns_failed"
    assert told(body).row.code == "dns_failed"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "dns_failed: as the first word"),
        (403, "The account is blocked: call us"),
        (503, "The account is blocked: call us"),
    ],
)
def test_words_of_usps_that_look_like_a_code_are_no_words_of_the_broker(
    status: int, message: str
) -> None:
    """Its door begins with the code, and answers so with 503 alone."""
    text = 'HTTP/1.1 {} X\r\n\r\n{{"error": {{"message": "{}"}}}}'
    other = told(text.format(status, "no words that look like one"))
    assert told(text.format(status, message)).row == other.row


def test_a_refusal_of_the_broker_is_told_in_its_own_words() -> None:
    """It is a 503 as USPS may have one, but not of USPS."""
    body = (
        '{"type":"about:blank","title":"x","status":502,"code":"credentials_refused",'
        '"reason":"not_approved","detail":"it said so","fix":"do so"}'
    )
    for text in (body, f"HTTP/1.1 502 Bad Gateway\r\n\r\n{body}"):
        assert told(text).detail == "it said so"
        assert told(text).fix == "do so"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("usps-token: not now [not_ready]\n  try again in 3 s", "not_ready"),
        ("usps-token: refused [payment_refused: 160228]", "160228"),
        ("[not_running]", "not_running"),
        ('{"event": "failed", "slot": "bearer", "reason": "client_unknown"}', "client_unknown"),
        ("    USPS_SLOT=payment\n    USPS_REASON=100002\n", "100002"),
        ('{"reason": "blocked"}', "not_recognised"),
        ("INFO [main] nothing", "not_recognised"),
    ],
)
def test_a_message_of_a_client_is_known_by_what_stands_in_brackets(text: str, code: str) -> None:
    """It is what `explain` tells people to look up."""
    assert told(text).row.code == code


HEAD = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 406\r\n\r\n"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (HEAD, WITH_BODY),
        ("HTTP/1.1 401 Unauthorized", WITH_BODY),
        (f"{HEAD}curl: (22) The requested URL returned error: 401", WITHOUT_FAIL),
        ('{"status": 401}', WITH_BODY),
    ],
)
def test_a_body_that_is_not_told_is_not_taken_for_silence(text: str, fix: str) -> None:
    """`curl -I`, `curl -fi` and many a log leave it out: the token need not be dead."""
    found = told(text)
    assert (found.recognised, found.fix) == (False, fix)


def test_an_answer_that_had_no_body_may_mean_a_dead_token() -> None:
    """USPS has refused without a word (mixed hosts)."""
    assert told(HEAD.replace("406", "0")).row.code == "token_dead"


def test_a_whole_status_does_not_hide_that_the_answer_broke_off() -> None:
    """A 200 of which half came is no success."""
    text = 'HTTP/1.1 200 OK\r\n\r\n{"a": curl: (18) transfer closed with 9 bytes remaining'
    assert told(text).row.code == "answer_broken"


def test_the_request_that_httpie_prints_is_looked_at() -> None:
    """As that of `curl -v`."""
    request = "GET /addresses/v3/address HTTP/1.1\nHost: apis.usps.com\nAuthorization: eyJ\n\n\n"
    assert told(f"{request}{ANSWER}").row.code == "bearer_prefix_missing"
    assert told(f"{request.splitlines()[0]}\n{ANSWER}").row.code == "scope_missing"


@pytest.mark.parametrize("head", ["HTTP/1.1 429 Too Many Requests\r\n\r\n", ""])
def test_the_words_of_the_token_endpoint_are_known_without_its_path(head: str) -> None:
    """No other has this shape; the quota of an API is another matter."""
    body = '{"error": "invalid_request", "error_description": "SpikeArrestViolation: too many"}'
    assert told(head + body).row.code == "upstream_rate_limited"
