"""Tokens, headers, verdicts and errors as values: immutable, silent, copied and pickled well."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback

import pytest

import usps_token_client
from usps_token_client import (
    BrokerError,
    BrokerTimeout,
    Headers,
    NoPermission,
    Token,
    TokenDenied,
    Verdict,
    _errors,
)

SECRET = "eyJhbGciOiJSUzI1NiJ9.SECRET.signature"


@pytest.fixture
def token():
    return Token(SECRET, serial=7, expires_at=1e9, scopes=["labels"], app="default")


@pytest.fixture
def headers():
    return Headers(
        {"Authorization": f"Bearer {SECRET}", "X-Payment-Authorization-Token": SECRET},
        serials={"bearer": 7, "payment": 8},
        payment="default",
    )


@pytest.fixture
def verdict(headers):
    return Verdict(
        code="dead_token", detail="d", fix="f", retry=True, outcome="renewed", headers=headers
    )


def printed(value):
    percent = "%s %r"
    return [
        str(value),
        repr(value),
        f"{value}",
        f"{value:>80}",
        percent % (value, value),
        f"{[value]}",
    ]


@pytest.mark.parametrize("name", ["token", "headers", "verdict"])
def test_printing_shows_no_token(name, request):
    """No way of formatting a value shows the secret in it."""
    value = request.getfixturevalue(name)
    for text in printed(value):
        assert "SECRET" not in text


def test_logging_shows_no_token(token, headers, caplog):
    """Nor does logging it, as text or as an argument."""
    logging.getLogger("t").warning("%s %r %s", token, headers, {"h": headers})
    assert "SECRET" not in caplog.text


def test_a_token_says_which_it_is(token):
    """The printed form names slot and serial."""
    assert repr(token) == "<Token bearer, serial 7, value hidden>"


@pytest.mark.parametrize("name", ["value", "serial", "degraded", "new"])
def test_a_token_does_not_change(token, name):
    """Neither setting nor deleting an attribute is possible."""
    with pytest.raises(AttributeError):
        setattr(token, name, 1)
    with pytest.raises(AttributeError):
        delattr(token, name)
    assert not hasattr(token, "__dict__")


def test_tokens_are_equal_by_what_they_are(token):
    """Same slot, serial and value: equal, and equal hashes."""
    same = Token(SECRET, serial=7, expires_at=2e9)
    assert token == same
    assert hash(token) == hash(same)
    assert token != Token(SECRET, serial=8, expires_at=1e9)
    assert token != SECRET


@pytest.mark.parametrize("name", ["token", "verdict"])
def test_a_value_with_a_token_is_not_pickled(name, request):
    """What holds a token does not end up in a queue or a cache file."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(request.getfixturevalue(name))


@pytest.mark.parametrize("name", ["token", "verdict"])
def test_a_copy_of_an_unchanging_value_is_itself(name, request):
    """copy and deepcopy give the same object."""
    value = request.getfixturevalue(name)
    assert copy.copy(value) is value
    assert copy.deepcopy([value])[0] is value


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, Headers.copy])
def test_a_copy_of_headers_has_all_of_it_and_is_apart(headers, way):
    """Copies keep the serials, and may be changed."""
    again = way(headers)
    assert (again, again.serials, again.payment) == (headers, headers.serials, "default")
    again["Accept"] = "application/json"
    assert "Accept" not in headers


def test_headers_are_a_dict(headers):
    """Any HTTP library takes them."""
    assert isinstance(headers, dict)
    assert {**headers} == dict(headers)


ERRORS = [
    kind
    for kind in vars(_errors).values()
    if isinstance(kind, type) and issubclass(kind, BrokerError)
]


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e)), BrokerError.again]
)
def test_errors_survive_pickle_and_copy(kind, way):
    """Type, text and every attribute come through."""
    error = kind("what", fix="do", code="c", retry_after=1.5, permanent=True, status=503)
    if isinstance(error, TokenDenied):
        error.next_attempt_at = 2.0
    again = way(error)
    assert again is not error
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert (str(again), again.args) == (str(error), error.args)


class Odd(TokenDenied):
    """Somebody's own subclass, with a constructor of its own."""

    def __init__(self, order, detail):
        super().__init__(detail, code="odd")
        self.order = order


def test_a_subclass_with_other_arguments_survives_pickle():
    """Pickling does not depend on the constructor."""
    again = pickle.loads(pickle.dumps(Odd(7, "what")))
    assert (again.order, again.detail, again.code) == (7, "what", "odd")


def test_another_thread_s_error_has_a_traceback_of_its_own():
    """`again` shows nothing of where the first one was raised."""
    with pytest.raises(BrokerTimeout) as caught:
        raise BrokerTimeout("what")
    assert caught.value.__traceback__ is not None
    assert caught.value.again().__traceback__ is None


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not BrokerError])
def test_every_error_is_public_and_in_the_tree(kind):
    """The tree at the head of the module names each class, and the package exports it."""
    assert kind.__name__ in _errors.__doc__
    assert getattr(usps_token_client, kind.__name__) is kind
    assert kind.__name__ in usps_token_client.__all__


def test_an_error_says_what_and_what_to_do():
    """The text has the detail, the code and the fix."""
    error = NoPermission("you may not", fix="ask the administrator", code="forbidden")
    assert str(error) == "you may not [forbidden]; ask the administrator"
    assert str(BrokerTimeout("too late")) == "too late [timed_out]"


def test_a_traceback_through_the_client_shows_no_token(token, headers):
    """Frames that hold tokens print as reprs only; those are silent."""
    try:
        [token, headers].index(0)
    except ValueError as error:
        text = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    assert "value hidden" in text
    assert "SECRET" not in text


def test_all_names_are_there():
    """Each exported name exists, the lazily imported one too."""
    for name in usps_token_client.__all__:
        assert getattr(usps_token_client, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        usps_token_client.nothing_such  # noqa: B018 - the access is the test
