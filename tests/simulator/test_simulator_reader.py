"""Bytes become requests wherever they are split, and what is too large or no HTTP is refused."""

import random

import pytest

from usps_token_broker.simulator.reader import Limits, RequestReader

PLAIN = (
    b"GET /addresses/v3/address?state=MO#x HTTP/1.1\r\nHost: usps\r\nX-Two: a\r\nX-Two: b\r\n\r\n"
)
FORM = b"POST /oauth2/v3/token HTTP/1.1\r\nHost: usps\r\nContent-Length: 5\r\n\r\na=b&c"
CHUNKED = (
    b"POST /t HTTP/1.1\r\nHost: usps\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
)
SMALL = Limits(head_bytes=200, body_bytes=100)


def read(*pieces, limits=SMALL):
    reader = RequestReader(limits)
    for piece in pieces:
        reader.feed(piece)
    return reader


def requests(reader):
    return [request for request, _ in reader.ready]


@pytest.mark.parametrize("whole", [PLAIN, FORM, CHUNKED, PLAIN + FORM + CHUNKED])
def test_a_request_may_come_in_any_two_pieces(whole):
    """The same requests at every point of division."""
    expected = requests(read(whole))

    assert expected
    for at in range(len(whole) + 1):
        assert requests(read(whole[:at], whole[at:])) == expected


def test_a_request_may_come_byte_by_byte():
    """Also one whose body comes in chunks."""
    reader = read(*(CHUNKED[at : at + 1] for at in range(len(CHUNKED))))

    assert requests(reader)[0].body == b"abcde"
    assert "x-trailer" not in requests(reader)[0].headers


def test_path_and_query_are_told_apart():
    """And the fragment, which no client should send, is left out."""
    request = requests(read(PLAIN))[0]

    assert (request.method, request.path, request.query) == (
        "GET",
        "/addresses/v3/address",
        "state=MO",
    )


def test_of_two_headers_alike_the_first_counts():
    """Names are in lower case."""
    assert requests(read(PLAIN))[0].headers["x-two"] == "a"


def test_a_target_may_name_the_host():
    """As to a proxy (RFC 9112 3.2.2)."""
    reader = read(b"GET http://usps:80/a/b?c HTTP/1.1\r\nHost: usps\r\n\r\n")

    assert (requests(reader)[0].path, requests(reader)[0].query) == ("/a/b", "c")


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", False),
        (b"CONNECT usps:443 HTTP/1.1\r\n\r\n", False),
    ],
)
def test_the_client_says_whether_the_connection_is_kept(head, kept):
    """By its version and its Connection header; not when it asks for another protocol."""
    assert [keep for _, keep in read(head).ready] == [kept]


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (400, b"\x16\x03\x01\x02\x00\x01\x00"),
        (400, b"hello\r\n\r\n"),
        (400, b"GET / HTTP/3.0\r\n\r\n"),
        (400, b"GET /\xff HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nbroken header\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (
            400,
            b"POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\na",
        ),
        (431, b"GET /" + b"a" * 300 + b" HTTP/1.1\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 300),
        (431, b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 101 + b"\r\n"),
        (431, b"\r\n" * 200),
        (413, b"POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"a" * 101),
        (413, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 500),
    ],
)
def test_what_cannot_be_taken_is_refused(status, raw):
    """By a status that says why, in one piece or byte by byte."""
    for reader in (read(raw), read(*(raw[at : at + 1] for at in range(len(raw))))):
        assert reader.refusal is not None
        assert reader.refusal.status in (status, 400 if status == 413 else status)
        assert not reader.ready


def test_requests_before_a_refusal_are_kept():
    """They are answered first."""
    reader = read(PLAIN + b"\x00garbage")

    assert len(reader.ready) == 1
    assert reader.refusal is not None


def test_nothing_is_read_after_a_refusal():
    """Not even a good request."""
    reader = read(b"\x00", PLAIN)

    assert not reader.ready


def test_a_client_that_expects_a_hundred_is_heard_once():
    """While its body has not come."""
    reader = read(FORM.replace(b"\r\n\r\na=b&c", b"\r\nExpect: 100-continue\r\n\r\n"))

    assert [reader.take_continue(), reader.take_continue()] == [True, False]


def test_a_body_that_is_too_large_is_not_asked_for():
    """A client that waits for leave to send it gets the refusal."""
    reader = read(b"POST / HTTP/1.1\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n")

    assert not reader.take_continue()


def test_it_knows_whether_a_request_is_under_way():
    """From its first byte to its last."""
    assert not read().is_midway
    assert read(b"G").is_midway
    assert read(FORM[:-1]).is_midway
    assert not read(FORM).is_midway
    assert read(FORM, b"G").is_midway


@pytest.mark.parametrize("seed", range(30))
def test_no_bytes_break_it(seed):
    """Whatever comes is read or refused, and takes no more memory than the limits say."""
    chance = random.Random(seed)
    for _ in range(50):
        raw = bytearray(chance.choice([PLAIN, FORM, CHUNKED, b""]))
        for _ in range(chance.randrange(1, 8)):
            raw.insert(chance.randrange(len(raw) + 1), chance.randrange(256))
        reader = RequestReader(SMALL)
        while raw:
            size = chance.randrange(1, 60)
            reader.feed(bytes(raw[:size]))
            del raw[:size]
        assert all(len(request.body) <= SMALL.body_bytes for request in requests(reader))
