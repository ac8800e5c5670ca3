"""What is particular to requests, urllib3 and aiohttp: what users have already, and proxies."""

from __future__ import annotations

import asyncio
import io
import pickle

import aiohttp
import pytest
import requests
import urllib3
from loopback_world import authority, client_context
from scripted_broker import Reply

from usps_token_client import AsyncTokenClient, TokenClient

ADDRESS = "https://apis.usps.com/addresses/v3/address"
PAYMENT = "X-Payment-Authorization-Token"
LABEL = "/labels/v3/label"
CHUNKED = (
    b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"
)


@pytest.fixture
def trusting(world):
    """A requests.Session that trusts the hosts of this world."""
    with requests.Session() as session, authority().cert_pem.tempfile() as pem:
        session.verify = pem
        session.trust_env = False
        yield session


@pytest.fixture
def tokens(broker):
    broker.verdict = {
        "code": "c", "detail": "d", "fix": "f", "retry": False, "outcome": "not_the_token",
    }  # fmt: skip
    return TokenClient(broker.path)


@pytest.fixture
def manager(tokens, world):
    with tokens.pool_manager(ssl_context=client_context()) as made:
        yield made


def put_on(seen):
    return seen.header("Authorization"), seen.header(PAYMENT)


# --- requests


def test_a_session_with_adapters_of_its_own_keeps_them(tokens, trusting, world):
    """They do the sending, under our headers; another look wraps nothing twice."""
    own = requests.adapters.HTTPAdapter(max_retries=3)
    trusting.mount("https://apis.usps.com/", own)
    assert tokens.session(trusting) is trusting
    assert tokens.session(trusting).get_adapter(ADDRESS).base is own
    trusting.get(ADDRESS)
    assert [put_on(seen) for seen in world.seen] == [("Bearer bearer-1", None)]


def test_an_error_of_requests_shows_no_token(tokens, trusting, world):
    """Its request is the caller's, for whoever reports crashes with all they hold."""
    world.answers.append(Reply(raw=b"nonsense\r\n\r\n"))
    with pytest.raises(requests.ConnectionError) as caught:
        tokens.session(trusting).post("https://apis.usps.com" + LABEL, headers={"X-Own": "1"})
    assert put_on(world.seen[0]) == ("Bearer bearer-1", "payment-1")
    assert caught.value.request.headers["X-Own"] == "1"
    assert "-1" not in str(caught.value.request.headers)


def test_a_session_pickles_without_its_tokens(tokens, trusting, world):
    """As sessions do; the other process asks the broker itself."""
    tokens.session(trusting).get(ADDRESS)
    data = pickle.dumps(trusting)
    assert b"bearer-1" not in data
    again = pickle.loads(data)
    again.get(ADDRESS).close()
    again.close()
    assert put_on(world.seen[-1]) == ("Bearer bearer-1", None)


def test_an_authorization_in_bytes_is_looked_at_too(tokens, trusting, world):
    """requests takes them as they are."""
    given = {"Authorization": b"Bearer bearer-1"}
    tokens.session(trusting).get("https://evil.example/", headers=given)
    assert put_on(world.seen[0]) == (None, None)


def test_a_file_that_was_closed_meanwhile_is_not_sent_again(broker, trusting, world):
    """By a hook of the caller, for one: it cannot be brought back, and the answer says so."""
    broker.verdict = {
        "code": "c", "detail": "d", "fix": "f", "retry": True, "outcome": "renewed",
        "headers": {"Authorization": "Bearer bearer-2"}, "serials": {"bearer": 1002},
    }  # fmt: skip

    class Closing(io.BytesIO):
        def read(self, size=-1):
            data = super().read(size)
            if not data:
                self.close()
            return data

    world.answers.append(Reply(401))
    response = TokenClient(broker.path).session(trusting).post(ADDRESS, data=Closing(b"label"))
    assert response.status_code == 401
    assert "not sent again" in response.usps_token_note


def test_digest_does_not_get_by_us(tokens, trusting, world):
    """An auth of requests that answers a 401 itself sends by our adapter."""
    challenge = {"WWW-Authenticate": 'Digest realm="x", nonce="y"'}
    world.answers.append(Reply(401, b"", challenge))
    auth = requests.auth.HTTPDigestAuth("user", "word")
    tokens.session(trusting).get(ADDRESS, auth=auth)
    assert [put_on(seen)[0] for seen in world.seen] == ["Bearer bearer-1"] * 2


def test_requests_over_a_proxy(tokens, world, broker):
    """A plain-http USPS of a test, by a proxy, which gets the headers for that host alone."""
    broker.base_url = "http://usps.local"
    with tokens.session() as session:
        session.trust_env = False
        session.proxies = {"http": "http://proxy.local:3128"}
        session.get("http://usps.local" + LABEL)
        session.get("http://evil.example" + LABEL)
    assert {seen.host for seen in world.seen} == {"proxy.local"}
    assert [put_on(seen) for seen in world.seen] == [("Bearer bearer-1", "payment-1"), (None, None)]


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_streamed_refusal_can_be_left_unread(tokens, trusting, world, size):
    """What is not read is not waited for; the next call is answered."""
    world.answers.append(Reply(401, b"x" * size))
    session = tokens.session(trusting)
    with session.get(ADDRESS, stream=True) as response:
        assert response.usps_token_verdict.outcome == "not_the_token"
        assert response.raw.read(3) == b"xxx"
    assert session.get(ADDRESS).content == b"done"


def test_a_refusal_in_chunks_is_read_by_requests(tokens, trusting, world, broker):
    """The length is not known before."""
    session = tokens.session(trusting)
    for stream in (False, True):
        world.answers.append(Reply(raw=CHUNKED))
        response = session.get(ADDRESS, stream=stream)
        assert b"".join(response.iter_content(2)) == b"helloabc"
    assert [report["body"] for report in broker.reports] == ["helloabc"] * 2


def lax(**options):
    """What shops have copied from everywhere."""
    return urllib3.Retry(3, status_forcelist=[401, 503], backoff_factor=0, **options)


def test_retries_of_a_session_leave_refusals_to_us(tokens, trusting, world, renewing):
    """The broker hears of a 401 at once; what else is in the list is still repeated."""
    trusting.mount("https://", requests.adapters.HTTPAdapter(max_retries=lax()))
    world.answers += [Reply(503), Reply(401)]
    assert tokens.session(trusting).get(ADDRESS).status_code == 200
    bearers = [put_on(seen)[0] for seen in world.seen]
    assert bearers == ["Bearer bearer-1", "Bearer bearer-1", "Bearer bearer-2"]
    assert len(renewing.reports) == 1


def test_a_refusal_left_unread_gives_its_connection_back(tokens, trusting, world):
    """In a pool that blocks, whoever comes next would wait for ever."""
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True)
    trusting.mount("https://", adapter)
    world.answers.append(Reply(401, b"x" * 1_000_000))
    with tokens.session(trusting).get(ADDRESS, stream=True) as response:
        assert response.raw.read(3) == b"xxx"
    assert adapter.poolmanager.connection_from_url(ADDRESS).pool.qsize() == 1


# --- urllib3


@pytest.mark.parametrize("of", ["call", "manager"])
def test_retries_of_urllib3_leave_refusals_to_us(tokens, world, renewing, of):
    """As with requests."""
    options = {"ssl_context": client_context()}
    own, given = ({"retries": lax()}, {}) if of == "manager" else ({}, {"retries": lax()})
    world.answers += [Reply(503), Reply(401)]
    with tokens.pool_manager(**options, **own) as manager:
        assert manager.request("GET", ADDRESS, **given).status == 200
    assert [put_on(seen)[0] for seen in world.seen][1:] == ["Bearer bearer-1", "Bearer bearer-2"]
    assert len(renewing.reports) == 1


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_the_second_attempt_has_the_connection_of_the_first(tokens, world, renewing, size):
    """Where a pool has only one, and makes whoever wants it wait."""
    options = {"ssl_context": client_context(), "maxsize": 1, "block": True}
    world.answers.append(Reply(401, b"x" * size))
    with tokens.pool_manager(**options) as manager:
        how = {"preload_content": False, "pool_timeout": 1.0}
        first = manager.request("GET", ADDRESS, **how)
        assert first.status == 200
        first.read()
        world.answers.append(Reply(401, b"x" * size))
        second = manager.request("GET", ADDRESS, **how)
        assert second.status == 401
        second.release_conn()
        assert manager.request("GET", ADDRESS, **how).status == 200


@pytest.mark.parametrize("preload", [False, True])
def test_a_refusal_in_chunks_is_read_by_urllib3(manager, world, broker, preload):
    """As above."""
    world.answers.append(Reply(raw=CHUNKED))
    response = manager.request("GET", ADDRESS, preload_content=preload)
    assert response.data == b"helloabc"
    assert response.usps_token_verdict.outcome == "not_the_token"
    assert broker.reports[0]["body"] == "helloabc"


def test_urllib3_over_a_proxy(tokens, world, broker):
    """As with requests."""
    broker.base_url = "http://usps.local"
    with tokens.pool_manager("http://proxy.local:3128") as manager:
        assert isinstance(manager, urllib3.ProxyManager)
        manager.request("GET", "http://usps.local" + LABEL)
        manager.request("GET", "http://evil.example" + LABEL)
    assert {seen.host for seen in world.seen} == {"proxy.local"}
    assert [put_on(seen) for seen in world.seen] == [("Bearer bearer-1", "payment-1"), (None, None)]


def test_headers_of_a_manager_and_of_a_call_stay_as_they_are(tokens, world):
    """Nothing of ours is left in what the caller made."""
    options = {"headers": {"X-All": "1"}, "ssl_context": client_context()}
    with tokens.pool_manager(**options) as manager:
        own = {"X-One": "1"}
        manager.request("GET", ADDRESS)
        manager.request("GET", ADDRESS, headers=own)
        assert (manager.headers, own) == ({"X-All": "1"}, {"X-One": "1"})
    assert [seen.header("X-All") for seen in world.seen] == ["1", None]


def test_headers_that_urllib3_strips_nowhere_do_not_leave_usps(manager, world, tokens):
    """Also where the caller told it to strip none."""
    world.answers.append(Reply(307, b"", {"Location": "https://evil.example/"}))
    lax = urllib3.Retry(3, remove_headers_on_redirect=[])
    manager.request("GET", ADDRESS, headers=tokens.headers(payment=True), retries=lax)
    assert put_on(world.seen[1]) == (None, None)


def test_a_pool_taken_out_puts_them_on_as_well(manager, world):
    """It knows where it leads."""
    manager.connection_from_url(ADDRESS).urlopen("POST", LABEL)
    assert put_on(world.seen[0]) == ("Bearer bearer-1", "payment-1")


def test_a_pool_taken_out_has_all_ways_of_a_pool(manager, world):
    """`request`, and arguments by their place."""
    pool = manager.connection_from_url(ADDRESS)
    pool.request("POST", LABEL, body=b"label")
    pool.request("GET", LABEL, fields={"a": "1"})
    pool.request_encode_body("POST", LABEL, {"a": "1"})
    pool.urlopen("POST", LABEL, b"label", {"X-Own": "1"})
    assert {put_on(seen) for seen in world.seen} == {("Bearer bearer-1", "payment-1")}
    assert [seen.body for seen in world.seen][::3] == [b"label"] * 2
    assert world.seen[1].target == f"{LABEL}?a=1"
    assert world.seen[3].header("X-Own") == "1"


# --- aiohttp


def test_an_error_of_aiohttp_shows_no_token(tokens, world, broker):
    """`raise_for_status` tells the headers of the request."""

    async def main():
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=client_context()),
            middlewares=[AsyncTokenClient(broker.path).middleware()],
            raise_for_status=True,
        )
        async with session:
            await session.get(ADDRESS, headers={"X-Own": "1"})

    world.answers.append(Reply(401))
    with pytest.raises(aiohttp.ClientResponseError) as caught:
        asyncio.run(main())
    assert put_on(world.seen[0]) == ("Bearer bearer-1", None)
    assert "bearer-1" not in repr(caught.value.request_info)
    assert caught.value.request_info.headers["X-Own"] == "1"


def test_a_base_url_of_the_session_is_followed(tokens, world, broker):
    """Where a call leads is decided by the whole URL."""

    async def main():
        session = aiohttp.ClientSession(
            "https://apis.usps.com",
            connector=aiohttp.TCPConnector(ssl=client_context()),
            middlewares=[AsyncTokenClient(broker.path).middleware()],
        )
        async with session, session.get(LABEL) as response:
            return response.status

    assert asyncio.run(main()) == 200
    assert put_on(world.seen[0]) == ("Bearer bearer-1", "payment-1")
