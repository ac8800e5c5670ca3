"""Local keys: what of a secret is kept, and which key a secret is."""

import msgspec
import pytest

from usps_token_broker.core.values import Secret
from usps_token_broker.wire.local_keys import LocalKey, decode, digest_of, encode, find


def made(name, secret):
    return LocalKey(name, f"utb{name}", digest_of(Secret(secret)), "default", ("bearer",), 1.5)


KEYS = (made("a", "the secret of a"), made("b", "the secret of b"))


def test_what_was_written_is_read():
    """All of it, in its order."""
    assert decode(encode(KEYS)) == KEYS
    assert decode(encode([])) == ()


def test_the_file_holds_no_secret():
    """Nor anything that opens: the digest is not taken for the secret."""
    content = encode(KEYS)
    assert b"the secret of" not in content
    assert find(KEYS, "utba", Secret(KEYS[0].digest)) is None


def test_id_and_secret_belong_together():
    """Each alone, or those of two keys, open nothing."""
    assert find(KEYS, "utba", Secret("the secret of a")) is KEYS[0]
    assert find(KEYS, "utbb", Secret("the secret of b")) is KEYS[1]
    for client_id, secret in (("utba", "the secret of b"), ("utba", ""), ("", "the secret of a")):
        assert find(KEYS, client_id, Secret(secret)) is None


def test_every_key_is_compared_whoever_asks():
    """So no clock tells whether an id is there: none is passed over, known or not."""

    seen = []

    def watched():
        for key in KEYS:
            seen.append(key.name)
            yield key

    for client_id in ("utba", "utbb", "utbnobody"):
        find(watched(), client_id, Secret("the secret of a"))
    assert seen == ["a", "b"] * 3


@pytest.mark.parametrize("text", ["", "é", "\ud800", "x" * 100_000])
def test_any_text_is_a_wrong_secret(text):
    """Halves of characters too."""
    assert find(KEYS, text, Secret(text)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"keys": []}',
        b'{"format": 2, "keys": []}',
        b'{"format": 1, "keys": [{"name": "CANARY"}]}',
        b'{"format": 1, "keys": [{"name": 1}]}',
        b"\xff\xfe",
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_file_of_keys_is_said_to_be_none(content):
    """And not quoted."""
    with pytest.raises(ValueError, match=r"it ha|it holds") as refused:
        decode(content)
    assert "CANARY" not in str(refused.value)


def test_unknown_fields_are_passed_over():
    """Those of a later version that has the same format."""
    known = msgspec.to_builtins(KEYS[0])
    content = msgspec.json.encode({"format": 1, "more": 1, "keys": [{**known, "more": 2}]})
    assert decode(content) == KEYS[:1]
