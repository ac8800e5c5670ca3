"""The server as HTTP/1.1: what a correct client may do, and what it gets."""

import shutil
import subprocess
from functools import partial

import anyio
import pytest
from raw_http import Client, get, post, serving, turns

from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire.replies import json_reply, not_modified_reply

pytestmark = pytest.mark.anyio

CLOSE = "Connection: close"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_connection_is_kept():
    """Requests on one connection are answered one after the other, for as long as it is used."""
    async with serving() as served:
        with Client(served.path) as client:
            for number in range(5):
                answer = await client.ask(get(f"/{number}"))
                assert (answer.status, answer.json()["path"]) == (200, f"/{number}")
                assert "connection" not in answer.headers


async def test_request_reaches_the_handler_whole():
    """The handler gets method, path, query, headers in lower case and the body."""
    async with serving() as served:
        with Client(served.path) as client:
            raw = post(b"some body", "X-One: a", "x-ONE: b").replace(
                b"POST /", b"PUT /a%20b?c=d%26"
            )
            said = (await client.ask(raw)).json()
    assert (said["method"], said["path"], said["query"]) == ("PUT", "/a b", {"c": "d&"})
    assert said["body"] == "some body"
    assert said["headers"]["x-one"] == "a, b"


async def test_connection_close_is_obeyed():
    """A client that wants to close is told so, and the server closes."""
    async with serving() as served:
        with Client(served.path) as client:
            answer = await client.ask(get("/", CLOSE))
            assert answer.headers["connection"] == "close"
            assert await client.is_closed()


async def test_close_is_obeyed_each_time():
    """A request that closes is no less obeyed when it has been seen before."""
    async with serving() as served:
        for _ in range(3):
            with Client(served.path) as client:
                assert (await client.ask(get("/", CLOSE))).headers["connection"] == "close"
                assert await client.is_closed()


async def test_what_follows_a_close_is_not_served():
    """Requests behind one that closes are thrown away, and the reply still arrives."""
    async with serving() as served:
        with Client(served.path) as client:
            await client.send(get("/1", CLOSE) + get("/2") * 2000)
            assert (await client.answer()).json()["path"] == "/1"
            assert await client.is_closed()


async def test_old_client_is_closed():
    """HTTP/1.0 ends with its reply."""
    async with serving() as served:
        with Client(served.path) as client:
            answer = await client.ask(get("/", version="1.0"))
            assert answer.headers["connection"] == "close"
            assert await client.is_closed()


async def test_old_client_may_ask_to_be_kept():
    """HTTP/1.0 with keep-alive is kept, and told so."""
    async with serving() as served:
        with Client(served.path) as client:
            for _ in range(2):
                answer = await client.ask(get("/", "Connection: keep-alive", version="1.0"))
                assert answer.headers["connection"] == "keep-alive"


async def test_host_is_not_required():
    """A Unix socket has one host, so a request may leave it out."""
    async with serving() as served:
        with Client(served.path) as client:
            assert (await client.ask(b"GET /x HTTP/1.1\r\n\r\n")).status == 200


async def test_head_has_no_body():
    """HEAD gets the head that GET would, its length included, and the connection goes on."""
    async with serving() as served:
        with Client(served.path) as client:
            await client.send(get().replace(b"GET", b"HEAD") + get("/next"))
            answer = await client.answer(bodiless=True)
            assert int(answer.headers["content-length"]) > 0
            assert (await client.answer()).json()["path"] == "/next"


async def test_not_modified_has_neither_body_nor_length():
    """A 304 ends with its head, and the connection goes on."""
    async with serving(lambda *_: not_modified_reply({"ETag": '"1"'})) as served:
        with Client(served.path) as client:
            for _ in range(2):
                answer = await client.ask(get())
                assert (answer.status, answer.headers["etag"]) == (304, '"1"')
                assert "content-length" not in answer.headers


async def test_expect_is_answered_before_the_body():
    """A client that waits for 100 Continue gets it, then sends its body, then gets the reply."""
    async with serving() as served:
        with Client(served.path) as client:
            head, body = post(b"body", "Expect: 100-continue").split(b"body")[0], b"body"
            await client.send(head)
            assert await client.line_end(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert (await client.ask(body)).json()["body"] == "body"


async def test_expect_with_the_body_at_once_needs_no_answer():
    """A client that does not wait for 100 Continue is not sent one."""
    async with serving() as served:
        with Client(served.path) as client:
            assert (await client.ask(post(b"body", "Expect: 100-continue"))).status == 200


async def test_chunked_body():
    """A body in chunks arrives in one piece, chunk extensions and trailers left out."""
    async with serving() as served:
        with Client(served.path) as client:
            raw = (
                CHUNKED
                + b"3;x=y\r\nabc\r\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nAccept: text/plain\r\n\r\n"
            )
            said = (await client.ask(raw + get())).json()
            assert said["body"] == "abc" + "\r\n" * 5
            assert "accept" not in said["headers"]
            assert (await client.answer()).json()["method"] == "GET"


async def test_blank_lines_between_requests():
    """Line breaks before a request line are passed over (RFC 9112 2.2)."""
    async with serving() as served:
        with Client(served.path) as client:
            for blank in (b"\r\n", b"\r\n\r\n"):
                assert (await client.ask(blank + get())).status == 200


async def test_upgrade_is_not_taken_up():
    """A client that offers HTTP/2 is answered in HTTP/1.1."""
    async with serving() as served:
        with Client(served.path) as client:
            offer = get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
            assert (await client.ask(offer)).status == 200
            assert await client.is_closed()


async def test_pipelined_requests_are_answered_in_order():
    """Many more requests than are answered in one go, sent at once, are all answered in order."""
    async with serving() as served:
        with Client(served.path) as client, anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.send, b"".join(get(f"/{n}") for n in range(3000)))
                for number in range(3000):
                    assert (await client.answer()).json()["path"] == f"/{number}"


async def test_pipelining_client_gives_others_a_turn():
    """While one client has thousands of requests queued, another one is answered."""
    order = []

    def note(request, peer):
        order.append(request.path)
        return json_reply(200, b"{}")

    async with serving(note, limits=Limits(pipelined_requests=2)) as served:
        with Client(served.path) as greedy, Client(served.path) as modest:
            await greedy.send(get("/greedy") * 300)
            await modest.send(get("/modest"))
            await modest.answer()
            for _ in range(300):
                await greedy.answer()
    assert order.index("/modest") <= 20


PAIR = {
    "two gets": (get("/one?a=b"), get("/two", "Accept: text/plain")),
    "post and get": (post(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), get("/two")),
    "chunks and get": (CHUNKED + b"5\r\n\r\n\r\nx\r\n0\r\nA: b\r\n\r\n", get("/two")),
    "get and close": (get("/one"), get("/two", CLOSE)),
    "get and nonsense": (get("/one"), b"NONSENSE / HTTP/1.1\r\n\r\n"),
}


@pytest.mark.parametrize("kind", PAIR)
async def test_every_split_gives_the_same_replies(kind):
    """Wherever the bytes of two requests are cut, the replies are the same, byte for byte."""
    data = b"".join(PAIR[kind]) + get("/last", CLOSE)
    async with serving() as served:
        with Client(served.path) as client:
            await client.send(data)
            expected = await client.rest()
        assert expected.count(b"HTTP/1.1 ") >= 2
        for cut in range(1, len(data)):
            with Client(served.path) as client:
                await client.send_pieces([data[:cut], data[cut:]])
                assert await client.rest() == expected, cut


@pytest.mark.parametrize("kind", PAIR)
async def test_single_bytes_give_the_same_replies(kind):
    """Requests sent byte by byte are answered as if they came at once."""
    data = b"".join(PAIR[kind]) + get("/last", CLOSE)
    async with serving() as served:
        with Client(served.path) as client, Client(served.path) as slow:
            await client.send(data)
            await slow.send_pieces(data[i : i + 1] for i in range(len(data)))
            assert await slow.rest() == await client.rest()


async def test_absolute_target():
    """The form of target that proxies are sent is understood too (RFC 9112 3.2.2)."""
    async with serving() as served:
        with Client(served.path) as client:
            assert (await client.ask(get("http://localhost/a?b=c"))).json()["path"] == "/a"


async def test_client_that_ends_its_half_gets_its_replies():
    """A client that sends, then closes its sending half, gets every reply, and then the end."""
    async with serving() as served:
        with Client(served.path) as client:
            await client.send(get("/1") + get("/2"))
            client.socket.shutdown(1)
            assert (await client.rest()).count(b"200 OK") == 2


async def test_repeated_request_is_not_parsed_again():
    """The same bytes are the same request to the handler, and never mixed up with others."""
    seen = []

    def note(request, peer):
        seen.append(request)
        return json_reply(200, b"{}")

    async with serving(note) as served:
        with Client(served.path) as client:
            for path in ("/a", "/b", "/a"):
                await client.ask(get(path))
    assert seen[0] is seen[2]
    assert [request.path for request in seen] == ["/a", "/b", "/a"]


curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


async def run_curl(path: str, *arguments: str) -> str:
    """What curl prints."""
    command = ["curl", "-sS", "--max-time", "10", "--unix-socket", path, *arguments]
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False)
    done = await anyio.to_thread.run_sync(run)
    return done.stdout + done.stderr


@curl
async def test_curl_gets():
    """curl reads a reply."""
    async with serving() as served:
        assert '"path":"/v1/x"' in await run_curl(served.path, "http://localhost/v1/x")


@curl
@pytest.mark.parametrize("how", ["Expect: 100-continue", "Transfer-Encoding: chunked"])
async def test_curl_sends_bodies(how):
    """curl sends a body in any of its ways."""
    async with serving() as served:
        body = "x" * 60_000
        said = await run_curl(served.path, "-H", how, "-d", body, "http://localhost/")
        assert body in said


@curl
async def test_curl_offers_http2():
    """curl that would rather speak HTTP/2 is served all the same."""
    async with serving() as served:
        assert '"path":"/"' in await run_curl(served.path, "--http2", "http://localhost/")


async def test_idle_server_sets_no_timer():
    """Once the last client is gone, nothing but the one timer already set is left to wake up."""
    async with serving() as served:
        with Client(served.path) as client:
            await client.ask(get())
        await turns()
        hub = served.server._hub
        assert not hub.members
        hub._sweep()
        assert hub._timer is None
