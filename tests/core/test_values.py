"""Secrets that cannot leak by accident, and the small values around them."""

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback

import pytest

from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Grant
from usps_token_broker.core.state import SavedToken
from usps_token_broker.core.values import (
    BEARER,
    PAYMENT,
    AccountId,
    Endpoint,
    Now,
    Secret,
    SlotId,
    Token,
)

VALUE = "eyJ-very-secret"
SECRET = Secret(VALUE)
TOKEN = Token(SECRET, 1, "Bearer", Now(0.0, 0.0), 28_800.0, 23_400.0)

HOLDERS = [
    SECRET,
    TOKEN,
    Grant(SECRET, 28_800.0),
    Fetch(SlotId("default", BEARER), 1, Endpoint.TOKEN, AccountId("host", "client"), SECRET),
    SavedToken(SECRET, 1, "Bearer", 0.0, 0.0, 28_800.0, 23_400.0, None),
    [SECRET],
    {"token": SECRET},
]
WAYS = {
    "str": str,
    "repr": repr,
    "ascii": ascii,
    "f-string": lambda value: f"{value}",
    "f-string with a width": lambda value: f"{value!s:>40}",
    "format": "{0} {0!r}".format,
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031 - the old way must not leak
    "pprint": pprint.pformat,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_a_secret_is_never_printed(holder, way):
    """However it is made text, and whatever it lies in, the value does not show."""
    text = WAYS[way](holder)
    assert VALUE not in text
    assert "Secret(" in text


def test_a_secret_is_formatted_with_any_spec_as_if_it_were_none():
    """A width or a precision cannot cut the value out of it."""
    assert f"{SECRET:.3}" == "Secret(…)"


@pytest.mark.parametrize(
    "way",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        lambda value: dataclasses.asdict(Grant(value, 1.0)),
        lambda value: json.dumps({"token": value}),
    ],
    ids=["pickle", "copy", "deepcopy", "asdict", "json"],
)
def test_a_secret_cannot_be_serialised_by_accident(way):
    """What would carry the value elsewhere raises, without quoting it."""
    with pytest.raises(TypeError) as caught:
        way(SECRET)
    assert VALUE not in str(caught.value)


def test_a_traceback_with_locals_does_not_show_a_secret():
    """Tools that print the local variables of a crash print no token."""

    def crash(token: Secret, holder: Token) -> None:
        raise RuntimeError("something else broke")

    with pytest.raises(RuntimeError) as caught:
        crash(SECRET, TOKEN)
    report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    text = "".join(report.format())
    assert "token = Secret(…)" in text
    # The last frame's own locals hold the bare value, as a test's must.
    assert VALUE not in text.replace(f"VALUE = '{VALUE}'", "")


def test_a_log_record_does_not_show_a_secret(caplog):
    """Neither the message nor its arguments."""
    logging.getLogger("test").warning("granted %s to %r", SECRET, TOKEN)
    assert VALUE not in caplog.text


def test_a_secret_has_no_dict_to_look_into():
    """`vars()`, which generic printers use, finds nothing."""
    with pytest.raises(TypeError):
        vars(SECRET)


def test_reveal_gives_the_value():
    """The one way to it."""
    assert SECRET.reveal() == VALUE


def test_secrets_are_equal_by_value():
    """Two of the same value are the same, and hash alike."""
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))


def test_secrets_of_other_values_differ():
    """As they must."""
    assert Secret("a") != Secret("b")


def test_a_secret_is_not_equal_to_its_bare_value():
    """So that no bare string is compared by mistake."""
    assert Secret("a") != "a"


def test_a_secret_of_odd_characters_can_be_compared():
    """A file may hold anything: a lone surrogate is no reason to crash."""
    assert Secret("\udc80") == Secret("\udc80")


def test_an_empty_secret_is_false():
    """So that "is there one" reads as it should."""
    assert not Secret("")
    assert Secret("a")


def test_a_fingerprint_is_stable_short_and_not_the_value():
    """It may be stored and compared in the open."""
    assert SECRET.fingerprint() == Secret(VALUE).fingerprint()
    assert len(SECRET.fingerprint()) == 24
    assert VALUE not in SECRET.fingerprint()


def test_a_fingerprint_depends_on_its_context():
    """The same secret under another client id is another credential."""
    assert SECRET.fingerprint("a") != SECRET.fingerprint("b")


def test_a_fingerprint_keeps_context_and_value_apart():
    """Moving a letter over the border gives another fingerprint."""
    assert Secret("bc").fingerprint("a") != Secret("c").fingerprint("ab")


def test_a_fingerprint_can_be_made_of_odd_characters():
    """As with comparing."""
    assert Secret("\udc80").fingerprint("\udc80")


def test_a_slot_knows_whether_it_is_the_bearer():
    """Only the name decides."""
    assert SlotId("default", BEARER).is_bearer
    assert not SlotId("default", PAYMENT).is_bearer


def test_a_slot_is_written_with_its_app():
    """As notes and wake-ups name it."""
    assert str(SlotId("shop", PAYMENT)) == "shop/payment"


def test_a_life_ends_counted_from_sending():
    """USPS cannot have started it earlier than we asked."""
    assert TOKEN.end_at == 28_800.0
