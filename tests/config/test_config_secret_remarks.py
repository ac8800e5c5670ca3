"""What lies where the secret should, and is hardly one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.config.secret_remarks import remark, stand_in
from usps_token_broker.core.values import Secret

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"aB3dEf"', "quotes"),
        ("'aB3dEf'", "quotes"),
        ("client_secret=aB3dEf", "name before it"),
        ("export USPS_CLIENT_SECRET=aB3dEf", "name before it"),
        ('"client_secret": "aB3dEf', "name before it"),
        ('{"client_secret": "aB3dEf"}', "JSON"),
        ("eyJhbGciOi.eyJzdWIi.abc", "token"),
        ("the-key", "client id"),
        ("YOUR_CLIENT_SECRET", "example"),
        ("<consumer secret>", "example"),
        ("changeme", "example"),
        ("${USPS_CLIENT_SECRET}", "example"),
    ],
)
def test_what_is_hardly_a_secret_is_told_without_showing_it(text: str, words: str) -> None:
    """USPS would say invalid_client, and nothing more."""
    told = remark(Secret(text), "the-key")
    assert told is not None
    assert words in told
    assert "aB3dEf" not in told


@given(st.text(ALPHABET, min_size=16, max_size=64).filter(lambda text: any(map(str.isdigit, text))))
def test_what_looks_like_a_secret_is_let_be(text: str) -> None:
    """USPS's are letters and digits."""
    assert remark(Secret(text), "the-key") is None


@pytest.mark.parametrize("text", ["my_gma9yU5z8IooA", "the-id", "demo-client-id", "xyz"])
def test_what_may_be_real_is_no_example(text: str) -> None:
    """A warning that is always there is not read."""
    assert not stand_in(text)
