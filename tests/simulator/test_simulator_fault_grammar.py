"""Faults can be written in one line or in JSON, and what does not fit is explained."""

import contextlib
import random

import pytest

from usps_token_broker.simulator import FAULTS, Api, Fault, FaultError
from usps_token_broker.simulator.fault_table import Choice, Number, table_text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hang", Fault("hang")),
        ("hangx3", Fault("hang", count=3)),
        ("delay=2", Fault("delay", 2)),
        ("delay=.5@token", Fault("delay", 0.5, endpoint="token")),
        ("rate_limited=30@tokenx2", Fault("rate_limited", 30, endpoint=Api.TOKEN, count=2)),
        ("unavailable=none", Fault("unavailable")),
        (
            "reset@payment-authorizationx1/9.5s",
            Fault("reset", endpoint=Api.PAYMENT, count=1, for_seconds=9.5),
        ),
        ("hang@all/20s", Fault("hang", for_seconds=20)),
        ("redirect_307=http://127.0.0.1:9/x", Fault("redirect_307", "http://127.0.0.1:9/x")),
        ("account_state=100007", Fault("account_state", "100007")),
        ("  html=403\n", Fault("html", 403)),
    ],
)
def test_a_fault_is_one_line(text, fault):
    """NAME[=VALUE][@ENDPOINT][xCOUNT][/SECONDSs]."""
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "taught"),
    [
        ("", "NAME"),
        ("=3", "NAME"),
        ("hang@", "NAME"),
        ("delay = 3", "NAME"),
        ("hangx", "there is no fault 'hangx'; there are: delay, hang"),
        ("slow", "there is no fault 'slow'; there are: delay, hang"),
        ("hang=3", "takes no value"),
        ("delay=long", "a number from 0"),
        ("delay=-1", "a number from 0"),
        ("delay=nan", "a number from 0"),
        ("delay=1e999", "a number from 0"),
        ("html=99", "a number from 200 to 599"),
        ("invalid_client=typo", "one of unknown_key, wrong_secret"),
        ("invalid_client@labels", "it has: token, all"),
        ("hang@prices", "it has: token, payment-authorization, addresses, labels, all"),
        ("hangx0", "whole number from 1"),
        ("hang/0s", "for_seconds"),
    ],
)
def test_a_line_that_does_not_fit_is_explained(text, taught):
    """The text of the error says what would fit."""
    with pytest.raises(FaultError) as caught:
        Fault.parse(text)

    assert taught in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "taught"),
    [
        ({}, "there is no fault None"),
        ({"name": ["hang"]}, "there is no fault"),
        ({"name": "hang", "times": 3}, "unknown key 'times'; a fault has: name, value"),
        ({"name": "delay", "value": [1]}, "neither a number nor a text"),
        ({"name": "delay", "value": True}, "a number from 0"),
        ({"name": "delay", "value": 10**400}, "a number from 0"),
        ({"name": "redirect", "value": "a\r\nb"}, "printable ASCII text"),
        ({"name": "redirect", "value": ""}, "printable ASCII text"),
        ({"name": "redirect", "value": 3}, "printable ASCII text"),
        ({"name": "hang", "count": "3"}, "whole number from 1"),
        ({"name": "hang", "count": True}, "whole number from 1"),
        ({"name": "hang", "count": 1.5}, "whole number from 1"),
        ({"name": "hang", "for_seconds": "3"}, "not a number"),
        ({"name": "hang", "endpoint": 3}, "it has: token"),
    ],
)
def test_json_that_does_not_fit_is_explained(fields, taught):
    """The same for decoded JSON."""
    with pytest.raises(FaultError) as caught:
        Fault.from_fields(fields)

    assert taught in str(caught.value)


@pytest.mark.parametrize("kind", FAULTS.values(), ids=lambda kind: kind.name)
def test_the_default_of_a_fault_is_a_value_of_it(kind):
    """What the table gives where nothing is said could have been said."""
    if kind.value is not None:
        assert kind.value.read(kind.value.default) == kind.value.default


@pytest.mark.parametrize("kind", FAULTS.values(), ids=lambda kind: kind.name)
def test_limits_and_words_of_a_fault_are_values_of_it(kind):
    """Both ends of a range, and each of the words."""
    if isinstance(kind.value, Number):
        ends = (kind.value.least, kind.value.most)
        assert [Fault(kind.name, end).value for end in ends] == list(ends)
    elif isinstance(kind.value, Choice):
        assert [Fault(kind.name, word).value for word in kind.value.options]


def test_the_table_for_people_names_every_fault():
    """Help and index are made of it, with values and defaults."""
    text = table_text()

    assert all(f"  {name}" in text for name in FAULTS)
    assert "rate_limited=RETRY_AFTER" in text
    assert max(len(line) for line in text.splitlines()) <= 96


def test_the_value_of_a_wordy_fault_is_no_number():
    """Asking for it is a mistake of the caller's."""
    with pytest.raises(TypeError, match="not a number"):
        _ = Fault("redirect").number


@pytest.mark.parametrize("seed", range(20))
def test_no_text_breaks_the_grammar(seed):
    """Any text is a fault or explained."""
    chance = random.Random(seed)
    pieces = [*FAULTS, "=", "@", "x", "/", "s", "1", "9", ".", "-", "token", "all", "é", "\0", " "]
    for _ in range(500):
        text = "".join(chance.choices(pieces, k=chance.randrange(8)))
        with contextlib.suppress(FaultError):
            assert Fault.parse(text).name in FAULTS
