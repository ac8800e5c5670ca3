"""What a refusal of the two token endpoints means: status first, body second."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usps_tokens import LIVE, PAGE, api_error, fault, oauth_error

from usps_token_broker import catalogue
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.core.values import Secret
from usps_token_broker.wire.grants import read_payment_answer, read_token_answer
from usps_token_broker.wire.remedies import PAYMENT_CODES

UNKNOWN_KEY = (
    "InvalidApiKey: The client application credentials provided in the request are missing, "
    "invalid, inactive or not approved for access."
)
SPIKE = "SpikeArrestViolation: Too many requests received from client in a short time."
NOT_ENROLLED = json.dumps(
    {"body": "CRID isn't enrolled in USPS Ship Outbound", "roles": [{"CRID": "12345678"}]}
).encode()
Read = Callable[..., object]
EACH = pytest.mark.parametrize("read", [read_token_answer, read_payment_answer])


def refused(outcome: object) -> Failure:
    """The failure, whose texts are bounded."""
    assert isinstance(outcome, Failure)
    assert 0 < len(outcome.detail) <= 300
    assert 0 < len(outcome.fix) <= 300
    assert "\n" not in outcome.detail + outcome.fix
    return outcome


def payment_error(status: int, code: str, detail: str) -> bytes:
    """A refusal of payment-authorization with a code of USPS's list."""
    item = {"code": code, "title": "Bad Request", "detail": detail, "source": {"parameter": "r"}}
    return api_error(status, "Bad Request", item)


@pytest.mark.parametrize(
    ("status", "body", "sub_code", "fix"),
    [
        pytest.param(
            401, oauth_error("invalid_client", UNKNOWN_KEY), "invalid_client", "client_id", id="key"
        ),
        pytest.param(
            401,
            oauth_error("invalid_client", "Client authentication failed."),
            "invalid_client",
            "check the client secret",
            id="secret",
        ),
        pytest.param(
            401,
            oauth_error("invalid_client", UNKNOWN_KEY.replace("Key", "KeyForGivenResource", 1)),
            "invalid_client",
            "OAuth product",
            id="key of another product",
        ),
        pytest.param(
            400,
            oauth_error("unsupported_grant_type", "The grant_type is not supported."),
            "unsupported_grant_type",
            "client_credentials",
            id="grant type",
        ),
        pytest.param(
            400,
            oauth_error("invalid_request", ""),
            "invalid_request",
            "plain application/json",
            id="bad request",
        ),
        pytest.param(
            415,
            oauth_error("unsupported_media_type", "Charset is not supported."),
            None,
            "plain application/json",
            id="media type",
        ),
        pytest.param(400, oauth_error("invalid_scope", ""), "invalid_scope", "alone", id="scope"),
        pytest.param(
            401,
            fault("Invalid ApiKey", "oauth.v2.InvalidApiKey"),
            "oauth.v2.InvalidApiKey",
            "client_id",
            id="fault",
        ),
        pytest.param(
            403,
            fault("Raising fault. Fault name : RF", "steps.raisefault.RaiseFault"),
            "steps.raisefault.RaiseFault",
            "approved",
            id="access control",
        ),
        pytest.param(401, api_error(401, ""), None, "client_id", id="api with empty message"),
        pytest.param(403, b"", None, "client_id", id="403 without a body"),
        pytest.param(401, b"\r\n", None, "client_id", id="401 without a body"),
    ],
)
def test_the_token_endpoint_refuses(
    status: int, body: bytes, sub_code: str | None, fix: str
) -> None:
    """USPS itself said no to the credentials: a person must act, and is told where to look."""
    failure = refused(read_token_answer(status, {}, body))
    assert (failure.kind, failure.code) == (FailureKind.REFUSED, Code.CREDENTIALS_REFUSED)
    assert (failure.upstream_status, failure.sub_code) == (status, sub_code)
    assert fix in failure.fix
    assert str(status) in failure.detail


def test_the_detail_holds_the_words_of_usps() -> None:
    """What USPS said is what an administrator searches for."""
    failure = refused(read_token_answer(401, {}, oauth_error("invalid_client", UNKNOWN_KEY)))
    assert failure.detail.startswith('USPS answered 401 invalid_client: "InvalidApiKey: The client')


def test_silence_is_said() -> None:
    """A bare status has no words to quote."""
    assert refused(read_token_answer(401, {}, b"")).detail == "USPS answered 401 and gave no reason"


@EACH
@pytest.mark.parametrize("status", [400, 403, 410])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(PAGE, id="page"),
        pytest.param(b"no", id="text"),
        pytest.param(b'{"error": "inval', id="cut"),
        pytest.param(b'{"ok": false}', id="JSON of nobody we know"),
        pytest.param(b"x" * 300_000, id="large"),
    ],
)
def test_something_in_between_is_no_refusal(read: Read, status: int, body: bytes) -> None:
    """A page of the CDN or a proxy says nothing of credentials or roles."""
    failure = refused(read(status, {}, body))
    assert failure.kind is FailureKind.TRANSIENT
    assert failure.detail.startswith(f"something in front of USPS answered {status} with ")


def test_a_page_with_401_is_no_refusal_of_the_credentials() -> None:
    """The token endpoint answers in JSON or not at all."""
    failure = refused(read_token_answer(401, {}, PAGE))
    assert failure.kind is FailureKind.TRANSIENT
    assert 'a page: "Access Denied"' in failure.detail


@EACH
def test_a_compressed_refusal_is_not_believed(read: Read) -> None:
    """USPS was asked not to compress; whoever did may not be USPS."""
    failure = refused(read(400, {"Content-Encoding": "gzip"}, b"\x1f\x8b"))
    assert failure.kind is FailureKind.TRANSIENT
    assert "compressed" in failure.detail


@EACH
@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("body", [b"", PAGE, api_error(404, "Not found")])
def test_a_missing_path_is_a_wrong_base_url(read: Read, status: int, body: bytes) -> None:
    """Whatever stands in the body: both paths exist at USPS."""
    failure = refused(read(status, {}, body))
    assert failure.kind is FailureKind.REFUSED
    assert "base_url" in failure.detail
    assert "https://apis.usps.com" in failure.fix


@EACH
@pytest.mark.parametrize("status", [301, 302, 307, 308, 399])
def test_redirects_are_not_followed(read: Read, status: int) -> None:
    """The secret goes nowhere else; the new host is named, its path is not."""
    failure = refused(read(status, {"Location": "https://u:p@login.example/x?y=z"}, b""))
    assert failure.kind is FailureKind.TRANSIENT
    assert failure.detail == (
        f"the answer was a redirect ({status} to login.example), and redirects are not followed"
    )


@EACH
@pytest.mark.parametrize("location", ["", "/redirected", "http://[", "\x00"])
def test_a_redirect_to_nowhere(read: Read, location: str) -> None:
    """Location may hold anything."""
    assert "(302)" in refused(read(302, {"Location": location}, b"")).detail


@EACH
@pytest.mark.parametrize(
    "body", [oauth_error("invalid_request", SPIKE), PAGE, b"", fault("Spike", "policies.ratelimit")]
)
def test_the_status_tells_a_rate_limit(read: Read, body: bytes) -> None:
    """The body of a 429 says `invalid_request`, which means nothing here."""
    failure = refused(read(429, {"Retry-After": "86400"}, body))
    assert (failure.kind, failure.code) == (FailureKind.RATE_LIMITED, Code.UPSTREAM_RATE_LIMITED)
    assert failure.retry_after_seconds == 86_400
    assert failure.sub_code != "invalid_request"


@EACH
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599, 600, 999])
@pytest.mark.parametrize("body", [oauth_error("invalid_client", "no"), PAGE, b"\xff"])
def test_a_fault_of_usps_passes(read: Read, status: int, body: bytes) -> None:
    """Even when the body of the 5xx talks of the client."""
    failure = refused(read(status, {"Retry-After": "7"}, body))
    assert (failure.kind, failure.code) == (FailureKind.TRANSIENT, Code.UPSTREAM_UNAVAILABLE)
    assert failure.retry_after_seconds == 7


@EACH
@pytest.mark.parametrize("status", [100, 201, 204, 206])
def test_only_200_brings_a_token(read: Read, status: int) -> None:
    """Another success is none."""
    failure = refused(read(status, {}, json.dumps({"access_token": "x"}).encode()))
    assert failure.kind is FailureKind.TRANSIENT
    assert str(status) in failure.detail


@EACH
@pytest.mark.parametrize("status", [408, 425])
def test_a_timeout_of_usps_passes(read: Read, status: int) -> None:
    """These say: try again."""
    assert refused(read(status, {}, oauth_error("x", ""))).kind is FailureKind.TRANSIENT


@EACH
@pytest.mark.parametrize("status", [406, 415, 422])
def test_another_refusal_is_not_blamed_on_the_credentials(read: Read, status: int) -> None:
    """If USPS no longer takes the form of our request, no secret will help."""
    failure = refused(read(status, {}, api_error(status, "Unsupported")))
    assert failure.kind is FailureKind.REFUSED
    assert "newer version" in failure.fix


@pytest.mark.parametrize("code", sorted(PAYMENT_CODES))
def test_each_known_code_has_its_fix(code: str) -> None:
    """Every code of USPS's list is a refusal with advice of its own."""
    failure = refused(read_payment_answer(400, {}, payment_error(400, code, "Some words.")))
    assert (failure.kind, failure.code) == (FailureKind.REFUSED, Code.PAYMENT_REFUSED)
    assert failure.sub_code == code
    assert failure.fix == catalogue.row(code).fix
    assert failure.detail == f'USPS answered 400 {code}: "Some words"'


def test_the_known_code_among_several_decides() -> None:
    """USPS may list more than one thing."""
    items = ({"code": "999999", "detail": "a"}, {"code": "160228", "detail": "b"})
    failure = refused(read_payment_answer(400, {}, api_error(400, "Bad Request", *items)))
    assert failure.sub_code == "160228"


def test_an_unknown_code_is_told() -> None:
    """A code newer than our table is shown all the same."""
    failure = refused(read_payment_answer(400, {}, payment_error(400, "160999", "New words.")))
    assert failure.sub_code == "160999"
    assert "roles" in failure.fix


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(NOT_ENROLLED, id="body and roles"),
        pytest.param(b'{"body": "CRID isn\'t enrolled in USPS Ship Outbound"}', id="body alone"),
        pytest.param(api_error(400, "CRID isn't enrolled in USPS Ship Returns"), id="api"),
    ],
)
def test_an_enrolment_that_is_missing(body: bytes) -> None:
    """Also in the shape that has no error key."""
    failure = refused(read_payment_answer(400, {}, body))
    assert (failure.kind, failure.code) == (FailureKind.REFUSED, Code.PAYMENT_REFUSED)
    assert "USPS Ship" in failure.fix


SCOPE = {"title": "insufficient_scope", "detail": "Insufficient OAuth scope.", "source": "x"}
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="usps", error="insufficient_scope"'}


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        pytest.param(401, {}, api_error(401, "Insufficient OAuth scope."), id="message"),
        pytest.param(401, {}, api_error(401, "Unauthorized", SCOPE), id="title"),
        pytest.param(401, {}, oauth_error("insufficient_scope", ""), id="oauth"),
        pytest.param(401, CHALLENGE, b"", id="challenge alone"),
        pytest.param(403, {}, api_error(403, "Forbidden", SCOPE), id="403"),
        pytest.param(
            401,
            {},
            api_error(401, "The client application identifier is invalid."),
            id="product",
        ),
    ],
)
def test_a_missing_scope(status: int, headers: dict[str, str], body: bytes) -> None:
    """The same bearer will never do; another one may."""
    failure = refused(read_payment_answer(status, headers, body))
    assert (failure.kind, failure.code) == (FailureKind.SCOPE_MISSING, Code.SCOPE_MISSING)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(api_error(401, "Access token expired."), id="expired"),
        pytest.param(
            api_error(401, "Token expired, or it lacks the scope."), id="expired or scope"
        ),
        pytest.param(api_error(401, ""), id="empty message"),
        pytest.param(fault("Invalid Access Token", "keymanagement.service.x"), id="fault"),
        pytest.param(b"", id="no body"),
        pytest.param(PAGE, id="page"),
    ],
)
def test_any_other_401_is_about_the_bearer(body: bytes) -> None:
    """The bearer may be dead: the core renews it once."""
    failure = refused(read_payment_answer(401, {}, body))
    assert (failure.kind, failure.code) == (FailureKind.BEARER_REFUSED, Code.PAYMENT_REFUSED)


def test_a_forbidden_payment() -> None:
    """No new bearer mends a 403 of the API."""
    failure = refused(read_payment_answer(403, {}, api_error(403, "Not authorized.")))
    assert (failure.kind, failure.code) == (FailureKind.REFUSED, Code.PAYMENT_REFUSED)
    assert "Payments API" in failure.fix


CANARY = "canary-7f3a-secret"


@EACH
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 410, 415, 429, 500, 503])
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda s: oauth_error(s, f"no {s}"), id="oauth"),
        pytest.param(
            lambda s: api_error(400, s, {"code": s, "title": s, "detail": s, "source": s}), id="api"
        ),
        pytest.param(lambda s: fault(s, s), id="fault"),
        pytest.param(lambda s: json.dumps({"body": s, "roles": [s]}).encode(), id="enrolment"),
        pytest.param(lambda s: f"<title>{s}</title>".encode(), id="page"),
        pytest.param(lambda s: f'{{"error": "{s}", "error_description": "{s}'.encode(), id="cut"),
        pytest.param(lambda s: json.dumps({"status": s, "expires_in": s}).encode(), id="grant"),
    ],
)
@pytest.mark.parametrize("echo", [CANARY, LIVE])
def test_no_echo_gets_through(
    read: Read, status: int, shape: Callable[[str], bytes], echo: str
) -> None:
    """USPS may send back what we sent it: no text of a failure holds it."""
    headers = {"Location": f"https://{CANARY}.example", "Retry-After": CANARY}
    failure = refused(read(status, headers, shape(echo), [Secret(CANARY)]))
    assert echo.lower() not in repr(failure).lower()


@given(
    st.integers(100, 999),
    st.dictionaries(st.sampled_from(["Location", "Retry-After", "Date"]), st.text()),
    st.text(max_size=400),
)
def test_every_answer_has_a_meaning(status: int, headers: dict[str, str], words: str) -> None:
    """Whatever USPS says, there is a detail and a fix of one line."""
    for body in (oauth_error("x", words), api_error(400, words), words.encode("utf-8", "replace")):
        if status != 200:
            refused(read_token_answer(status, headers, body))
            refused(read_payment_answer(status, headers, body))


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_an_answer_that_breaks_off_within_the_secret_shows_no_part_of_it(status: int) -> None:
    """Of a body that is cut the words count, and the last of them may be half an echo."""
    secret = "kQ7vWx2NfGh8LpRt"
    body = json.dumps({"error": "x", "error_description": f"no client with the secret {secret}"})
    for end in range(len(body) + 1):
        failure = read_token_answer(status, {}, body.encode()[:end], [Secret(secret)])
        assert secret[:4] not in repr(failure)
