"""`forget()`: the next question goes to the broker."""

from usps_token_client import AsyncTokenClient, TokenClient


def test_the_broker_is_asked_again(broker):
    """For each thing that was kept."""
    tokens = TokenClient(broker.path)
    for _ in range(2):
        tokens.bearer()
        tokens.headers(payment=True)
    assert len(broker.requests) == 2
    tokens.forget()
    tokens.bearer()
    tokens.headers(payment=True)
    assert len(broker.requests) == 4


def test_nothing_of_the_old_answer_is_named(broker):
    """Another broker's ETag may be the same number: what was dropped is not asked about."""
    tokens = TokenClient(broker.path)
    tokens.bearer()
    tokens.forget()
    tokens.bearer()
    assert "if-none-match" not in broker.requests[-1].headers


def test_a_static_client_keeps_what_it_was_given():
    """Nobody could give it again."""
    tokens = TokenClient.static(bearer="t")
    tokens.forget()
    assert tokens.bearer().value == "t"


def test_the_client_for_asyncio_has_it_too(broker):
    """It is no coroutine: nobody is asked."""
    assert AsyncTokenClient(broker.path).forget() is None
