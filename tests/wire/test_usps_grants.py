"""When an answer is a grant, for how long, and what is wrong with those that are none."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usps_tokens import LIVE, PAGE, jwt, payment_answer, token_answer

from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import Secret
from usps_token_broker.wire.grants import (
    MAX_TOKEN_CHARS,
    read_payment_answer,
    read_token_answer,
)

CLIENT_SECRET = "kQ7vWx2NfGh8LpRt"
B64_SECRET = base64.b64encode(f"an-id:{CLIENT_SECRET}".encode()).decode().rstrip("=")


def token(**changes: Any) -> Grant | Failure:
    """What a 200 of the token endpoint comes to."""
    return read_token_answer(200, {}, json.dumps(token_answer(**changes)).encode())


def payment(**changes: Any) -> Grant | Failure:
    """What a 200 of payment-authorization comes to."""
    return read_payment_answer(200, {}, json.dumps(payment_answer(**changes)).encode())


def life(outcome: Grant | Failure) -> float:
    """The life of a grant."""
    assert isinstance(outcome, Grant)
    return outcome.life_seconds


def problem(outcome: Grant | Failure) -> str:
    """What is wrong with a 200 that is worth another try."""
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.code) == (FailureKind.TRANSIENT, Code.UPSTREAM_UNAVAILABLE)
    assert outcome.upstream_status == 200
    return outcome.detail.removeprefix("USPS answered 200 without a usable token: ")


def test_reads_a_grant() -> None:
    """The answer as USPS gives it."""
    assert token() == Grant(
        value=Secret(LIVE),
        life_seconds=28_799.0,
        token_type="Bearer",
        scopes=("addresses", "payments", "labels"),
    )


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        pytest.param({"expires_in": "28799"}, 28_799, id="in quotes"),
        pytest.param({"expires_in": " 60 "}, 60, id="in quotes with blanks"),
        pytest.param({"expires_in": 59.5}, 59.5, id="a fraction"),
        pytest.param({"expires_in": None}, 28_800, id="missing: the JWT tells"),
        pytest.param({"expires_in": 999_999}, 28_800, id="never above eight hours"),
        pytest.param({"access_token": jwt(iat=0, exp=60)}, 60, id="the JWT ends sooner"),
        pytest.param({"access_token": jwt(exp=60)}, 28_799, id="a JWT without iat"),
        pytest.param({"access_token": jwt(iat="0", exp="60")}, 28_799, id="a JWT with strings"),
        pytest.param({"access_token": jwt(iat=True, exp=60)}, 28_799, id="a JWT with a truth"),
        pytest.param({"access_token": "opaque"}, 28_799, id="no JWT"),
        pytest.param({"access_token": "a.b.c"}, 28_799, id="three parts, no JWT"),
        pytest.param({"access_token": "a.W10.c"}, 28_799, id="claims are no object"),
    ],
)
def test_tells_the_life_of_a_bearer(changes: dict[str, Any], seconds: float) -> None:
    """The shorter of what the answer and the token say."""
    assert life(token(**changes)) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(LIVE, 28_800, id="as USPS makes it"),
        pytest.param(jwt(iat=0, exp=600), 600, id="a short one"),
        pytest.param(jwt(iat=0, exp=86_400), 28_800, id="never above eight hours"),
        pytest.param("opaque", 28_800, id="no JWT"),
        pytest.param(jwt(exp=600), 28_800, id="a JWT without iat"),
    ],
)
def test_tells_the_life_of_a_payment_token(value: str, seconds: float) -> None:
    """USPS names none: the token tells, or it is the documented eight hours."""
    assert life(payment(paymentAuthorizationToken=value)) == seconds


@pytest.mark.parametrize(
    ("value", "assumed"),
    [(LIVE, False), (jwt(iat=0, exp=86_400), False), ("opaque", True), (jwt(exp=600), True)],
)
def test_tells_whether_the_life_of_a_payment_token_is_assumed(value: str, *, assumed: bool) -> None:
    """Such an end is a guess, and outlasts none that is known."""
    grant = payment(paymentAuthorizationToken=value)
    assert isinstance(grant, Grant)
    assert grant.life_is_assumed is assumed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"access_token": None}, "access_token is missing", id="no token"),
        pytest.param({"access_token": ""}, "access_token is empty", id="empty token"),
        pytest.param({"access_token": 5}, "access_token is not a string", id="a number"),
        pytest.param({"access_token": "a\r\nb"}, "access_token holds a character", id="line break"),
        pytest.param({"access_token": "a b"}, "access_token holds a character", id="blank"),
        pytest.param({"access_token": "a\x7f"}, "access_token holds a character", id="DEL"),
        pytest.param({"access_token": "ä"}, "access_token holds a character", id="not ASCII"),
        pytest.param({"access_token": "a\n"}, "access_token holds a character", id="ends in \\n"),
        pytest.param(
            {"access_token": "a" * (MAX_TOKEN_CHARS + 1)}, "access_token is longer", id="too long"
        ),
        pytest.param({"token_type": "mac"}, "token_type is not Bearer", id="another type"),
        pytest.param({"token_type": 1}, "token_type is not Bearer", id="type is a number"),
        pytest.param({"status": "Revoked"}, "its status is revoked", id="revoked"),
        pytest.param({"expires_in": 0}, "expires_in is 0", id="over"),
        pytest.param({"expires_in": -30}, "expires_in is -30", id="long over"),
        pytest.param({"expires_in": "0"}, "expires_in is 0", id="over, in quotes"),
        pytest.param({"expires_in": "soon"}, "expires_in is not a number", id="a word"),
        pytest.param({"expires_in": "nan"}, "expires_in is not a number", id="nan"),
        pytest.param({"expires_in": True}, "expires_in is not a number", id="a truth"),
        pytest.param({"expires_in": [1]}, "expires_in is not a number", id="a list"),
        pytest.param({"expires_in": 10**400}, "expires_in is not a number", id="beyond any number"),
        pytest.param(
            {"expires_in": None, "access_token": "opaque"}, "expires_in is missing", id="no life"
        ),
        pytest.param(
            {"access_token": jwt(iat=60, exp=60)}, "the token's own exp is not after", id="JWT over"
        ),
    ],
)
def test_says_what_is_wrong_with_a_bearer(changes: dict[str, Any], words: str) -> None:
    """A 200 that brings nothing to use names its fault."""
    body = token_answer()
    body |= changes
    body = {name: value for name, value in body.items() if value is not None}
    outcome = read_token_answer(200, {}, json.dumps(body).encode())
    assert problem(outcome).startswith(words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paymentAuthorizationToken": None}, "paymentAuthorizationToken is missing"),
        ({"paymentAuthorizationToken": "a\nb"}, "paymentAuthorizationToken holds a character"),
        ({"paymentAuthorizationToken": jwt(iat=9, exp=1)}, "the token's own exp is not after"),
    ],
)
def test_says_what_is_wrong_with_a_payment_token(changes: dict[str, Any], words: str) -> None:
    """As for the bearer."""
    assert problem(payment(**changes)).startswith(words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "its body is empty", id="empty"),
        pytest.param(PAGE, "its body is a page", id="page"),
        pytest.param(b"[]", "its body is JSON, but no object", id="list"),
        pytest.param(b'{"access_token": "eyJ', "its body is not valid JSON", id="cut"),
        pytest.param(b"{}{}", "its body is not valid JSON", id="two objects"),
        pytest.param(
            b'{"access_token": "\xff"}', "its body is not valid JSON in UTF-8", id="\\xff"
        ),
        pytest.param(b"{" * 100_000, "its body is not valid JSON", id="nested"),
        pytest.param(b" " * 300_000 + b"{}", "its body is far too large", id="large"),
    ],
)
def test_says_what_is_wrong_with_a_body(body: bytes, words: str) -> None:
    """Both endpoints alike."""
    assert problem(read_token_answer(200, {}, body)).startswith(words)
    assert problem(read_payment_answer(200, {}, body)).startswith(words)


def test_a_compressed_grant_is_none() -> None:
    """What we did not ask for we do not unpack."""
    outcome = read_token_answer(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")
    assert problem(outcome).startswith("its body is compressed")


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        pytest.param(None, None, id="missing"),
        pytest.param("", (), id="none"),
        pytest.param(" a  b\ta ", ("a", "b"), id="blanks and repetitions"),
        pytest.param(["a"], None, id="no string"),
        pytest.param("a \x1b[2J ö b", ("a", "b"), id="no names"),
    ],
)
def test_reads_scopes(scope: object, scopes: tuple[str, ...] | None) -> None:
    """Names of visible ASCII, each once; None when USPS names none."""
    outcome = token(scope=scope)
    assert isinstance(outcome, Grant)
    assert outcome.scopes == scopes


@pytest.mark.parametrize(
    "changes", [{"token_type": None}, {"token_type": "bEARER"}, {"status": None}, {"status": 3}]
)
def test_what_may_be_missing(changes: dict[str, Any]) -> None:
    """Only the token and its life are needed."""
    assert life(token(**changes)) == 28_799


def test_no_detail_shows_the_token() -> None:
    """Not even when the token is what is wrong."""
    canary = "canary-Zm9vYmFy " + LIVE
    outcome = token(access_token=canary)
    assert "Zm9v" not in repr(outcome)


@given(st.binary(max_size=300), st.integers(0, 999), st.dictionaries(st.text(), st.text()))
def test_never_raises(body: bytes, status: int, headers: dict[str, str]) -> None:
    """Whatever comes, there is a grant or a failure, and the failure is short."""
    for read in (read_token_answer, read_payment_answer):
        outcome = read(status, headers, body, [Secret("a secret")])
        assert isinstance(outcome, Grant | Failure)
        if isinstance(outcome, Failure):
            assert 0 < len(outcome.detail) <= 300
            assert outcome.fix


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


@given(numbers, numbers, numbers)
def test_a_life_is_always_a_life(expires_in: object, issued: object, expires: object) -> None:
    """Above zero, finite, and never above eight hours."""
    body = token_answer(access_token=jwt(iat=issued, exp=expires), expires_in=expires_in)
    outcome = read_token_answer(200, {}, json.dumps(body).encode())
    if isinstance(outcome, Grant):
        assert 0 < outcome.life_seconds <= 28_800


@pytest.mark.parametrize("echo", [CLIENT_SECRET, f"x{CLIENT_SECRET.lower()}", B64_SECRET])
def test_a_token_that_holds_the_client_secret_is_none(echo: str) -> None:
    """It would be handed to workers, who never get the secret."""
    answer = json.dumps(token_answer(access_token=f"a.{echo}.c")).encode()
    said = problem(read_token_answer(200, {}, answer, [Secret(CLIENT_SECRET)]))
    assert said == "access_token holds the client secret, which is for no worker"


@pytest.mark.parametrize("echo", [CLIENT_SECRET, CLIENT_SECRET.upper(), f"x:{B64_SECRET}"])
def test_a_scope_that_holds_the_client_secret_is_left_out(echo: str) -> None:
    """Scopes are shown to whoever may have the token; the others stand."""
    answer = json.dumps(token_answer(scope=f"labels {echo} payments")).encode()
    outcome = read_token_answer(200, {}, answer, [Secret(CLIENT_SECRET)])
    assert isinstance(outcome, Grant)
    assert outcome.scopes == ("labels", "payments")
