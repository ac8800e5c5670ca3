"""Query strings: spans as people, programs and JSON write them, and their bounds."""

import pytest

from usps_token_broker.app import queries
from usps_token_broker.config.apps import _BUFFER
from usps_token_broker.wire import keys
from usps_token_broker.wire.operations import OPERATIONS
from usps_token_broker.wire.problems import BadRequestError

SPANS = [
    pytest.param(operation, key, id=f"{operation.name}-{key.name}")
    for operation in OPERATIONS
    for key in operation.query
    if key.is_span
]


def read(operation, key, text):
    return getattr(queries.read({key.name: text}, operation.query), key.name)


@pytest.mark.parametrize(("operation", "key"), SPANS)
def test_a_span_may_be_as_long_as_the_document_says(operation, key):
    """And no longer; the refusal says how long, and what to do instead."""
    assert read(operation, key, f"{key.most}") == key.most
    with pytest.raises(
        BadRequestError, match=f"`{key.name}` is at most {key.most:g} seconds"
    ) as no:
        read(operation, key, f"{key.most + 0.5}")
    assert key.too_much.encode() in no.value.reply.body


@pytest.mark.parametrize("text", ["0", "0.0", "5e-324", "1e-05", "2.2250738585072014e-308", "1E+1"])
def test_a_span_may_be_written_as_json_writes_numbers(text):
    """Whatever a program makes of a small one."""
    (operation, key) = SPANS[0].values
    assert read(operation, key, text) == float(text)


@pytest.mark.parametrize("text", ["", "-1", "1_0", "infinity", "nan", "0x10", " 1", "1e", "1e9999"])
def test_a_span_is_written_in_no_other_way(text):
    """The refusal says how to write it."""
    (operation, key) = SPANS[0].values
    with pytest.raises(BadRequestError, match="is not a number of seconds"):
        read(operation, key, text)


def test_no_buffer_is_longer_than_min_valid_may_be():
    """What the configuration takes is what the document promises."""
    assert _BUFFER.high == keys.LONGEST_BUFFER_SECONDS


def test_what_is_not_given_is_what_the_document_says():
    """The default of each span, and nothing for a name."""
    query = queries.read({}, (keys.WAIT, keys.APP))
    assert query.wait == keys.WAIT.default == keys.PROOF_WAIT.default
    assert query.app is None
