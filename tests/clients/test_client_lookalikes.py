"""Hosts that look like USPS's, in a URL and in a redirect: none of them gets a header of ours."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from usps_token_client import AsyncTokenClient, TokenClient

httpx = pytest.importorskip("httpx")

USPS = "https://apis.usps.com"
LABEL = f"{USPS}/labels/v3/label"
TOKENS = ("bearer-1", "payment-1")

STRANGERS = [
    "http://apis.usps.com/labels/v3/x",
    "http://apis.usps.com:443/labels/v3/x",
    "https://apis.usps.com:80/labels/v3/x",
    "https://apis.usps.com:444/labels/v3/x",
    "https://apis.usps.com:4433/labels/v3/x",
    "https://apis.usps.com./labels/v3/x",
    "https://apis.usps.com.:443/labels/v3/x",
    "https://usps.com/labels/v3/x",
    "https://x.apis.usps.com/labels/v3/x",
    "https://apis-usps.com/labels/v3/x",
    "https://apis.usps.com.evil.example/labels/v3/x",
    "https://apis.usps.com@evil.example/labels/v3/x",
    "https://apis.usps.com:443@evil.example/labels/v3/x",
    "https://user:apis.usps.com@evil.example/labels/v3/x",
    "https://evil.example/https://apis.usps.com/labels/v3/x",
    "https://evil.example?@apis.usps.com/labels/v3/x",
    "https://evil.example#@apis.usps.com/labels/v3/x",
    "https://\u0430pis.usps.com/labels/v3/x",  # a Cyrillic a (IDNA)
    "https://xn--pis-5cd.usps.com/labels/v3/x",
    "https://apis.usps.com\u2024evil.example/labels/v3/x",  # a one dot leader
    "https://api\u017f.usps.com/labels/v3/x",  # a long s, which is an s in capitals
    "https://apis\u3002usps\u3002com/labels/v3/x",  # ideographic full stops (IDNA separators)
    "https://apis%2eusps%2ecom/labels/v3/x",
    "https://apis.usps.com%00.evil.example/labels/v3/x",
    "https://apis.usps.com\\@evil.example/labels/v3/x",
    "https://[::ffff:127.0.0.1]/labels/v3/x",
    "https://127.0.0.1/labels/v3/x",
]
OURS = [
    "https://apis.usps.com/labels/v3/x",
    "https://APIS.USPS.COM/labels/v3/x",
    "HTTPS://apis.usps.com/labels/v3/x",
    "https://apis.usps.com:443/labels/v3/x",
    "https://user:pw@apis.usps.com/labels/v3/x",
]


@pytest.fixture(params=["sync", "async"])
def send(request, broker):
    """Sends one request, following redirects; what every host was sent, as (URL, header text)."""

    def sync(answer, url, **more):
        transport = TokenClient(broker.path).transport(httpx.MockTransport(answer))
        with httpx.Client(transport=transport, follow_redirects=True) as http:
            return http.post(url, content=b"label", **more)

    def in_loop(answer, url, **more):
        async def main():
            transport = AsyncTokenClient(broker.path).transport(httpx.MockTransport(answer))
            async with httpx.AsyncClient(transport=transport, follow_redirects=True) as http:
                return await http.post(url, content=b"label", **more)

        return asyncio.run(main())

    def run(url, location=None, **more):
        seen = []

        def answer(asked):
            seen.append((asked.url, str(list(asked.headers.raw))))
            if location is not None and len(seen) == 1:
                return httpx.Response(307, headers={"Location": location.encode()})
            return httpx.Response(200)

        # By which nobody at all is called.
        no_url = httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.RemoteProtocolError
        with contextlib.suppress(*no_url):
            (sync if request.param == "sync" else in_loop)(answer, url, **more)
        return seen

    return run


def has_tokens(text):
    return [token for token in TOKENS if token in text]


@pytest.mark.parametrize("url", STRANGERS, ids=ascii)
def test_a_look_alike_gets_no_token(send, url):
    """Whatever httpx makes of the URL: only the very host that the broker names is called ours."""
    for asked, text in send(url):
        is_usps = (asked.scheme, asked.host, asked.port) == ("https", "apis.usps.com", None)
        assert is_usps or not has_tokens(text), asked
        assert not is_usps or "\u3002" in url, "only separators of IDNA lead to the same host"


@pytest.mark.parametrize("url", STRANGERS, ids=ascii)
def test_a_redirect_to_a_look_alike_takes_no_token_along(send, url):
    """The first hop is USPS itself, and the tokens stay there."""
    seen = send(LABEL, url)
    assert has_tokens(seen[0][1]) == [*TOKENS]
    for asked, text in seen[1:]:
        is_usps = (asked.scheme, asked.host, asked.port) == ("https", "apis.usps.com", None)
        assert is_usps or not has_tokens(text), asked


@pytest.mark.parametrize("location", ["//evil.example/labels/v3/x", "https://evil.example", "/\\x"])
def test_a_relative_redirect_is_judged_by_where_it_leads(send, location):
    """A network path is another host (RFC 3986, 4.2); a path is not."""
    seen = send(LABEL, location)
    assert len(seen) <= 2
    for asked, text in seen[1:]:
        assert bool(has_tokens(text)) == (asked.host == "apis.usps.com")


@pytest.mark.parametrize("url", OURS)
def test_the_host_itself_gets_both(send, url):
    """In any case, with its port, and with a user in the URL, who gives way to the token."""
    [(_, text)] = send(url)
    assert has_tokens(text) == [*TOKENS]
    assert "Basic" not in text


@pytest.mark.parametrize(
    "value",
    [
        "Bearer bearer-1",
        "bearer bearer-1",
        "Bearer  bearer-1 ",
        "Basic eA==, Bearer bearer-1",
        "token=bearer-1",
    ],
)
def test_our_bearer_is_taken_off_for_a_stranger_however_the_caller_wrote_it(send, value):
    """Who puts `headers()` on by hand may write them in another way."""
    for url in ("https://evil.example/", "http://apis.usps.com/"):
        [(_, text)] = send(url, headers={"Authorization": value, "X-Other": "kept"})
        assert not has_tokens(text)
        assert "kept" in text


def test_two_authorizations_of_the_caller_are_both_looked_at(send):
    """As a list of pairs may hold them."""
    pairs = [("Authorization", "Basic eA=="), ("Authorization", "Bearer bearer-1")]
    [(_, text)] = send("https://evil.example/", headers=pairs)
    assert not has_tokens(text)


def test_a_host_header_changes_nothing(send):
    """Where the call goes counts, and not what it says there."""
    [(_, text)] = send("https://evil.example/labels/v3/x", headers={"Host": "apis.usps.com"})
    assert not has_tokens(text)
