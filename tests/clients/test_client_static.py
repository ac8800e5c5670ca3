"""Tokens without a broker: given in code, or in USPS_TOKEN_STATIC."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from usps_token_client import AsyncTokenClient, TokenClient, TokenDenied

SECRET = "eyJ.SECRET.x"


def test_a_static_client_hands_out_what_it_was_given():
    """Bearer, payment and headers are there at once and for ever."""
    tokens = TokenClient.static(bearer="b", payment="p")
    assert (tokens.bearer().value, tokens.payment().value) == ("b", "p")
    assert tokens.headers(payment=True) == {
        "Authorization": "Bearer b",
        "X-Payment-Authorization-Token": "p",
    }
    assert tokens.bearer().expires_at == float("inf")
    assert tokens.bearer() is tokens.bearer()


def test_payment_tokens_by_name():
    """A mapping gives a payment token for each name."""
    tokens = TokenClient.static(bearer="b", payment={"default": "p", "east": "e"})
    assert tokens.payment("east").value == "e"
    assert tokens.headers(payment="east")["X-Payment-Authorization-Token"] == "e"


@pytest.mark.parametrize(
    "ask", [lambda t: t.payment(), lambda t: t.headers(payment=True), lambda t: t.payment("x")]
)
def test_a_token_that_was_not_given_is_denied(ask):
    """The error says what there is and how to give more."""
    with pytest.raises(TokenDenied, match="no static token for payment") as caught:
        ask(TokenClient.static(bearer="b"))
    assert caught.value.permanent
    assert caught.value.code == "payment_not_configured"
    assert "USPS_TOKEN_STATIC" in caught.value.fix


def test_a_bare_token_in_the_variable(monkeypatch):
    """The variable may hold the bearer alone."""
    monkeypatch.setenv("USPS_TOKEN_STATIC", f" {SECRET}\n")
    assert TokenClient().bearer().value == SECRET


@pytest.mark.parametrize(
    ("text", "payment"),
    [
        ('{"bearer": "b", "payment": "p"}', "p"),
        ('{"bearer": "b", "payment": {"default": "q"}, "unknown": 1}', "q"),
    ],
)
def test_json_in_the_variable(monkeypatch, text, payment):
    """Or JSON with both."""
    monkeypatch.setenv("USPS_TOKEN_STATIC", text)
    assert TokenClient().bearer().value == "b"
    assert TokenClient().payment().value == payment


def test_the_test_environment_is_named_by_base_url(monkeypatch):
    """`base_url` says where the tokens may go; production without it."""
    assert TokenClient.static(bearer="b").headers().base_url == "https://apis.usps.com"
    tem = "https://apis-tem.usps.com"
    monkeypatch.setenv("USPS_TOKEN_STATIC", f'{{"bearer": "b", "base_url": "{tem}"}}')
    assert TokenClient().headers().base_url == tem


def test_a_named_socket_wins_over_the_variable(monkeypatch, broker):
    """Who names a socket wants that broker."""
    monkeypatch.setenv("USPS_TOKEN_STATIC", SECRET)
    assert TokenClient(broker.path).bearer().value == "bearer-1"


def test_an_empty_variable_is_none(monkeypatch, broker):
    """Set to nothing means not set."""
    monkeypatch.setenv("USPS_TOKEN_STATIC", "")
    monkeypatch.setenv("USPS_TOKEN_SOCKET", broker.path)
    assert TokenClient().bearer().value == "bearer-1"


@pytest.mark.parametrize(
    "text",
    [
        "{SECRET",
        '{"bearer": 7, "x": "SECRET"}',
        '{"payment": "SECRET"}',
        '{"bearer": "b", "payment": ["SECRET"]}',
        '{"bearer": "b", "payment": {"a/b": "SECRET"}}',
        '{"bearer": "b", "base_url": 7, "payment": "SECRET"}',
        "two SECRET",
        "line\nSECRET",
        "SECRET\u00e9",
        " ",
        '{"bearer": ""}',
        "{" * 100_000,
    ],
)
def test_a_variable_that_cannot_be_meant_is_told_without_showing_it(monkeypatch, text):
    """The error names the variable or the slot, never the value."""
    monkeypatch.setenv("USPS_TOKEN_STATIC", text)
    with pytest.raises(
        ValueError, match=r"USPS_TOKEN_STATIC|static token|name a payment"
    ) as caught:
        TokenClient()
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_nothing_is_asked(monkeypatch):
    """Status and readiness come from what was given."""
    tokens = TokenClient.static(bearer="b")
    assert tokens.status() == {"static": True, "slots": ["bearer"]}
    assert tokens.ready()
    assert tokens.ready("bearer")
    assert not tokens.ready("payment")
    tokens.wait_ready(0.01)


def test_nobody_waits_for_a_static_token_that_was_not_given():
    """It will never come, so it is denied at once."""
    with pytest.raises(TokenDenied, match="no static token for payment"):
        TokenClient.static(bearer="b").wait_ready(600, "payment")


def test_static_tokens_are_not_pickled_or_shown():
    """Neither the printed client nor a pickle gives them away."""
    tokens = TokenClient.static(bearer=SECRET)
    assert "SECRET" not in repr(tokens)
    with pytest.raises(TypeError, match="static"):
        pickle.dumps(tokens)


def test_a_static_client_for_asyncio():
    """The same for AsyncTokenClient."""

    async def main():
        tokens = AsyncTokenClient.static(bearer="b", payment="p")
        assert (await tokens.bearer()).value == "b"
        assert len(await tokens.headers(payment=True)) == 2
        assert await tokens.ready("payment")

    asyncio.run(main())
