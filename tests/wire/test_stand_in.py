"""Requests in USPS's form taken apart, whatever they hold; answers that show no secret."""

import contextlib
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.core.values import Secret
from usps_token_broker.wire import stand_in
from usps_token_broker.wire.stand_in import UnreadableError
from usps_token_broker.wire.usps import Shape, parse_error

FIELDS = {"grant_type": "client_credentials", "client_id": "an-id", "client_secret": "a+b/c=&d"}


@pytest.mark.parametrize(
    "body", [json.dumps(FIELDS), urlencode(FIELDS), f"\n {json.dumps(FIELDS)}"]
)
def test_both_forms_are_read(body):
    """With what must be escaped in them."""
    found = stand_in.read_credentials({}, body.encode())
    assert (found.grant_type, found.client_id, found.by_basic) == (
        "client_credentials",
        "an-id",
        False,
    )
    assert found.secret == Secret("a+b/c=&d")


def test_credentials_do_not_show_their_secret():
    """A repr ends up in logs."""
    assert "a+b" not in repr(stand_in.read_credentials({}, urlencode(FIELDS).encode()))


def test_what_is_no_text_is_as_good_as_not_there():
    """A number is no secret."""
    found = stand_in.read_credentials({}, b'{"client_id": 1, "client_secret": ["a"]}')
    assert (found.client_id, found.secret, found.grant_type) == ("", Secret(""), "")


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body, authorization):
    """And nothing else is raised."""
    headers = {b"authorization": authorization}
    with contextlib.suppress(UnreadableError):
        stand_in.read_credentials(headers, body)
    with contextlib.suppress(UnreadableError):
        stand_in.read_roles(body)
    stand_in.read_bearer(headers)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists))
def test_any_json_is_roles_or_refused(value):
    """A list of objects that is not empty, or not."""
    try:
        roles = stand_in.read_roles(json.dumps({"roles": value}).encode())
    except UnreadableError:
        return
    assert roles == value
    assert all(isinstance(role, dict) for role in roles)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer abc", "abc"),
        (b"bearer  abc ", "abc"),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Basic abc", None),
        (b"abc", None),
        (b"", None),
    ],
)
def test_a_bearer_is_that_of_the_header(header, token):
    """In any case of the scheme."""
    found = stand_in.read_bearer({b"authorization": header})
    assert found == (None if token is None else Secret(token))


def test_refusals_are_taken_for_those_of_usps():
    """By the parser that reads USPS's own."""
    of_token = parse_error(stand_in.wrong_key(by_basic=False).body)
    of_payment = parse_error(stand_in.wrong_bearer().body)
    assert (of_token.shape, of_token.code) == (Shape.OAUTH, "invalid_client")
    assert (of_payment.shape, of_payment.code) == (Shape.API, "401")


@pytest.mark.parametrize(
    ("seconds", "header"),
    [
        (None, "60"),
        (0.0, "1"),
        (0.2, "1"),
        (12.1, "13"),
        (float("inf"), "60"),
        (float("nan"), "60"),
    ],
)
def test_retry_after_is_a_whole_number_of_seconds(seconds, header):
    """At least one; a minute where nobody knows."""
    assert stand_in.retry_after(seconds) == {"Retry-After": header}
