"""The state as bytes and back: nothing lost, nothing quoted."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usps_token_broker.core.outcomes import FailureKind
from usps_token_broker.core.state import (
    SavedSlot,
    SavedState,
    SavedToken,
    SavedTrouble,
    SavedWindow,
)
from usps_token_broker.core.values import Endpoint, Now, Phase, Secret
from usps_token_broker.wire import state as wire_state

CANARY = "canary-5e1f"
instants = st.floats(allow_nan=False, allow_infinity=False, width=64)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
tokens = st.builds(
    SavedToken,
    value=st.builds(Secret, st.text(string.ascii_letters, max_size=40)),
    serial=st.integers(0, 2**60),
    token_type=words,
    sent_boot_at=instants,
    sent_wall_at=instants,
    life_seconds=instants,
    renew_at=instants,
    scopes=st.none() | st.lists(words, max_size=3).map(tuple),
    by_wall=st.booleans(),
    life_is_assumed=st.booleans(),
)
troubles = st.builds(
    SavedTrouble,
    kind=st.sampled_from(FailureKind),
    code=words,
    detail=words,
    fix=words,
    since_at=instants,
    last_at=instants,
    times=st.integers(0, 2**40),
)
slots = st.builds(
    SavedSlot,
    app=words,
    host=words,
    client_id=words,
    name=words,
    basis=words,
    phase=st.sampled_from(Phase),
    bucket_level=instants,
    bucket_filled_at=instants,
    token=st.none() | tokens,
    trouble=st.none() | troubles,
)
windows = st.builds(
    SavedWindow,
    host=words,
    client_id=words,
    endpoint=st.sampled_from(Endpoint),
    sent_at=st.lists(instants, max_size=4).map(tuple),
    floor_at=instants,
)
states = st.builds(
    SavedState,
    boot_id=words,
    saved_at=st.builds(Now, instants, instants),
    last_serial=st.integers(0, 2**60),
    slots=st.lists(slots, max_size=3).map(tuple),
    windows=st.lists(windows, max_size=3).map(tuple),
)


def example():
    token = SavedToken(Secret(CANARY), 5, "Bearer", 1.0, 2.0, 3.0, 4.0, ("labels",))
    slot = SavedSlot("default", "h", "id", "bearer", "basis", Phase.IDLE, 4.0, 0.0, token)
    return SavedState("boot", Now(1.0, 2.0), 5, (slot,))


@settings(deadline=None)
@given(states)
def test_a_state_comes_back_as_it_was(state):
    """To the last bit of its numbers."""
    assert wire_state.decode(wire_state.encode(state)) == state


def test_the_token_is_in_the_bytes_and_nowhere_else():
    """They are for a file of mode 0600; what is decoded does not show it again."""
    payload = wire_state.encode(example())
    assert CANARY.encode() in payload
    assert CANARY not in repr(wire_state.decode(payload))


def test_fields_of_a_later_version_are_ignored():
    """Going back a version loses no token."""
    said = json.loads(wire_state.encode(example()))
    said["later"] = {"a": 1}
    said["slots"][0]["later"] = 1
    said["slots"][0]["token"]["later"] = [1]
    assert wire_state.decode(json.dumps(said).encode()) == example()


def test_fields_that_an_earlier_version_did_not_write_have_defaults():
    """Going forward a version loses no token either."""
    said = json.loads(wire_state.encode(example()))
    for key in ("reported", "guard_until_at", "trouble", "refused_bearer"):
        del said["slots"][0][key]
    del said["windows"]
    assert wire_state.decode(json.dumps(said).encode()) == example()


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(last_serial=CANARY),
        lambda said: said.update(saved_at=CANARY),
        lambda said: said["slots"][0].update(phase=CANARY),
        lambda said: said["slots"][0]["token"].update(value=5),
        lambda said: said["slots"][0]["token"].update(value=None),
        lambda said: said["slots"][0]["token"].pop("value"),
        lambda said: said["slots"][0].update(token=[CANARY]),
        lambda said: said.pop("boot_id"),
    ],
)
def test_what_makes_no_sense_is_said_without_quoting_it(change):
    """The reason ends up in the log."""
    said = json.loads(wire_state.encode(example()))
    change(said)
    with pytest.raises(ValueError, match=r"\$|Object|Expected") as caught:
        wire_state.decode(json.dumps(said).encode())
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_state_or_a_value_error(payload):
    """A disk may hold anything."""
    with pytest.raises(ValueError, match=r"malformed|truncated|Expected|missing|UTF-8"):
        wire_state.decode(payload)


def test_deep_nesting_is_a_value_error():
    """And no exhausted stack."""
    with pytest.raises(ValueError, match=r"recursion|Expected|truncated"):
        wire_state.decode(b'{"slots":' + b"[" * 500_000)


def test_what_is_no_part_of_the_state_is_not_written():
    """A slip in the core must not write an object's repr where a token belongs."""
    with pytest.raises(NotImplementedError, match="no place in the state"):
        wire_state._encode_secret(object())
