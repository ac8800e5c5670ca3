"""The line of `systemctl status`: every fact a person looks for, in 500 characters."""

import time

import pytest
from virtual import BEARER_SLOT, DOWN, INVALID_CLIENT, PAYMENT_SLOT, running

from usps_token_broker.app.headline import LONGEST, headline
from usps_token_broker.core.events import Reloaded, Reported
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import BEARER, SlotId

pytestmark = pytest.mark.anyio

# The virtual day begins at 14:13:20 UTC.


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    """A machine whose local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line(shop, *remarks):
    return headline(shop.loop.broker.snapshot(shop.clock()), remarks)


async def test_two_tokens_say_until_when_and_what_is_next():
    """Local time, and nothing else while all is well."""
    async with running() as shop:
        await shop.ask(BEARER_SLOT, PAYMENT_SLOT)
        assert line(shop) == (
            "ready: bearer good until 22:13, renewal at 20:40; "
            "payment good until 22:13, renewal at 20:40"
        )


async def test_local_time_is_that_of_the_machine(monkeypatch):
    """As everything else in `systemctl status`."""
    monkeypatch.setenv("TZ", "XXX-01")
    time.tzset()
    async with running() as shop:
        await shop.ask(BEARER_SLOT, PAYMENT_SLOT)
        assert "bearer good until 23:13" in line(shop)


async def test_a_trouble_is_told_with_what_to_do():
    """What USPS said, how often, since when, and the fix; what we have is still told."""
    async with running() as shop:
        await shop.ask(BEARER_SLOT, PAYMENT_SLOT)
        shop.usps.answers = lambda command, _now: DOWN if command.slot == PAYMENT_SLOT else None
        await shop.pass_time(7 * 3600)
        said = line(shop)
    assert "payment good until 22:13, retry at 21:" in said
    assert "; payment: USPS answered 503, " in said
    assert " times since 20:4" in said
    assert said.endswith(". Do: wait")


async def test_one_that_readiness_needs_and_is_missing():
    """Not ready, why, and when it is tried again."""
    async with running(payments=0) as shop:
        shop.usps.answers = lambda _command, _now: INVALID_CLIENT
        await shop.ask()
        said = line(shop)
    assert said.startswith(
        "not ready: bearer missing, another try at 14:28; bearer: USPS does not know"
    )
    assert said.endswith("once, at 14:13. Do: check client_id and client_secret")


async def test_a_late_token_says_so():
    """It is served, and there is little left."""
    async with running(payments=0) as shop:
        await shop.ask()
        shop.usps.answers = lambda _command, _now: DOWN
        await shop.pass_time(7.8 * 3600)
        assert "bearer good until 22:13 (late), " in line(shop)


async def test_a_token_that_workers_doubt_says_so():
    """Reported as dead, and the renewal failed."""
    async with running(payments=0) as shop:
        await shop.ask()
        await shop.pass_time(3600)
        shop.usps.answers = lambda _command, _now: DOWN
        give_up_at = shop.clock().boot + 1
        shop.loop.post(Reported(99, "default", give_up_at, shop.serial(), None, None))
        await shop.pass_time(5)
        assert line(shop).startswith(
            "not ready: bearer good until 22:13 (doubted by workers), retry"
        )


async def test_a_payment_that_waits_for_a_bearer_says_so():
    """It has no time of its own."""
    async with running() as shop:
        shop.usps.answers = lambda _command, _now: INVALID_CLIENT
        await shop.ask()
        assert "payment missing, bearer first" in line(shop)


async def test_many_tokens_are_summed_up():
    """Counts, the first end, the next step."""
    async with running(payments=300) as shop:
        await shop.pass_time(2 * 3600)
        said = line(shop)
    assert said.startswith("ready: 61 of 301 tokens good, the first of them (bearer) until 22:13")
    assert "; missing: payment-60, payment-61, payment-62 and 237 more; next: fetch at " in said
    assert len(said) <= LONGEST


async def test_of_many_missing_some_are_named():
    """And the rest is counted."""
    async with running(payments=10) as shop:
        fails = Failure(FailureKind.REFUSED, Code.PAYMENT_REFUSED, "no", "mend", 400)
        shop.usps.answers = lambda command, _now: None if command.slot.is_bearer else fails
        await shop.pass_time(60)
        said = line(shop)
    assert "missing: payment, payment-1, payment-2 and 7 more" in said
    assert said.endswith("Do: mend (9 more in trouble: usps-token-broker status)")


async def test_with_several_apps_each_token_is_named_with_its_own():
    """Two tokens called bearer would be one too many."""
    async with running(payments=0) as shop:
        await shop.ask()
        app = AppPlan("other", "apis-tem.usps.com", "x", LifePolicy(), 30)
        first = AppPlan("default", "apis.usps.com", "client", LifePolicy(), 30)
        plans = [SlotPlan(SlotId(name, BEARER), required=True) for name in ("default", "other")]
        shop.loop.post(Reloaded((first, app), tuple(plans)))
        assert "default/bearer good" in line(shop)
        assert "other/bearer missing" in line(shop)


@pytest.mark.parametrize("length", [10, 200, 400, 5000])
async def test_no_line_is_too_long_and_what_to_do_stays(length):
    """The cause is cut first: the fix is what helps."""
    async with running(payments=0) as shop:
        text = "USPS said " + "x" * length
        failure = Failure(FailureKind.TRANSIENT, Code.UPSTREAM_UNAVAILABLE, text, "ring them up")
        shop.usps.answers = lambda _command, _now: failure
        await shop.ask()
        said = line(shop, "y" * length)
    assert len(said) <= LONGEST
    assert "Do: ring them up" in said


async def test_a_remark_comes_last():
    """How the last reload went, for one."""
    async with running(payments=0) as shop:
        await shop.ask()
        assert line(shop, "reloaded at 12:00").endswith("20:40; reloaded at 12:00")
