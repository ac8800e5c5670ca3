"""A secret is found however a text may write it, and nothing else is."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usps_token_broker.core.values import Secret
from usps_token_broker.wire.disguises import find, holds
from usps_token_broker.wire.redaction import MARK, redact

PLAIN = "aB3/dE-fG+7_hJ9k"
"""As long as the shortest consumer secrets of USPS, with what every encoding has a way with."""
ODD = 'pä"ss w<o&r😀d'


def percent(text):
    return "".join(f"%{byte:02x}" for byte in text.encode())


def escaped(text):
    units = text.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def b64(text):
    return base64.b64encode(text.encode()).decode()


def b64url(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


WAYS = {
    "as it is": lambda text: text,
    "in capitals": str.upper,
    "in small letters": str.lower,
    "percent-encoded where it must be": lambda text: quote(text, safe=""),
    "percent-encoded, small digits": lambda text: quote(text, safe="").lower(),
    "percent-encoded throughout": percent,
    "percent-encoded in places": lambda text: text[:3] + percent(text[3:6]) + text[6:],
    "percent-encoded twice": lambda text: quote(percent(text)),
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON with slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "in JSON, every character escaped": escaped,
    "in JSON within JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "in JSON, percent-encoded": lambda text: escaped(percent(text)),
    "as HTML": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "as HTML, in hex": lambda text: "".join(f"&#x00{ord(char):X};" for char in text),
    "in a string of C": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode("ascii")),
    "base64": b64,
    "base64 for URLs": b64url,
    "base64, percent-encoded": lambda text: quote(b64(text), safe=""),
    "base64 in JSON": lambda text: b64(text).replace("/", "\\/"),
    "base64 in small letters": lambda text: b64(text).lower(),
    "base64 in two lines": lambda text: f"{b64(text)[:9]}\n{b64(text)[9:]}",
    "Basic of an id of 1": lambda text: b64(f"i:{text}"),
    "Basic of an id of 2": lambda text: b64(f"id:{text}"),
    "Basic of an id of 3": lambda text: b64(f"ids:{text}"),
    "base64 amidst a body": lambda text: b64(f"client_secret={text}&grant_type=x"),
    "hex": lambda text: text.encode().hex(),
    "hex in capitals": lambda text: text.encode().hex().upper(),
}

ONE_WAY = {"in a string of C", "in capitals", "in small letters", "percent-encoded in places"}
"""Not for any secret: of a text half of which is encoded nobody can tell what was meant."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("secret", [PLAIN, ODD])
def test_a_secret_is_taken_out_however_it_is_written(way, secret):
    """Whole, with nothing left of it but the mark."""
    if way == "in a string of C" and not secret.isascii():
        secret = secret.encode("ascii", "ignore").decode()
    text = redact(f"got: {WAYS[way](secret)} !", [Secret(secret)])
    assert text == f"got: {MARK} !"


@pytest.mark.parametrize(
    ("way", "fewest"),
    [
        ("as it is", 4),
        ("percent-encoded throughout", 12),
        ("percent-encoded twice", 20),
        ("in JSON, every character escaped", 24),
        ("in JSON, percent-encoded", 72),
        ("as HTML, in hex", 32),
        ("base64", 12),
        ("base64 for URLs", 12),
        ("hex", 12),
    ],
)
def test_the_first_part_of_a_secret_at_the_end_of_a_text_is_taken_out(way, fewest):
    """An answer that breaks off, at whatever character: a few are left at most."""
    written = WAYS[way](PLAIN)
    for end in range(len(written)):
        assert written[:fewest] not in redact(f"no: {written[:end]}", [Secret(PLAIN)])


@pytest.mark.parametrize(
    "text",
    [
        "Client secret is invalid",
        "client_id=aB3 is unknown",
        "%41%42 \\u0041 &#65; &amp; \\x41 \\",
        "https://developers.usps.com/%E2%82%AC?a=b+c",
        "%ff%fe \\ud800 &#99999999; &#x110000; \\u12 %4",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(text):
    """Escapes of other things, whole and broken."""
    assert redact(text, [Secret(PLAIN), Secret(ODD)]) == text
    assert not holds(text, [Secret(PLAIN)])


@pytest.mark.parametrize("short", ["", "a", "abc", "+-+-"])
def test_what_is_too_short_to_be_a_secret_is_not_looked_for(short):
    """It would be found in every word."""
    assert find("abc +-+- a", [Secret(short)]) == []


def test_spans_are_in_order_and_apart():
    """Two secrets of which one holds the other are one span."""
    text = "xx secret-of-mine yy secret zz"
    spans = find(text, [Secret("secret"), Secret("secret-of-mine")])
    assert [text[start:end] for start, end in spans] == ["secret-of-mine", "secret"]


@pytest.mark.parametrize("end", ["\\", "&", "%", "%25", "&amp;", "\\u005c", "%41", "\\\\x"])
def test_escapes_without_end_are_searched_too(end):
    """A USPS that is hostile sends what takes longest: layers and halves of escapes."""
    text = (end * 5000)[:5000]
    assert find(text, [Secret(PLAIN), Secret("z" * 1600)]) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_can_be_searched(text, secret):
    """No text of USPS and no secret of a shop makes it raise, and spans lie within."""
    for start, end in find(text, [Secret(secret)]):
        assert 0 <= start < end <= len(text)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=16, max_size=64),
    st.sampled_from(sorted(set(WAYS) - ONE_WAY)),
    st.sampled_from(["", "x", "Basic ", "?secret=", '{"a": "']),
)
def test_any_secret_is_found_in_any_writing(secret, way, before):
    """Whatever a password generator makes."""
    if len(secret.replace("+", "").replace("-", "")) >= 8:
        assert holds(before + WAYS[way](secret), [Secret(secret)])
