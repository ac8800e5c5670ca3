"""Requests that are refused: each with a 400 that says why, and the end of the connection."""

import pytest
from raw_http import Client, get, post, serving

from usps_token_broker.drivers.server import Limits

pytestmark = pytest.mark.anyio

CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"3\r\nabc\r\n0\r\n\r\n"

MALFORMED = {
    "both lengths": post(b"abc", "Transfer-Encoding: chunked"),
    "both lengths, the other way": CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n" + BODY,
    "length twice": post(b"abc", "Content-Length: 3"),
    "length twice, unlike": post(b"abc", "Content-Length: 4"),
    "length as a list": b"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc",
    "length with a sign": b"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
    "length in hex": b"POST / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\nabc",
    "length below zero": b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc",
    "length empty": b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\nabc",
    "length beyond 64 bits": b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "encoding unknown": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n" + BODY,
    "encoding not alone": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + BODY,
    "encoding twice": CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n" + BODY,
    "encoding in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + BODY,
    "chunk size not hex": CHUNKED + b"xyz\r\n\r\n",
    "chunk size with a sign": CHUNKED + b"-1\r\n\r\n",
    "chunk size beyond 64 bits": CHUNKED + b"f" * 17 + b"\r\n",
    "chunk longer than its size": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",
    "chunk lines without CR": CHUNKED + b"3\nabc\n0\n\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\nA\0: b\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    "folded header by tab": b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
    "folded request line": b"GET / HTTP/1.1\r\n A: b\r\n\r\n",
    "blank before the colon": b"GET / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc",
    "header without a name": b"GET / HTTP/1.1\r\n: b\r\n\r\n",
    "header without a colon": b"GET / HTTP/1.1\r\nA\r\n\r\n",
    "lines without CR": b"GET / HTTP/1.1\nA: b\n\n",
    "one line without CR": b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
    "CR alone": b"GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "version too new": b"GET / HTTP/2.0\r\n\r\n",
    "version unknown": b"GET / HTTP/1.9\r\n\r\n",
    "HTTP/2 from the start": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a method nobody knows": b"GIVE / HTTP/1.1\r\n\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\n\r\n",
    "a line of JSON": b'{"token": "bearer"}\n',
    "upgrade with a body": post(b"GET / HTTP/1.1\r\n\r\n", "Connection: Upgrade", "Upgrade: h2c"),
    "a target without a slash": b"GET nowhere HTTP/1.1\r\n\r\n",
    "raw bytes in the target": b"GET /\xff HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_request_is_refused(name):
    """What can be read in two ways, or in none, is a 400 and the end, and nothing of it is served.

    The shapes are those of request smuggling (RFC 9112 11.2) and what strangers send to a port.
    """
    served_paths = []

    def note(request, peer):
        served_paths.append(request.path)
        raise AssertionError(request.path)

    async with serving(note) as served:
        with Client(served.path) as client:
            answer = await client.ask(MALFORMED[name])
            assert (answer.status, answer.json()["code"]) == (400, "bad_request")
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["connection"] == "close"
            assert answer.json()["detail"]
            assert answer.json()["fix"]
            assert await client.is_closed()
    assert served_paths == []


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_request_is_refused_byte_by_byte(name):
    """What is refused in one read is refused in many."""
    async with serving() as served:
        with Client(served.path) as client:
            data = MALFORMED[name]
            await client.send_pieces(data[i : i + 1] for i in range(len(data)))
            everything = await client.rest()
            assert everything.startswith(b"HTTP/1.1 400 ")
            assert everything.count(b"HTTP/1.1 4") == 1


@pytest.mark.parametrize("name", MALFORMED)
async def test_good_request_before_a_malformed_one_is_answered(name):
    """A reply that was earned is sent, whatever comes behind it."""
    async with serving() as served:
        with Client(served.path) as client:
            assert (await client.ask(get("/good") + MALFORMED[name])).status == 200
            assert (await client.answer()).status == 400
            assert await client.is_closed()


@pytest.mark.parametrize(
    "target", ["/%zz", "/%", "/%ff", "/a%00b", "/?a=%0d%0a", "/?a=1&a=2", "/?%C3=1"]
)
async def test_target_that_makes_no_sense_is_a_bad_request(target):
    """A target that cannot be decoded is a 400 of that request alone."""
    async with serving() as served:
        with Client(served.path) as client:
            answer = await client.ask(get(target))
            assert (answer.status, answer.json()["code"]) == (400, "bad_request")
            assert (await client.ask(get("/fine"))).status == 200


def too_large(answer) -> bool:
    """Whether this is what a client hears that sent too much."""
    return (answer.status, answer.json()["code"]) == (400, "too_large")


@pytest.mark.parametrize("filler", ["path", "one header", "many headers", "blank lines"])
async def test_long_head_is_refused(filler):
    """A head beyond its limit is refused, however it got so long."""
    head = {
        "path": get("/" + "x" * 300),
        "one header": get("/", "A: " + "x" * 300),
        "many headers": get("/", *(f"A{n}: b" for n in range(60))),
        "blank lines": b"\r\n" * 200,
    }[filler]
    async with serving(limits=Limits(head_bytes=256)) as served:
        with Client(served.path) as client:
            assert too_large(await client.ask(head))
            assert await client.is_closed()


async def test_head_without_end_is_refused():
    """A head that never ends is refused once it is too long, and not kept."""
    async with serving(limits=Limits(head_bytes=256)) as served:
        with Client(served.path) as client:
            await client.send_pieces([b"GET /", *[b"x" * 50] * 6])
            assert too_large(await client.answer())


async def test_head_at_its_limit_is_taken():
    """The limit is the longest head that is served."""
    async with serving(limits=Limits(head_bytes=len(get("/abc")))) as served:
        with Client(served.path) as client:
            assert (await client.ask(get("/abc"))).status == 200
            assert too_large(await client.ask(get("/abcd")))


async def test_long_body_is_refused_before_it_is_sent():
    """A body announced as too long is refused by its head, even if the client waits to be told."""
    async with serving(limits=Limits(body_bytes=10)) as served:
        for extra in ((), ("Expect: 100-continue",)):
            with Client(served.path) as client:
                assert (await client.ask(post(b"x" * 10, *extra))).status == 200
                assert too_large(await client.ask(post(b"x" * 11, *extra)[:-11]))
                assert await client.is_closed()


@pytest.mark.parametrize(
    "chunks", [b"b\r\n" + b"x" * 11, b"1\r\nx\r\n" * 11, b"1;" + b"y" * 99 + b"\r\nx\r\n"]
)
async def test_long_chunked_body_is_refused(chunks):
    """Chunks are counted as they come, and so is what they are wrapped in."""
    async with serving(limits=Limits(body_bytes=10)) as served:
        with Client(served.path) as client:
            assert too_large(await client.ask(CHUNKED + chunks))


async def test_refusal_is_read_by_a_client_that_is_still_sending():
    """A client in the middle of a long body gets to read why it was refused."""
    async with serving(limits=Limits(body_bytes=10)) as served:
        with Client(served.path) as client:
            await client.send(post(b"x" * 2_000_000))
            assert too_large(await client.answer())
            client.socket.shutdown(1)
            assert await client.is_closed()
