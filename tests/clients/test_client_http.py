"""The bytes of one question and its answer."""

from __future__ import annotations

import pytest

from usps_token_client import ProtocolMismatch
from usps_token_client._http import AnswerReader, message, quoted, target

ANSWER = b'HTTP/1.1 200 OK\r\nETag: "7"\r\nX-Two:  spaced \r\nContent-Length: 5\r\n\r\nhello'


def read(*pieces, end=False):
    reader = AnswerReader()
    for piece in pieces:
        reader.feed(piece)
    if end:
        reader.end()
    return reader.answer


def test_an_answer_in_one_piece():
    """Status, headers in lower case and without blanks, and the body."""
    answer = read(ANSWER)
    assert answer.status == 200
    assert answer.headers == {"etag": '"7"', "x-two": "spaced", "content-length": "5"}
    assert answer.body == b"hello"


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_an_answer_cut_anywhere(cut):
    """Two pieces, wherever the cut is, make the same answer."""
    answer = read(ANSWER[:cut], ANSWER[cut:])
    assert (answer.status, answer.body) == (200, b"hello")


def test_an_answer_byte_by_byte():
    """So do pieces of one byte."""
    assert read(*(bytes([byte]) for byte in ANSWER)).body == b"hello"


@pytest.mark.parametrize("length", range(len(ANSWER)))
def test_an_answer_that_ends_too_soon_is_a_passing_trouble(length):
    """A connection that ends before the answer does is told, and may be tried again."""
    with pytest.raises(ProtocolMismatch) as caught:
        read(ANSWER[:length], end=True)
    assert caught.value.code == "cut_answer"
    assert caught.value.passing


def test_what_comes_after_the_answer_is_ignored():
    """Bytes behind the announced length belong to nobody."""
    assert read(ANSWER + b"more").body == b"hello"
    assert read(ANSWER, b"more", end=True).body == b"hello"


def test_bare_line_feeds_are_understood():
    """Lines may end with a line feed alone (RFC 9112, 2.2)."""
    assert read(b"HTTP/1.0 200 OK\nContent-Length: 2\n\nhi").body == b"hi"


def test_no_reason_phrase_is_needed():
    """`HTTP/1.1 200` alone is a status line."""
    assert read(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").status == 200


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status):
    """204 and 304 end with their head, whatever Content-Length says (RFC 9112, 6.3)."""
    answer = read(f"HTTP/1.1 {status} X\r\nContent-Length: 10\r\n\r\n".encode())
    assert (answer.status, answer.body) == (status, b"")


def test_without_a_length_the_connection_ends_the_body():
    """The last resort of RFC 9112, 6.3."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    assert read(head, b"he", b"llo") is None
    assert read(head, b"he", b"llo", end=True).body == b"hello"


def test_the_same_length_twice_is_harmless():
    """Equal Content-Length headers are one (RFC 9112, 6.3); other headers: the last counts."""
    answer = read(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\nA: 1\r\nA: 2\r\n\r\nx"
    )
    assert (answer.body, answer.headers["a"]) == (b"x", "2")


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"http/1.1 200", b"HTTP/2", b"\r\n", b"220 "])
def test_what_is_not_http_is_told_from_its_first_bytes(first):
    """Nobody waits for the end of something that will never be an answer."""
    with pytest.raises(ProtocolMismatch, match="does not speak HTTP"):
        read(first)


def test_an_answer_is_bounded():
    """A head or body without end is refused at a megabyte."""
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(15):
        reader.feed(b"x" * 65536)
    with pytest.raises(ProtocolMismatch, match="longer than"):
        reader.feed(b"x" * 65536)


def test_an_answer_does_not_print_its_body():
    """A token in a body does not get into a log by way of a repr."""
    assert "hello" not in repr(read(ANSWER))


def test_a_request_is_closed_after():
    """Each question says that it is the only one on its connection."""
    request = message("GET", "/v1/x", etag='"7"')
    assert request.startswith(b"GET /v1/x HTTP/1.1\r\nHost: ")
    assert b'\r\nIf-None-Match: "7"\r\n' in request
    assert b"\r\nConnection: close\r\n" in request
    assert request.endswith(b"\r\n\r\n")


def test_a_body_is_announced():
    """A request with a body has its length and type."""
    request = message("POST", "/v1/x", body=b"{}")
    assert b"Content-Length: 2\r\n" in request
    assert request.endswith(b"\r\n\r\n{}")


def test_targets_cannot_smuggle():
    """Whatever is in a name, the target stays one word of ASCII."""
    where = target("/v1/x", {"app": "a b\r\n&=?#é\udc80", "none": None, "wait": 10})
    assert where == "/v1/x?app=a%20b%0D%0A%26%3D%3F%23%C3%A9%80&wait=10"
    assert quoted("az-AZ_09.~/") == "az-AZ_09.~%2F"
