"""Suspend, clock steps, and restarts in this and another boot."""

import pytest
from virtual import (
    BEARER_SLOT,
    DOWN,
    HOUR,
    INVALID_CLIENT,
    PAYMENT_SLOT,
    VirtualClock,
    VirtualUsps,
    running,
)

from usps_token_broker.core.outcomes import Code

pytestmark = pytest.mark.anyio

YEAR = 365 * 86_400.0


async def test_a_token_is_not_served_past_its_life_after_a_suspend():
    """The machine slept past the end: the first question after it gets a new token."""
    async with running() as shop:
        await shop.pass_time(60)
        old = shop.serial()
        shop.clock.suspend(10 * HOUR)
        assert shop.left() is None
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None
        assert shop.serial() != old
        assert shop.left() > 28_000


async def test_after_a_suspend_without_usps_the_old_token_is_not_served():
    """Past its life it is gone, even when nothing better can be had."""
    async with running() as shop:
        await shop.pass_time(60)
        shop.usps.down(0, float("inf"))
        shop.clock.suspend(10 * HOUR)
        denial = await shop.ask(BEARER_SLOT, wait=1)
        assert denial.code in {Code.UPSTREAM_UNAVAILABLE, Code.NOT_READY}


async def test_a_suspend_is_noticed_within_a_heartbeat():
    """Nobody asks: half a minute after waking the tokens are new all the same."""
    async with running() as shop:
        await shop.pass_time(60)
        shop.clock.suspend(7 * HOUR)
        await shop.pass_time(31)
        assert shop.left() > 28_000


@pytest.mark.parametrize("step", [YEAR, -YEAR], ids=["forward", "back"])
async def test_a_clock_step_of_a_year_renews_once_and_denies_nobody(step):
    """The clocks disagree: one renewal makes them agree again; nobody is turned away."""
    async with running() as shop:
        await shop.pass_time(60)
        shop.clock.step(step)
        for _ in range(60):
            assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None
            await shop.pass_time(60)
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 2
        assert len(shop.usps.calls_of(PAYMENT_SLOT)) == 2
        view = shop.loop.broker.snapshot(shop.clock()).slot(BEARER_SLOT)
        assert not view.degraded
        assert abs(view.expires_at - shop.clock().wall - view.expires_in) < 0.01


@pytest.mark.parametrize("step", [YEAR, -YEAR], ids=["forward", "back"])
async def test_a_clock_step_in_an_outage_goes_by_boottime_flagged(step):
    """USPS away and the clock set wrong: the token is served for its true life, flagged."""
    async with running() as shop:
        await shop.pass_time(60)
        shop.usps.down(0, float("inf"))
        shop.clock.step(step)
        await shop.pass_time(60)
        view = shop.loop.broker.snapshot(shop.clock()).slot(BEARER_SLOT)
        assert view.degraded
        assert await shop.ask(BEARER_SLOT) is None
        await shop.pass_time(8 * HOUR - 240)
        assert await shop.ask(BEARER_SLOT, wait=0) is None
        await shop.pass_time(120)
        assert await shop.ask(BEARER_SLOT, wait=0) is not None


async def test_serials_go_on_when_the_clock_went_back():
    """A serial is above the last one even if the wall clock is not."""
    async with running() as shop:
        await shop.pass_time(60)
        old = shop.serial()
        shop.clock.step(-YEAR)
        await shop.pass_time(60)
        assert shop.serial() > old


async def test_a_restart_makes_no_call():
    """What was saved is served at once by the next process."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)
    async with running(clock=clock, usps=usps) as shop:
        await shop.pass_time(60)
        serial, saved = shop.serial(), shop.saver.saved()
    async with running(clock=clock, usps=usps, saved=saved) as shop:
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT, wait=0) is None
        assert shop.serial() == serial
        await shop.pass_time(HOUR)
    assert len(usps.calls) == 2


async def test_another_boot_goes_by_the_wall_clock():
    """BOOTTIME starts anew: the age of a token comes from the date."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)
    async with running(clock=clock, usps=usps) as shop:
        await shop.pass_time(60)
        saved = shop.saver.saved()
    clock.boot_offset = 10.0
    clock.step(HOUR)
    async with running(clock=clock, usps=usps, saved=saved, boot_id="boot-2") as shop:
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT, wait=0) is None
        assert 25_000 < shop.left() < 25_300
    assert len(usps.calls) == 2


async def test_another_boot_after_the_end_fetches_anew():
    """Switched off overnight: the saved token is past its life by the date."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)
    async with running(clock=clock, usps=usps) as shop:
        await shop.pass_time(60)
        saved = shop.saver.saved()
    clock.boot_offset = 10.0
    clock.step(9 * HOUR)
    async with running(clock=clock, usps=usps, saved=saved, boot_id="boot-2") as shop:
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None
        assert shop.left() > 28_000


async def test_another_boot_with_a_clock_before_the_grant_does_not_trust_the_token():
    """A dead battery: nobody can say how old the token is, so it is not served."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)
    async with running(clock=clock, usps=usps) as shop:
        await shop.pass_time(60)
        saved = shop.saver.saved()
    clock.boot_offset = 10.0
    clock.step(-YEAR)
    async with running(clock=clock, usps=usps, saved=saved, boot_id="boot-2") as shop:
        assert shop.left() is None
        assert await shop.ask(BEARER_SLOT) is None
        assert "not_restored" in shop.events()


async def test_a_restart_in_an_outage_keeps_the_back_off():
    """A hundred restarts of a broker that USPS does not answer stay within the budget."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)
    usps.down(0, float("inf"), DOWN)
    saved = None
    for _ in range(100):
        async with running(clock=clock, usps=usps, saved=saved) as shop:
            await shop.pass_time(20)
            saved = shop.saver.saved()
    assert len(usps.calls) <= 4 + 4


async def test_a_restart_does_not_probe_a_refused_secret():
    """HALTED outlives the process while the secret is the same."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)
    usps.down(0, float("inf"), DOWN)

    usps.down(0, float("inf"), INVALID_CLIENT)
    saved = None
    for _ in range(20):
        async with running(clock=clock, usps=usps, saved=saved) as shop:
            await shop.pass_time(20)
            saved = shop.saver.saved()
    assert len(usps.calls) == 1


async def test_a_restart_with_another_secret_tries_it_once():
    """The refused secret was mended: it is tried at once."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)

    usps.down(0, float("inf"), INVALID_CLIENT)
    async with running(clock=clock, usps=usps) as shop:
        await shop.pass_time(20)
        saved = shop.saver.saved()
    usps.answers = lambda _command, _now: None
    async with running(clock=clock, usps=usps, saved=saved, credentials="mended") as shop:
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None


async def test_a_changed_secret_is_proved_while_the_old_token_stays():
    """A new secret that USPS accepts: one call, and it is said."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)
    async with running(clock=clock, usps=usps) as shop:
        await shop.pass_time(60)
        saved = shop.saver.saved()
    async with running(clock=clock, usps=usps, saved=saved, credentials="new") as shop:
        assert await shop.ask(BEARER_SLOT, wait=0) is None
        await shop.pass_time(60)
        assert "secret_accepted" in shop.events()
    assert len(usps.calls_of(BEARER_SLOT)) == 2


async def test_a_wrong_new_secret_is_told_and_the_good_token_stays():
    """A new secret that USPS refuses: one call, and the old token is served on."""
    clock = VirtualClock()
    usps = VirtualUsps(clock)

    async with running(clock=clock, usps=usps) as shop:
        await shop.pass_time(60)
        saved, serial = shop.saver.saved(), shop.serial()
    usps.down(0, float("inf"), INVALID_CLIENT)
    async with running(clock=clock, usps=usps, saved=saved, credentials="wrong") as shop:
        await shop.pass_time(300)
        assert await shop.ask(BEARER_SLOT, wait=0) is None
        assert shop.serial() == serial
        told = [note.text for note in shop.notes if note.event == "failed"]
        assert "the token we have is good for" in told[0]
    assert len(usps.calls_of(BEARER_SLOT)) == 2
