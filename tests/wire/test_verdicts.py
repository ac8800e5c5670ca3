"""What USPS answered a worker, and whether a token is to blame."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usps_tokens import LIVE, PAGE, api_error, fault, oauth_error

from usps_token_broker import catalogue
from usps_token_broker.wire.remedies import PAYMENT_CODES
from usps_token_broker.wire.verdict_rules import RULES, VerdictCode
from usps_token_broker.wire.verdicts import Answered, Blames, Verdict, judge

HOST = "apis.usps.com"
ADDRESS = "/addresses/v3/address"
PRICES = "/prices/v3/base-rates/search"
LABEL = "/labels/v3/label"


def told(status: int, body: bytes | str = "", path: str = PRICES, **more: Any) -> Verdict:
    """The verdict on an answer of the app's own host."""
    text = body if isinstance(body, str) else body.decode()
    return judge(Answered(status, body=text, path=path, **({"app_host": HOST} | more)))


def item(
    title: str, detail: str, source: object = "Access Token", code: str = ""
) -> dict[str, Any]:
    """One entry of `errors`."""
    return {"title": title, "detail": detail, "source": source, "code": code}


MALFORMED = api_error(
    401,
    "Missing or malformed access token.",
    item(
        "invalid_token",
        "The access token presented with the request is missing or malformed (not a JWT).",
    ),
)
EXPIRED = api_error(
    401, "Access token expired.", item("invalid_token", "The access token has expired.")
)
SCOPE = api_error(401, "Insufficient OAuth scope.", item("insufficient_scope", "Insufficient."))
CONTRACT_TEXT = f"The requested contract information is not authorized to access, {PRICES}."
CONTRACT = api_error(403, CONTRACT_TEXT, item(CONTRACT_TEXT, ""))
HEADER = {"parameter": "Header: X-Payment-Authorization-Token"}
FAULT = fault("Raising fault. Fault name : RF-AccessControl", "steps.raisefault.RaiseFault")
NO_PAYMENT = api_error(
    400,
    "OASValidation OpenAPI-Spec-Validation-Labels-Request with resource oas://labels_v3.yaml: "
    "failed with reason: [ERROR - Parameter 'X-Payment-Authorization-Token' is required but is "
    "missing.: []]",
    item("openapi_validation_error", "The API request does not validate.", "API"),
)


def payment_error(status: int, words: str) -> bytes:
    """A refusal that names the payment token."""
    detail = f"The payment authorization token presented with the request {words}"
    return api_error(status, "Unauthorized", item("invalid_token", detail, HEADER))


def listed(code: str, words: str, source: object = HEADER) -> bytes:
    """A 400 with a code of USPS's list."""
    return api_error(400, "Bad Request", item("Bad Request", words, source, code))


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        pytest.param(told(200, "{}"), "not_an_error", id="200"),
        pytest.param(told(204), "not_an_error", id="204"),
        # Facts: problems that users report.
        pytest.param(
            told(401, oauth_error("invalid_client", "InvalidApiKey: …"), "/oauth2/v3/token"),
            "token_endpoint",
            id="a worker asks for a token itself",
        ),
        pytest.param(
            told(
                429, oauth_error("invalid_request", "SpikeArrestViolation: …"), "/oauth2/v3/token"
            ),
            "token_endpoint",
            id="a worker asks for a token itself too often",
        ),
        pytest.param(told(401, MALFORMED), "token_malformed", id="not a JWT"),
        pytest.param(
            told(401, fault("JWT decoding failed: policy(x)", "steps.jwt.FailedToDecode")),
            "token_malformed",
            id="not a JWT, fault",
        ),
        pytest.param(
            told(401, fault("Failed to resolve", "oauth.v2.FailedToResolveAccessToken")),
            "token_malformed",
            id="no Authorization header, fault",
        ),
        pytest.param(
            told(401, api_error(401, "Missing access token.")), "token_malformed", id="missing"
        ),
        pytest.param(
            told(401, api_error(401, "The client application identifier is invalid.")),
            "product_missing",
            id="product",
        ),
        pytest.param(
            told(
                401,
                fault(
                    "Invalid API call as no apiproduct match found",
                    "keymanagement.service.InvalidAPICallAsNoApiProductMatchFound",
                ),
            ),
            "product_missing",
            id="product, fault",
        ),
        pytest.param(
            told(401, oauth_error("invalid_client", "InvalidApiKeyForGivenResource: …")),
            "product_missing",
            id="product, oauth",
        ),
        pytest.param(
            told(401, oauth_error("INVALID_CLIENT", "")), "product_missing", id="in capitals"
        ),
        pytest.param(told(401, SCOPE), "scope_missing", id="scope at 401"),
        pytest.param(
            told(403, oauth_error("insufficient_scope", "")), "scope_missing", id="scope at 403"
        ),
        pytest.param(
            told(401, headers={"www-authenticate": 'Bearer error="insufficient_scope"'}),
            "scope_missing",
            id="scope in the challenge alone",
        ),
        pytest.param(
            told(401, api_error(401, ""), host="apis-tem.usps.com"), "host_mismatch", id="host"
        ),
        pytest.param(told(403, FAULT, host="apis-tem.usps.com"), "host_mismatch", id="host at 403"),
        pytest.param(told(403, CONTRACT), "contract", id="contract"),
        pytest.param(told(403, FAULT), "access_control", id="access control"),
        pytest.param(told(403), "access_control", id="bare 403"),
        pytest.param(
            told(403, b'{"message": "Forbidden"}'), "access_control", id="403 of the article"
        ),
        pytest.param(told(403, api_error(403, "Forbidden"), ADDRESS), "licence", id="addresses"),
        pytest.param(
            told(403, api_error(403, "API license not accepted")), "licence", id="licence by words"
        ),
        pytest.param(told(403, PAGE), "blocked", id="page of the CDN"),
        pytest.param(
            told(429, oauth_error("invalid_request", "SpikeArrestViolation: …")),
            "rate_limited",
            id="429",
        ),
        pytest.param(
            told(500, fault("Rate limit", "policies.ratelimit.QuotaViolation")),
            "rate_limited",
            id="quota as 500",
        ),
        pytest.param(
            told(400, listed("160302", "Must be enrolled in USPS Ship Outbound"), LABEL),
            "payment_role",
            id="not enrolled",
        ),
        pytest.param(
            told(400, b'{"body": "CRID isn\'t enrolled in USPS Ship Outbound", "roles": []}'),
            "payment_role",
            id="not enrolled, without an error key",
        ),
        pytest.param(
            told(400, listed("160369", "PAYER role required"), LABEL),
            "payment_role",
            id="PAYER",
        ),
        pytest.param(
            told(400, listed("160259", "PC Postage Provider is not configured.", "OAuthToken")),
            "payment_role",
            id="PC Postage, which USPS blames on the bearer",
        ),
        pytest.param(
            told(400, listed("160289", "PAYER requires accountNumber when METER"), PRICES),
            "payment_role",
            id="METER",
        ),
        pytest.param(
            told(400, NO_PAYMENT, LABEL), "payment_token_missing", id="no payment token, 400"
        ),
        pytest.param(
            told(400, NO_PAYMENT, LABEL, payment_sent=True),
            "payment_token_missing",
            id="payment token in the wrong place",
        ),
        pytest.param(
            told(401, payment_error(401, "is missing."), LABEL),
            "payment_token_missing",
            id="no payment token, 401",
        ),
        pytest.param(
            told(401, payment_error(401, "is missing or invalid."), LABEL),
            "payment_token_missing",
            id="missing or invalid, and none was sent",
        ),
        pytest.param(
            told(401, payment_error(401, "is malformed."), LABEL, payment_sent=True),
            "token_malformed",
            id="payment token malformed",
        ),
        pytest.param(
            told(400, api_error(400, "Invalid Zip Code."), ADDRESS), "form_error", id="form"
        ),
        pytest.param(
            told(400, listed("160228", "x").replace(b"160228", b"160150"), LABEL),
            "form_error",
            id="listed code of the form that names the header",
        ),
        pytest.param(told(400), "form_error", id="bare 400"),
        pytest.param(
            told(415, oauth_error("unsupported_media_type", "")), "form_error", id="media type"
        ),
        pytest.param(told(405), "form_error", id="405"),
        pytest.param(told(404, api_error(404, "Not Found")), "not_found", id="404"),
        pytest.param(told(500, "boom"), "server_error", id="500"),
        pytest.param(told(503, PAGE, LABEL, payment_sent=True), "server_error", id="503"),
        pytest.param(told(503, EXPIRED), "server_error", id="503 that talks of tokens"),
        pytest.param(told(302, PAGE), "not_recognised", id="302"),
        pytest.param(told(407), "not_recognised", id="407"),
        pytest.param(told(0), "not_recognised", id="0"),
        pytest.param(told(-1), "not_recognised", id="-1"),
    ],
)
def test_what_is_not_the_tokens_fault_costs_no_renewal(verdict: Verdict, code: str) -> None:
    """It would be the same with any token."""
    assert (verdict.code, verdict.blames) == (code, Blames.NOTHING)
    assert verdict.detail
    assert verdict.fix


WORDS = "Insufficient OAuth scope"
ODD = [
    json.dumps(WORDS),
    f"{WORDS}\r\n",
    json.dumps({"body": WORDS}),
    json.dumps({"body": {"message": WORDS}}),
    json.dumps({"body": json.dumps({"message": WORDS})}),
    json.dumps({"fault": WORDS}),
    json.dumps({"fault": {"faultstring": WORDS, "detail": "none"}}),
    json.dumps([{"message": WORDS}]),
    json.dumps({"errors": [{"code": 401, "message": WORDS}]}),
    json.dumps({"error": {"code": 401, "errors": [WORDS]}}),
    json.dumps({"error": {"error": {"description": WORDS}}}),
    json.dumps({"ERROR": {"MESSAGE": WORDS.upper()}}),
    json.dumps({"error": WORDS}),
    json.dumps({"status": 401, "error": "Unauthorized", "message": WORDS}),
    json.dumps({"errorMessage": WORDS}),
]


@pytest.mark.parametrize("body", ODD)
def test_words_count_wherever_they_stand(body: str) -> None:
    """A good token is not called dead since USPS, or what is in between, writes in another form."""
    assert told(401, body).code is VerdictCode.SCOPE_MISSING


@pytest.mark.parametrize(
    "words", ["Access token expired, or it lacks the required scope", "Token revoked for scope x"]
)
def test_a_token_called_dead_is_renewed_whatever_else_is_said_of_it(words: str) -> None:
    """To call a dead one final would cost more than a renewal."""
    assert told(401, api_error(401, words)).blames is Blames.BEARER


def test_a_contract_is_no_dead_payment_token() -> None:
    """Though USPS may say whose contract it is."""
    body = api_error(403, "The contract of the payment authorization token is not valid")
    verdict = told(403, body, LABEL, payment_sent=True)
    assert (verdict.code, verdict.blames) == ("contract", Blames.NOTHING)


def test_a_payment_token_called_expired_is_dead_whatever_its_contract() -> None:
    """As a bearer called dead is."""
    body = api_error(403, "The payment authorization token has expired; see your contract")
    assert told(403, body, LABEL, payment_sent=True).code is VerdictCode.PAYMENT_TOKEN_DEAD


DEAD = [
    pytest.param(EXPIRED, id="expired"),
    pytest.param(api_error(401, "Invalid access token.", item("invalid_token", "")), id="revoked"),
    pytest.param(fault("Access Token expired", "keymanagement.service.x"), id="fault"),
    pytest.param(
        oauth_error("invalid_token", "The access token is expired, revoked, malformed, or invalid"),
        id="the words of RFC 6750",
    ),
    pytest.param(b'{"error": "invalid_token"}', id="article, error"),
    pytest.param(b'{"message": "Unauthorized"}', id="article, message"),
    pytest.param(api_error(401, ""), id="empty message"),
    pytest.param(b"", id="no body"),
    pytest.param(PAGE, id="page"),
    pytest.param(b"what?", id="garbage"),
    pytest.param(EXPIRED[:200], id="cut"),
]


@pytest.mark.parametrize("body", DEAD)
def test_a_401_that_nothing_explains_blames_the_bearer(body: bytes) -> None:
    """It may be dead: one renewal will tell."""
    verdict = told(401, body)
    assert (verdict.code, verdict.blames) == ("token_dead", Blames.BEARER)


@pytest.mark.parametrize("body", DEAD)
@pytest.mark.parametrize(
    "path",
    [
        LABEL,
        "/labels/v3/label/9205590000000000000000",
        "/labels/v3/return-label",
        "/labels/v3/indicia",
        "/international-labels/v3/international-label",
        "/pmod/v3/pmod/create",
        "/LABELS/v3/label?x=1",
        f"https://{HOST}/labels/v3/label",
        "/proxy/usps/labels/v3/label",
    ],
)
def test_a_401_of_a_label_call_may_be_either_token(body: bytes, path: str) -> None:
    """The bearer first, then the payment token."""
    verdict = told(401, body, path, payment_sent=True)
    assert (verdict.code, verdict.blames) == ("token_dead", Blames.BEARER_THEN_PAYMENT)


@pytest.mark.parametrize("body", DEAD)
def test_a_payment_token_that_was_not_sent_is_not_blamed(body: bytes) -> None:
    """Then the bearer alone can be dead; and the worker is told what else is missing."""
    verdict = told(401, body, LABEL)
    assert verdict.blames is Blames.BEARER
    assert "X-Payment-Authorization-Token" in verdict.fix


def test_a_payment_token_is_not_blamed_for_other_calls() -> None:
    """Sending it where nobody wants it does not make it dead."""
    assert told(401, EXPIRED, ADDRESS, payment_sent=True).blames is Blames.BEARER


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "words", ["has expired.", "is not valid or has been revoked.", "is missing or invalid."]
)
def test_a_payment_token_called_dead_is_believed(status: int, words: str) -> None:
    """Which status USPS uses was never seen; its words are enough."""
    verdict = told(status, payment_error(status, words), "", payment_sent=True)
    assert (verdict.code, verdict.blames) == ("payment_token_dead", Blames.BEARER_THEN_PAYMENT)


def test_a_401_that_names_the_payment_token_may_be_either() -> None:
    """Also where the path does not tell that it is a label call."""
    body = api_error(401, "Payment Authorization Token was refused")
    assert told(401, body, "", payment_sent=True).blames is Blames.BEARER_THEN_PAYMENT


@pytest.mark.parametrize(
    "host",
    [None, "", HOST, "APIS.usps.com", f"{HOST}:443", f"{HOST}.", f"https://{HOST}/", f"u@{HOST}"],
)
def test_an_empty_401_of_the_right_or_an_unknown_host_may_be_a_dead_token(host: str | None) -> None:
    """Only another host explains it away."""
    assert told(401, api_error(401, ""), host=host).blames is Blames.BEARER


@pytest.mark.parametrize(
    ("app_host", "host", "differ"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080", False),
        ("127.0.0.1:8080", "127.0.0.1", False),
        ("127.0.0.1:8080", "127.0.0.1:8081", True),
        ("[::1]:8080", "[::1]", False),
        (HOST, "api.usps.com", True),
        (HOST, f"{HOST}.evil.example", True),
        ("", "api.usps.com", False),
        (f"a.{'x' * 60}.example", f"b.{'x' * 60}.example", True),
        (f"{'x' * 60}.example", f"{'y' * 60}.example", True),
    ],
)
def test_tells_hosts_apart(app_host: str, host: str, differ: bool) -> None:  # noqa: FBT001 - a row
    """By name, and by port where both sides have one."""
    verdict = told(401, api_error(401, ""), host=host, app_host=app_host)
    assert (verdict.code == "host_mismatch") is differ


def test_the_host_may_stand_in_the_path() -> None:
    """A worker may report the whole URL."""
    verdict = told(401, EXPIRED, "https://apis-tem.usps.com/prices/v3/base-rates/search")
    assert verdict.code is VerdictCode.HOST_MISMATCH
    assert "apis-tem.usps.com" in verdict.detail
    assert HOST in verdict.fix


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_another_host_explains_only_a_refusal(status: int) -> None:
    """A rate limit is one on any host."""
    assert told(status, host="apis-tem.usps.com").code is not VerdictCode.HOST_MISMATCH


@pytest.mark.parametrize("code", sorted(PAYMENT_CODES))
def test_each_listed_code_brings_its_fix(code: str) -> None:
    """Roles and accounts are the administrator's to mend, not the token's."""
    verdict = told(400, listed(code, "Some words."), LABEL, payment_sent=True)
    assert (verdict.code, verdict.blames) == ("payment_role", Blames.NOTHING)
    assert verdict.fix == catalogue.row(code).fix
    assert verdict.detail.startswith(catalogue.row(code).cause)


def test_a_cut_body_is_judged_by_what_there_is() -> None:
    """Workers send 4 KB; the code at its beginning is enough."""
    whole = listed("160302", "Must be enrolled in USPS Ship Outbound in order to create labels")
    verdict = told(400, whole[: whole.index(b"create")], LABEL, payment_sent=True)
    assert verdict.code is VerdictCode.PAYMENT_ROLE


def test_the_detail_quotes_usps() -> None:
    """A person searches for USPS's own words."""
    assert 'USPS answered 401: "Access token expired' in told(401, EXPIRED).detail


@pytest.mark.parametrize(
    ("body", "sure"),
    [
        (EXPIRED, True),
        (b'{"error": "invalid_token"}', True),
        (b'{"message": "Unauthorized"}', False),
        (b"what?", False),
        (b"", False),
    ],
)
def test_a_token_is_said_to_be_dead_only_where_usps_says_so(body: bytes, sure: bool) -> None:  # noqa: FBT001 - a row
    """What it does not say may be something else."""
    verdict = told(401, body)
    assert ("USPS no longer takes the token" in verdict.detail) is sure
    assert ("it may be dead" in verdict.detail) is not sure


def test_no_token_gets_into_a_verdict() -> None:
    """What USPS echoes is taken out, and so is what hides in host and path."""
    verdict = told(401, api_error(401, f"token {LIVE} bad"), f"/{LIVE}", host=f"{LIVE}.x")
    assert LIVE not in repr(verdict)
    assert LIVE.lower() not in repr(verdict)


def test_every_code_can_come_out() -> None:
    """No name stands in the table for nothing, and the last rule takes what is left."""
    assert {rule.code for rule in RULES} == set(VerdictCode)


def test_braces_do_no_harm() -> None:
    """Nothing of the answer is taken for a template."""
    assert "{0}" in told(401, api_error(401, "{0} {seen}")).detail


@given(
    st.builds(
        Answered,
        status=st.integers(),
        headers=st.dictionaries(st.text(), st.text()),
        body=st.text() | st.binary().map(lambda data: data.decode("latin-1")),
        path=st.text(),
        host=st.none() | st.text(),
        app_host=st.just(HOST) | st.text(),
        payment_sent=st.booleans(),
    )
)
def test_never_raises(answered: Answered) -> None:
    """A worker may send anything."""
    verdict = judge(answered)
    assert 0 < len(verdict.detail) <= 300
    assert verdict.code in VerdictCode


@given(st.integers(0, 599).filter(lambda status: status != 401), st.text(max_size=80))
def test_only_a_401_blames_by_default(status: int, words: str) -> None:
    """Any other status costs a renewal only if it calls the payment token dead."""
    verdict = told(status, json.dumps({"message": words}), LABEL, payment_sent=True)
    assert verdict.blames is Blames.NOTHING or verdict.code is VerdictCode.PAYMENT_TOKEN_DEAD
