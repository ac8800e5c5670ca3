"""Counting replies: those that are there, those that come later, those that nobody waits for."""

import pytest

from usps_token_broker.app.tally import Durations, Tally
from usps_token_broker.drivers.server.replies import discard
from usps_token_broker.wire.replies import Reply

pytestmark = pytest.mark.anyio


async def later(status=200):
    return Reply(status)


async def test_a_reply_is_counted_and_passed_on():
    """At once, without a wrapper around it."""
    tally, reply = Tally(), Reply(404)
    assert tally.counted("readToken", reply) is reply
    assert tally.requests == {"readToken": {404: 1}}


async def test_a_promise_is_counted_when_it_is_kept():
    """Not before: a caller may leave."""
    tally = Tally()
    promised = tally.counted("readToken", later(503))
    assert tally.requests == {}
    assert (await promised).status == 503
    assert tally.requests == {"readToken": {503: 1}}


async def test_a_promise_may_be_discarded():
    """As the server does when too many wait: nothing inside is left un-awaited."""
    tally = Tally()
    discard(tally.counted("readToken", later()))
    assert tally.requests == {}


async def test_a_promise_that_breaks_is_not_counted():
    """The server answers in its place."""

    async def breaks():
        raise ZeroDivisionError

    tally = Tally()
    with pytest.raises(ZeroDivisionError):
        await tally.counted("readToken", breaks())
    assert tally.requests == {}


async def test_a_promise_is_a_coroutine_in_every_respect():
    """Whoever drives it by hand reaches what is inside."""
    with pytest.raises(StopIteration):
        Tally().counted("readToken", later()).send(None)
    with pytest.raises(ZeroDivisionError):
        Tally().counted("readToken", later()).throw(ZeroDivisionError())


def test_durations_fall_on_their_bounds():
    """A bound belongs to the bucket that it ends."""
    durations = Durations()
    for seconds in (0.1, 0.11, 8.0, 8.1):
        durations.add(seconds)
    assert durations.counts == [1, 1, 0, 0, 0, 0, 1, 1]
    assert durations.seconds == pytest.approx(16.31)
