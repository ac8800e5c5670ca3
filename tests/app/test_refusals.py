"""What USPS refuses, and what workers say it refused."""

import itertools

import anyio
import pytest
from virtual import (
    BEARER_SLOT,
    DAY,
    HOUR,
    INVALID_CLIENT,
    PAYMENT_SLOT,
    running,
)

from usps_token_broker.core.commands import Outcome
from usps_token_broker.core.outcomes import Code, Failure, FailureKind
from usps_token_broker.core.values import Phase

pytestmark = pytest.mark.anyio

UNAUTHORIZED = Failure(
    FailureKind.BEARER_REFUSED, Code.PAYMENT_REFUSED, "USPS answered 401", "look", 401
)


def refuse(shop):
    shop.usps.answers = lambda command, _now: INVALID_CLIENT if command.slot.is_bearer else None


def phase(shop, slot=BEARER_SLOT):
    return shop.loop.broker.snapshot(shop.clock()).slot(slot).phase


async def test_unproven_credentials_halt_at_the_first_refusal():
    """`invalid_client` for a secret that never worked: one call, and the fix at once."""
    async with running() as shop:
        refuse(shop)
        await shop.pass_time(60)
        assert phase(shop) is Phase.HALTED
        assert len(shop.usps.calls) == 1
        denial = await shop.ask(BEARER_SLOT, wait=10)
        assert denial.code is Code.CREDENTIALS_REFUSED
        assert denial.fix == INVALID_CLIENT.fix


async def test_a_halted_slot_probes_ever_more_slowly():
    """15, 30, 60, 120, 240 minutes, then each six hours: a day costs eight calls at most."""
    async with running() as shop:
        refuse(shop)
        await shop.pass_time(DAY)
        times = shop.usps.calls_of(BEARER_SLOT)
        gaps = [round((b - a) / 60) for a, b in itertools.pairwise(times)]
        assert gaps[:5] == [15, 30, 60, 120, 240]
        assert len(times) <= 8


async def test_an_app_that_usps_approves_late_is_found_by_a_probe():
    """`invalid_client` also means not approved yet: the probe after the approval ends it."""
    async with running() as shop:
        refuse(shop)
        await shop.pass_time(HOUR)
        shop.usps.answers = lambda _command, _now: None
        await shop.pass_time(2 * HOUR)
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None


async def test_proven_credentials_back_off_while_the_token_lives():
    """A secret that worked an hour ago is not given up for one refusal."""
    async with running() as shop:
        await shop.pass_time(5 * HOUR)
        refuse(shop)
        await shop.pass_time(2 * HOUR)
        assert phase(shop) is Phase.WAITING
        assert await shop.ask(BEARER_SLOT) is None


async def test_proven_credentials_halt_when_the_token_is_spent():
    """Once nothing is left to serve, the refusal is final until something changes."""
    async with running() as shop:
        await shop.pass_time(5 * HOUR)
        refuse(shop)
        await shop.pass_time(4 * HOUR)
        assert phase(shop) is Phase.HALTED
        denial = await shop.ask(BEARER_SLOT)
        assert denial.code is Code.CREDENTIALS_REFUSED
        assert shop.usps.most_in_an_hour([BEARER_SLOT]) <= 12


async def test_200_reports_of_one_dead_token_cost_one_call():
    """Two hundred workers tell of a 401 for the same bearer: one renewal, all told of it."""
    async with running() as shop:
        await shop.pass_time(60)
        serial = shop.serial()
        outcomes = []

        async def worker():
            question = await shop.loop.report(
                "default", 10, bearer_serial=serial, payment=None, payment_serial=None
            )
            outcomes.append(question.outcome)

        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(worker)
        assert outcomes == [Outcome.RENEWED] * 200
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 2


async def test_a_late_report_of_the_old_token_is_superseded():
    """News of a token that was replaced meanwhile costs nothing."""
    async with running() as shop:
        await shop.pass_time(60)
        old = shop.serial()
        for expected in (Outcome.RENEWED, Outcome.SUPERSEDED, Outcome.SUPERSEDED):
            question = await shop.loop.report(
                "default", 10, bearer_serial=old, payment=None, payment_serial=None
            )
            assert question.outcome is expected
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 2


async def test_a_worker_that_reports_every_token_for_eight_hours_cannot_burn_the_quota():
    """The guard doubles to fifteen minutes, and the planned renewal still happens."""
    async with running() as shop:
        await shop.pass_time(60)
        for _ in range(8 * 360):
            await shop.loop.report(
                "default", 1, bearer_serial=shop.serial(), payment=None, payment_serial=None
            )
            await shop.pass_time(10)
            assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT) is None
        assert shop.usps.most_in_an_hour([BEARER_SLOT]) <= 10
        assert shop.left() > 1800


async def test_others_go_on_with_the_token_while_it_is_renewed():
    """A reported token is served until the new one is there."""
    async with running() as shop:
        await shop.pass_time(60)
        serial = shop.serial()
        shop.usps.latency_seconds = 5
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                lambda: shop.loop.report(
                    "default", 10, bearer_serial=serial, payment=None, payment_serial=None
                )
            )
            await shop.pass_time(1)
            assert await shop.ask(BEARER_SLOT, wait=0) is None
            assert shop.serial() == serial


async def test_a_failed_renewal_after_a_report_makes_the_slot_suspect():
    """The token is served on, flagged, and the slot is not ready."""
    async with running() as shop:
        await shop.pass_time(60)
        shop.usps.down(0, float("inf"))
        question = await shop.loop.report(
            "default", 2, bearer_serial=shop.serial(), payment=None, payment_serial=None
        )
        assert question.outcome is Outcome.FAILED
        view = shop.loop.broker.snapshot(shop.clock()).slot(BEARER_SLOT)
        assert (view.suspect, view.ready, view.degraded) == (True, False, True)
        assert await shop.ask(BEARER_SLOT) is None


async def test_a_label_refusal_renews_the_bearer_first():
    """Either token may be dead: the bearer is tried first, the payment token stays."""
    async with running() as shop:
        await shop.pass_time(60)
        payment = shop.serial(PAYMENT_SLOT)
        question = await shop.loop.report(
            "default",
            10,
            bearer_serial=shop.serial(),
            payment=PAYMENT_SLOT,
            payment_serial=payment,
        )
        assert question.outcome is Outcome.RENEWED
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 2
        assert shop.serial(PAYMENT_SLOT) == payment


async def test_a_label_refused_again_renews_the_payment_token():
    """The same payment serial refused beside the new bearer: now it is the payment token's turn."""
    async with running() as shop:
        await shop.pass_time(60)
        payment = shop.serial(PAYMENT_SLOT)
        for _ in range(2):
            question = await shop.loop.report(
                "default",
                10,
                bearer_serial=shop.serial(),
                payment=PAYMENT_SLOT,
                payment_serial=payment,
            )
            assert question.outcome is Outcome.RENEWED
        assert shop.serial(PAYMENT_SLOT) != payment
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 2
        assert len(shop.usps.calls_of(PAYMENT_SLOT)) == 2


async def test_a_mis_scoped_bearer_costs_no_payment_call_in_eight_hours():
    """A bearer without `payments`: no call that USPS would refuse, and the reason is said."""
    async with running() as shop:
        shop.usps.scopes = ("addresses", "labels")
        for _ in range(8 * 60):
            denial = await shop.ask(PAYMENT_SLOT, wait=5)
            assert denial.code in {Code.SCOPE_MISSING, Code.NOT_READY}
            await shop.pass_time(60)
        assert denial.code is Code.SCOPE_MISSING
        assert shop.usps.calls_of(PAYMENT_SLOT) == []
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 2


async def test_the_next_bearer_with_the_scope_ends_it():
    """USPS granted the product: the payment token follows the next bearer by itself."""
    async with running() as shop:
        shop.usps.scopes = ("addresses",)
        await shop.pass_time(60)
        shop.usps.scopes = ("addresses", "labels", "payments")
        await shop.pass_time(8 * HOUR)
        assert await shop.ask(PAYMENT_SLOT) is None


async def test_a_payment_401_renews_the_bearer_once():
    """A dead bearer shows first on a payment authorization: it is renewed, and that is enough."""
    async with running() as shop:
        shop.usps.answers = lambda command, _now: (
            UNAUTHORIZED
            if not command.slot.is_bearer and len(shop.usps.calls_of(BEARER_SLOT)) < 2
            else None
        )
        assert await shop.ask(BEARER_SLOT, PAYMENT_SLOT, wait=30) is None
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 2
        assert len(shop.usps.calls_of(PAYMENT_SLOT)) == 2


async def test_a_second_payment_401_halts_the_payment_slot():
    """Another bearer did not help: a person must look, and the bearer is left alone."""
    async with running() as shop:
        shop.usps.answers = lambda command, _now: None if command.slot.is_bearer else UNAUTHORIZED
        await shop.pass_time(600)
        assert phase(shop, PAYMENT_SLOT) is Phase.HALTED
        assert len(shop.usps.calls_of(BEARER_SLOT)) == 2
        assert len(shop.usps.calls_of(PAYMENT_SLOT)) == 2
        denial = await shop.ask(PAYMENT_SLOT)
        assert denial.code is Code.PAYMENT_REFUSED
