"""The reader of requests: what it makes of bytes does not depend on how they are cut."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from raw_http import get, post

from usps_token_broker.core.outcomes import Code
from usps_token_broker.drivers.server.limits import Limits
from usps_token_broker.drivers.server.parsing import RefusedError, RequestReader
from usps_token_broker.drivers.server.readers import Readers

LIMITS = Limits(head_bytes=512, body_bytes=256)


def read_all(data: bytes, cuts: list[int]) -> list[tuple]:
    """Every request in `data` fed in pieces, and whether it ends in a refusal.

    Not which: what is wrong in two ways is refused for the one that is seen first.
    """
    readers = Readers(LIMITS)
    found: list[tuple] = []
    reader = readers.take()
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    for start, end in pairwise(edges):
        piece, position = data[start:end], 0
        while position < len(piece):
            try:
                position = reader.feed(piece, position)
            except RefusedError:
                return [*found, ("refused",)]
            request = reader.request
            if request is not None:
                found.append(
                    (
                        request.method,
                        request.target,
                        tuple(request.headers.items()),
                        request.body,
                        request.persistent,
                        request.old,
                    )
                )
                if not request.persistent:
                    return found
                readers.give_back(reader)
                reader = readers.take()
    return found


# fmt: off
tokens = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n",
        b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"A: b\r\n", b"A:\r\n", b"A : b\r\n", b" b\r\n",
        b"\r\n", b"\n", b"\r", b"\0", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n",
        b"0\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /\r\n", b"x" * 200, b"\x16\x03\x01",
    ]
)
# fmt: on
messages = st.lists(tokens | st.binary(max_size=8), max_size=14).map(b"".join)


@given(messages, st.lists(st.integers(1, 400), max_size=8))
@example(b"GET / HTTP/1.1\r\n\r\n", [3])
@example(b"GET /\r\n\r\n", [7])
def test_cuts_change_nothing(data, cuts):
    """The same bytes give the same requests, and the same end, however they are cut."""
    assert read_all(data, cuts) == read_all(data, [])


@given(messages)
def test_single_bytes_change_nothing(data):
    """Bytes that come one by one are read as if they came at once."""
    assert read_all(data, list(range(len(data)))) == read_all(data, [])


@given(st.binary(max_size=2000), st.lists(st.integers(1, 2000), max_size=5))
def test_anything_is_read_or_refused(data, cuts):
    """No bytes make the reader fail in any other way than by refusing them."""
    read_all(data, cuts)


def test_no_byte_is_taken_beyond_the_request():
    """What follows a request is left for the next reader, whatever it looks like."""
    for first in (
        get(),
        post(b"abc"),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):
        reader = RequestReader(LIMITS)
        assert reader.feed(first + get("/next"), 0) == len(first)
        assert reader.request is not None


@pytest.mark.parametrize("body", [b"", b"\n" * 200, b"\r\n\r\n" * 50, b"0\r\n\r\n"])
def test_chunked_body_may_hold_anything(body):
    """Line breaks in a chunk are taken for what they are: its content."""
    raw = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw += b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    reader = RequestReader(LIMITS)
    assert reader.feed(raw + b"0\r\n\r\n" + get(), 0) == len(raw) + 5
    assert reader.request is not None
    assert reader.request.body == body


def test_reader_asks_for_no_continue_once_the_body_comes():
    """Whoever begins to send the body no longer waits to be told."""
    raw = post(b"abc", "Expect: 100-Continue")
    reader = RequestReader(LIMITS)
    reader.feed(raw[:-3], 0)
    assert reader.wants_continue
    reader.feed(b"a", 0)
    assert not reader.wants_continue


def test_old_client_is_not_told_to_continue():
    """HTTP/1.0 does not know 100 Continue (RFC 9110 10.1.1)."""
    raw = post(b"abc", "Expect: 100-continue").replace(b"1.1", b"1.0")
    reader = RequestReader(LIMITS)
    reader.feed(raw[:-3], 0)
    assert not reader.wants_continue


def test_reader_is_used_again_unless_it_cannot():
    """One reader reads for everybody; after a request that closes it is replaced."""
    readers = Readers(LIMITS)
    reader = readers.take()
    reader.feed(get(), 0)
    readers.give_back(reader)
    assert readers.take() is reader
    reader.feed(get("/", "Connection: close"), 0)
    readers.give_back(reader)
    assert readers.take() is not reader


@pytest.mark.parametrize(
    "lax",
    [
        lambda reader: reader.on_header(b"Content-Length ", b"3"),
        lambda reader: reader.on_header(b"", b"b"),
        lambda reader: (reader.on_message_complete(), reader.on_message_begin()),
        lambda reader: reader.on_url(b"/\xff"),
        lambda reader: reader.on_header(b"Content-Length", b"+3"),
        lambda reader: (
            reader.on_header(b"Transfer-Encoding", b"chunked"),
            reader.on_header(b"Content-Length", b"3"),
        ),
    ],
)
def test_what_an_older_parser_lets_pass_is_refused(lax):
    """The reader does not rely on httptools to be strict: releases differ in what they refuse."""
    reader = RequestReader(LIMITS)
    reader.feed(b"GET /", 0)
    lax(reader)
    with pytest.raises(RefusedError):
        reader.feed(b" HTTP/1.1\r\nA: b\r\n\r\n", 0)


def test_memo_is_bounded():
    """However many different requests come, few are remembered, and no long ones."""
    readers = Readers(LIMITS)
    reader = readers.take()
    reader.feed(get(), 0)
    for number in range(1000):
        readers.remember(b"%d" % number, reader.request)
    assert len(readers._requests) <= 256
    readers.remember(b"x" * 2000, reader.request)
    assert readers.recall(b"x" * 2000) is None
    assert readers.recall(b"999") is reader.request


def test_refusal_quotes_nothing():
    """What a client sent is not sent back, nor could it be logged by mistake."""
    reader = RequestReader(LIMITS)
    with pytest.raises(RefusedError) as refused:
        reader.feed(b"GET / HTTP/1.1\r\nAuthorization : hidden\r\n\r\n", 0)
    assert refused.value.code is Code.BAD_REQUEST
    assert "hidden" not in str(refused.value) + refused.value.detail + refused.value.fix
