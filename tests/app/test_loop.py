"""The loop: events in, commands out, questions answered once, and how it ends."""

import anyio
import pytest
from virtual import BEARER_SLOT, PAYMENT_SLOT, VirtualUsps, running

from usps_token_broker.core.events import Stopped, Woke
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import Phase

pytestmark = pytest.mark.anyio


async def leave_while_waiting(shop, seconds, count=1):
    """Callers who are gone before they are answered."""
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(shop.ask, BEARER_SLOT)
        await anyio.sleep(seconds)
        tasks.cancel_scope.cancel()


async def test_a_caller_who_leaves_is_withdrawn_and_the_flight_goes_on():
    """The call belongs to the daemon: the next one finds the token."""
    async with running() as shop:
        shop.usps.latency_seconds = 5.0
        await leave_while_waiting(shop, 1)
        assert shop.loop.broker.waiting() == 0
        assert shop.loop._questions == {}
        assert await shop.ask(BEARER_SLOT, wait=10) is None
        assert len(shop.usps.calls) == 1


async def test_a_thousand_callers_who_leave_leave_nothing_behind():
    """No question, no waiter, and one call."""
    async with running() as shop:
        shop.usps.latency_seconds = 5.0
        for _ in range(10):
            await leave_while_waiting(shop, 0.1, count=100)
        assert (shop.loop.broker.waiting(), shop.loop._questions) == (0, {})
        await shop.pass_time(10)
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 1


async def test_an_answered_question_is_forgotten():
    """Whether it got a token, a denial or an outcome."""
    async with running() as shop:
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None
        assert await shop.ask(BEARER_SLOT, wait=0, min_valid=1e9) is not None
        await shop.loop.report(
            "default", 10, bearer_serial=shop.serial(), payment=None, payment_serial=None
        )
        assert shop.loop._questions == {}


async def test_events_before_the_start_are_handled_first():
    """The secret that was seen, and what the process before left."""
    async with running() as shop:
        await anyio.sleep(0.1)
        assert shop.loop.broker.snapshot(shop.clock()).slot(BEARER_SLOT).phase is Phase.FETCHING


async def test_a_call_is_on_record_before_it_is_sent():
    """A kill between the two costs a call that was counted, never one that was not."""
    seen = []

    class Watching(VirtualUsps):
        async def fetch(self, command):
            seen.append(sum(len(w.sent_at) for w in shop.saver.saved().windows))
            return await super().fetch(command)

    async with running() as shop:
        shop.loop._fetcher = Watching(shop.clock)
        await shop.ask(BEARER_SLOT, PAYMENT_SLOT)
        assert seen == [1, 2]


async def test_a_life_counts_from_sending_however_late_the_answer():
    """USPS may have begun it as soon as it was asked."""
    async with running() as shop:
        shop.usps.latency_seconds = 7.5
        assert await shop.ask(BEARER_SLOT) is None
        assert shop.left() == pytest.approx(shop.usps.life_seconds - 7.5, abs=0.01)


async def test_a_disk_that_hangs_costs_a_call_five_seconds_and_no_more():
    """The shop must have its tokens; the charge counts in memory."""
    async with running() as shop:

        async def hang(_payload):
            await anyio.sleep_forever()

        shop.saver.save = hang
        before = shop.clock().boot
        assert await shop.ask(BEARER_SLOT, wait=60) is None
        assert 5 <= shop.clock().boot - before <= 7


async def test_a_caller_is_answered_once_the_token_is_on_record():
    """A kill right after the answer cannot lose what the caller was given."""
    async with running() as shop:
        save = shop.saver.save

        async def slow(payload):
            await anyio.sleep(0.3)
            return await save(payload)

        shop.saver.save = slow
        assert await shop.ask(BEARER_SLOT) is None
        saved = next(slot for slot in shop.saver.saved().slots if slot.name == "bearer")
        assert saved.token.serial == shop.serial()


async def test_who_waits_when_the_daemon_ends_is_told_to_come_again():
    """`restarting`, at once; a shim asks the next broker."""
    async with running() as shop:
        shop.usps.latency_seconds = 60.0
        denials = []

        async def caller():
            denials.append(await shop.ask(BEARER_SLOT, wait=30))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(caller)
            await anyio.sleep(1)
            before = shop.clock().boot
            shop.loop.post(Stopped())
        assert {denial.code for denial in denials} == {Code.RESTARTING}
        assert len(denials) == 20
        assert shop.clock().boot - before < 1.1


async def test_what_usps_grants_while_the_daemon_ends_is_kept():
    """`landed` waits for it, and it is saved: the next process need not ask again."""
    async with running() as shop:
        shop.usps.latency_seconds = 3.0
        await anyio.sleep(1)
        shop.loop.post(Stopped())
        before = shop.clock().boot
        await shop.loop.landed()
        await shop.loop.saved()
        assert shop.clock().boot - before == pytest.approx(2, abs=0.1)
        saved = next(slot for slot in shop.saver.saved().slots if slot.name == "bearer")
        assert saved.token is not None
        assert len(shop.usps.calls) == 1


async def test_landed_does_not_wait_when_nothing_flies():
    """Nor after many flights."""
    async with running() as shop:
        await shop.ask(BEARER_SLOT, PAYMENT_SLOT)
        before = shop.clock().boot
        await shop.loop.landed()
        assert shop.clock().boot == before


async def test_nothing_is_fetched_after_the_end_began():
    """Hours later, too."""
    async with running() as shop:
        await shop.ask(BEARER_SLOT, PAYMENT_SLOT)
        shop.loop.post(Stopped())
        await shop.pass_time(100_000)
        assert len(shop.usps.calls) == 2


class BrokenCore:
    """Stands in for `Broker.handle`; it breaks each time, and counts."""

    def __init__(self):
        self.asked = 0

    def __call__(self, event, now):
        self.asked += 1
        raise RuntimeError("an invariant does not hold")


async def break_it(broken, meet):
    """A loop whose core breaks, met by this caller or by the timer."""
    async with running() as shop:
        await shop.ask(BEARER_SLOT)
        shop.loop.broker.handle = broken
        await meet(shop)
        await anyio.sleep(40)
        raise AssertionError("the loop went on")


async def by_a_caller(shop):
    with pytest.raises(RuntimeError):
        await shop.ask(BEARER_SLOT)
    shop.loop.post(Woke())


async def by_the_timer(shop):
    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("meet", [by_a_caller, by_the_timer])
async def test_a_broken_core_ends_the_loop_and_is_not_asked_again(meet):
    """Whoever posted the event may survive the exception; the broker must not go on with it."""
    broken = BrokenCore()
    with pytest.raises(BaseExceptionGroup) as caught:
        await break_it(broken, meet)
    assert caught.group_contains(RuntimeError, match="invariant")
    assert not caught.group_contains(AssertionError)
    assert broken.asked == 1


async def test_no_sleep_is_longer_than_a_heartbeat():
    """A suspended machine is noticed within one: the token that was to be renewed is."""
    async with running() as shop:
        await shop.ask(BEARER_SLOT, PAYMENT_SLOT)
        shop.clock.suspend(7 * 3600)
        calls = len(shop.usps.calls)
        await shop.pass_time(31)
        assert len(shop.usps.calls) > calls


async def test_an_idle_day_costs_few_wake_ups():
    """One a heartbeat, and some for the renewals: the loop never spins."""
    beats = []
    async with running(beats=lambda: beats.append(None)) as shop:
        await shop.pass_time(86_400)
        assert len(beats) < 86_400 / 30 * 1.2


async def test_several_may_wait_for_the_core_at_once():
    """Each is woken when its condition holds; one that gives up takes nobody's wake-up along."""
    async with running() as shop:
        await shop.ask(BEARER_SLOT)
        begin = anyio.current_time()
        woken = []

        async def wait(condition):
            await shop.loop.until(condition, 60)
            woken.append(anyio.current_time() - begin)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, lambda: len(shop.usps.calls_of(BEARER_SLOT)) > 1)
            tasks.start_soon(wait, lambda: len(shop.usps.calls_of(BEARER_SLOT)) > 1)
            await anyio.sleep(1)
            await shop.loop.until(lambda: False, 0)
            await shop.loop.renew(BEARER_SLOT, 10)
    assert max(woken) < 10


async def test_who_waits_for_the_core_is_let_go_when_it_stops():
    """Nothing comes any more; the end of the daemon must not wait for them."""
    async with running() as shop:
        await shop.ask(BEARER_SLOT)
        begin = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.loop.until, lambda: False, 60)
            await anyio.sleep(1)
            shop.loop.post(Stopped())
    assert anyio.current_time() - begin == pytest.approx(1)
