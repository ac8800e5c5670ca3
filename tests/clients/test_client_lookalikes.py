"""Hosts that look like USPS's, in a URL and in a redirect: none of them gets a header of ours."""

from __future__ import annotations

import contextlib

import pytest
from scripted_broker import Reply

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


IS_USPS = ("https", "apis.usps.com", 443)
ALWAYS_CALLED = {
    "http://apis.usps.com/labels/v3/x",
    "http://apis.usps.com:443/labels/v3/x",
    "https://apis.usps.com:444/labels/v3/x",
    "https://x.apis.usps.com/labels/v3/x",
    "https://apis.usps.com.evil.example/labels/v3/x",
    "https://apis.usps.com@evil.example/labels/v3/x",
    "https://user:apis.usps.com@evil.example/labels/v3/x",
    "https://evil.example/https://apis.usps.com/labels/v3/x",
}
"""By every library; of the others some make an error."""


@pytest.fixture
def call(library, send, world):
    """Sends one request, following redirects; what every host was sent, by where it is."""

    def run(url, location=None, **more):
        if location is not None:
            world.answers.append(Reply(307, b"", {"Location": location.encode().decode("latin-1")}))
        with contextlib.suppress(*library.errors):
            send("POST", url, data=b"label", **more)
        return [(seen.place, str(seen.pairs)) for seen in world.seen]

    return run


def has_tokens(text):
    return [token for token in TOKENS if token in text]


@pytest.mark.parametrize("url", STRANGERS, ids=ascii)
def test_a_look_alike_gets_no_token(call, url):
    """Whatever a library makes of the URL: only the very host that the broker names is ours."""
    seen = call(url)
    assert seen or url not in ALWAYS_CALLED
    for place, text in seen:
        assert place == IS_USPS or not has_tokens(text), place


@pytest.mark.parametrize("url", STRANGERS, ids=ascii)
def test_a_redirect_to_a_look_alike_takes_no_token_along(call, url):
    """The first hop is USPS itself, and the tokens stay there."""
    seen = call(LABEL, url)
    assert has_tokens(seen[0][1]) == [*TOKENS]
    assert len(seen) == 2 or url not in ALWAYS_CALLED
    for place, text in seen[1:]:
        assert place == IS_USPS or not has_tokens(text), place


@pytest.mark.parametrize("location", ["//evil.example/labels/v3/x", "https://evil.example", "/\\x"])
def test_a_relative_redirect_is_judged_by_where_it_leads(call, location):
    """A network path is another host (RFC 3986, 4.2); a path is not."""
    seen = call(LABEL, location)
    assert len(seen) <= 2
    for place, text in seen[1:]:
        assert bool(has_tokens(text)) == (place == IS_USPS)


@pytest.mark.parametrize("url", OURS)
def test_the_host_itself_gets_both(call, url):
    """In any case, with its port, and with a user in the URL, who gives way to the token."""
    [(place, text)] = call(url)
    assert place == IS_USPS
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
def test_our_bearer_is_taken_off_for_a_stranger_however_the_caller_wrote_it(call, value):
    """Who puts `headers()` on by hand may write them in another way."""
    for url in ("https://evil.example/", "http://apis.usps.com/"):
        *_, (_, text) = call(url, headers={"Authorization": value, "X-Other": "kept"})
        assert not has_tokens(text)
        assert "kept" in text


def test_two_authorizations_of_the_caller_are_both_looked_at(call):
    """As a list of pairs may hold them."""
    pairs = [("Authorization", "Basic eA=="), ("Authorization", "Bearer bearer-1")]
    [(_, text)] = call("https://evil.example/", headers=pairs)
    assert not has_tokens(text)


def test_a_host_header_changes_nothing(call):
    """Where the call goes counts, and not what it says there."""
    [(_, text)] = call("https://evil.example/labels/v3/x", headers={"Host": "apis.usps.com"})
    assert not has_tokens(text)
