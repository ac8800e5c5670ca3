"""Text of USPS, fit for people and logs."""

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usps_tokens import LIVE

from usps_token_broker.core.values import Secret
from usps_token_broker.wire.redaction import LIMIT, MARK, MOST_CHARS, redact

SECRET = 'pa"ss &<w>/örd+1'


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(SECRET, id="as it is"),
        pytest.param(SECRET.upper(), id="in capitals"),
        pytest.param(json.dumps(SECRET)[1:-1], id="as JSON"),
        pytest.param(quote(SECRET, safe=""), id="as in a URL"),
        pytest.param(quote_plus(SECRET), id="as in a form"),
        pytest.param('pa"ss &amp;&lt;w&gt;/örd+1', id="as in HTML"),
        pytest.param("pa&quot;ss &amp;&lt;w&gt;/örd+1", id="as in an attribute"),
        pytest.param(SECRET.replace(" ", "\n"), id="broken into lines"),
    ],
)
def test_takes_known_secrets_out(written: str) -> None:
    """However USPS may echo a secret, it is gone."""
    assert redact(f"got {written}!", [Secret(SECRET)]) == f"got {MARK}!"


@pytest.mark.parametrize(
    "opaque",
    [
        pytest.param(LIVE, id="JWT"),
        pytest.param(LIVE[:60], id="beginning of a JWT"),
        pytest.param("0123456789abcdef" * 2, id="32 of hex"),
        pytest.param("a" * 32, id="32 alike"),
        pytest.param("Zm9v-YmFyYmF6_cXV1eHF1dXV1eHh4eHg", id="base64url"),
        pytest.param("Zm9v+YmFyYmF6/cXV1eHF1dXV1eHh4eHg==", id="base64"),
        pytest.param("f1b2c3d4-0000-4000-8000-1234567890ab", id="UUID"),
    ],
)
def test_takes_out_what_looks_like_a_secret(opaque: str) -> None:
    """Tokens that nobody told us of."""
    assert redact(f"token={opaque} is bad") in {f"token={MARK} is bad", f"{MARK} is bad"}


@pytest.mark.parametrize(
    "text",
    [
        "POST /payments/v3/payment-authorization",
        "OASValidation OpenAPI-Spec-Validation-Addresses-Request with resource oas://a.yaml",
        "keymanagement.service.InvalidAPICallAsNoApiProductMatchFound",
        "InvalidApiKeyForGivenResource: The client application credentials",
        "Could not find an EPS Account with number: 1000000001.",
    ],
)
def test_leaves_words_as_they_are(text: str) -> None:
    """Paths, names and numbers of USPS's real messages stay readable."""
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-d client_id=a -d client_secret=Ab3dEf9hIj -i", "-d client_id=a -d client_secret=[…] -i"),
        ("client_secret=Ab3dEf9hIj&scope=x", "client_secret=[…]&scope=x"),
        ('"client_secret": "Ab3d,f9hIj", "a": 1', '"client_secret": "[…]", "a": 1'),
        ("Authorization: Basic ZGVtbzpzM2NyZXQ5", "Authorization: Basic […]"),
        ("client_secret: must not be null", "client_secret: must not be null"),
        ("authorization: required", "authorization: required"),
    ],
)
def test_what_stands_where_a_secret_does_is_taken_out(text: str, shown: str) -> None:
    """People paste their commands too, and old secrets of USPS are short."""
    assert redact(text) == shown


def test_is_one_line_without_control_characters() -> None:
    """No line break, no colour and no change of direction gets into a log."""
    assert redact("a\r\nb\x1b[31mc\u202ed\u2028e\x00") == "a b [31mc d e"


def test_cuts_at_the_limit() -> None:
    """Nobody reads more; a mark shows that there was more."""
    text = redact("ab " * 200)
    assert len(text) == LIMIT
    assert text.endswith("…")


def test_cuts_only_after_taking_out() -> None:
    """The half of a secret that the cut would leave is a leak too."""
    text = redact("x " * 20 + "secret-of-mine", [Secret("secret-of-mine")], limit=47)
    assert "secret" not in text


@pytest.mark.parametrize("end", range(MOST_CHARS - 20, MOST_CHARS + 2))
def test_a_text_beyond_all_measure_hides_no_half_of_a_secret(end: int) -> None:
    """Only the beginning is looked at, and what is left of it after taking out may be short."""
    text = ("a" * (end - 1) + " " + "secret-of-mine")[:MOST_CHARS] + "x" * 9
    assert "sec" not in redact(text, [Secret("secret-of-mine")])


@given(
    st.text(max_size=200),
    st.text(min_size=4, max_size=40).filter(lambda text: len(" ".join(text.split())) >= 4),
    st.text(max_size=200),
)
def test_no_secret_survives(before: str, secret: str, after: str) -> None:
    """Whatever the secret and wherever it stands."""
    assert secret not in redact(before + secret + after, [Secret(secret)])
