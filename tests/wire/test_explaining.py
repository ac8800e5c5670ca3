"""From whatever a person has of a call to the row that it is."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usps_tokens import LIVE

from usps_token_broker.catalogue import CATALOGUE
from usps_token_broker.wire.explaining import Explanation, explain

NOW = 1_790_000_000.0
PRODUCTION = "https://keyc.usps.com/realms/USPS"
TEST = "https://cat-keyc.usps.com/realms/USPS"
SCOPE = '{"error": {"code": "401", "message": "Insufficient OAuth scope."}}'
ANSWER = '< HTTP/2 401\n< content-type: application/json\n<\n{"error": {"code": "401"}}\n'


def jwt(**claims: Any) -> str:
    """A token with these claims."""
    parts = ({"alg": "RS256"}, {"exp": NOW + 60} | claims)
    head = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in parts)
    return f"{head.replace('=', '')}.{'s' * 342}"


def told(text: str, **more: Any) -> Explanation:
    """The explanation of this text."""
    return explain(text, now=NOW, **more)


def call(*headers: str, host: str = "apis.usps.com") -> Explanation:
    """The explanation of a 401 to a request with these headers."""
    lines = [f"> {line}" for line in (f"POST /labels/v3/label HTTP/2\n> host: {host}", *headers)]
    return told("\n".join([*lines, ">", ANSWER]))


BEARER = jwt(scope="labels", iss=PRODUCTION)
PAYMENT = jwt(roles=[{"roleName": "PAYER"}])


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        ("authorization_missing", []),
        ("bearer_prefix_missing", [f"Authorization: {BEARER}"]),
        ("bearer_prefix_missing", [f"Authorization: Token {BEARER}"]),
        (
            "token_is_json",
            ['Authorization: Bearer {"access_token": "eyJ'],
        ),
        ("token_is_json", [f'Authorization: Bearer "{BEARER}"']),
        ("token_cut", [f"Authorization: Bearer {BEARER[:255]}"]),
        ("token_cut", [f"Authorization: Bearer {BEARER[:-320]}"]),
        ("token_malformed", ["Authorization: Bearer YOUR_TOKEN"]),
        ("payment_token_as_bearer", [f"Authorization: Bearer {PAYMENT}"]),
        (
            "payment_token_as_bearer",
            [f"Authorization: Bearer {BEARER}", f"X-Payment-Authorization-Token: {BEARER}"],
        ),
        (
            "payment_token_malformed",
            [f"Authorization: Bearer {BEARER}", f"X-Payment-Authorization-Token: {PAYMENT[:90]}"],
        ),
        ("host_mismatch", [f"Authorization: Bearer {jwt(scope='x', iss=TEST)}"]),
        ("token_dead", [f"Authorization: Bearer {jwt(scope='x', exp=NOW - 1)}"]),
        (
            "payment_token_dead",
            [
                f"authorization: bearer {BEARER}",
                f"X-Payment-Authorization-Token: {jwt(roles=[], exp=NOW - 1)}",
            ],
        ),
        ("token_dead", [f"Authorization: Bearer {BEARER}"]),
    ],
)
def test_what_is_wrong_with_the_request_is_told(code: str, headers: list[str]) -> None:
    """USPS says 401 to all of them."""
    assert call(*headers).row.code == code


def test_a_good_request_to_the_test_host_is_no_mismatch() -> None:
    """The issuer of its tokens has a name of its own."""
    token = jwt(scope="x", iss=TEST)
    found = call(f"Authorization: Bearer {token}", host="apis-tem.usps.com")
    assert found.row.code == "token_dead"


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_a_code_is_explained(code: str) -> None:
    """Every row can be looked up by its name."""
    found = told(f" {code}\n")
    assert (found.row.code, found.recognised) == (code, True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"error": "invalid_client", "error_description": "Client authentication failed."}',
         "client_secret_wrong"),
        ('{"error": "invalid_client", "error_description": "InvalidApiKey: not approved"}',
         "client_unknown"),
        ("curl https://apis.usps.com/oauth2/v3/token\nHTTP/2 429\n\n", "upstream_rate_limited"),
        (f"curl https://x/payments/v3/payment-authorization\nHTTP/2 401\n\n{SCOPE}",
         "payments_scope_missing"),
        ("curl https://api.usps.com/addresses/v3/address\nHTTP/2 401\n\n{}", "old_host"),
        ("curl https://apis-cat.usps.com/a\nHTTP/2 404\n\n", "old_host"),
    ],
)  # fmt: skip
def test_what_developers_without_a_broker_meet_is_known(text: str, code: str) -> None:
    """The token endpoints have rows of their own."""
    assert told(text).row.code == code


def test_a_host_that_is_not_the_apps_is_a_mismatch() -> None:
    """Where the caller says which host its tokens are for."""
    text = "curl https://apis.usps.com/a\nHTTP/2 401\n\n"
    assert told(text, own_host="apis-tem.usps.com").row.code == "host_mismatch"


def test_a_status_may_be_given_beside_a_body() -> None:
    """A log often has them on two lines."""
    assert told('{"message": "no"}', status=429).row.code == "rate_limited"


@pytest.mark.parametrize("text", ["", "\0\x01\x02", "hello", "{}", "[1]", "HTTP/1.1 418 x\n\n"])
def test_what_is_not_recognised_says_how_to_report_it(text: str) -> None:
    """And never guesses."""
    found = told(text)
    assert not found.recognised
    assert found.row.code == "not_recognised"
    assert "doctor --bundle" in found.fix


@given(st.text(max_size=300))
def test_anything_is_explained(text: str) -> None:
    """Without an error, in words that fit a line."""
    found = told(text)
    assert found.detail.isprintable()
    assert len(found.detail) <= 600


@pytest.mark.parametrize("text", [LIVE, f"HTTP/1.1 401 x\n\n{LIVE}", ANSWER + f"> x: {LIVE}"])
def test_a_token_in_it_is_not_shown(text: str) -> None:
    """People paste what they have."""
    found = told(text)
    assert LIVE[:60] not in found.detail + found.fix
