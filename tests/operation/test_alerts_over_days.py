"""The alert rules on the figures of brokers that run for days, on virtual time, in good order."""

import shutil
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
import trio.testing
from interface import app, open_interface
from scraped import Scraped
from virtual import DAY, DOWN, HOUR

from usps_token_broker.app import figures  # noqa: F401 - else the first scrape imports it, in a thread

RULES = Path(__file__).resolve().parents[2] / "systemd" / "prometheus" / "alerts.yml"

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("promtool") is None, reason="this machine has no promtool"),
]


@pytest.fixture
def anyio_backend():
    """A clock that jumps when everybody sleeps."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_a_day_of_renewals_wakes_nobody(tmp_path):
    """From its start on: four times both tokens."""
    async with open_interface() as broker:
        scraped = Scraped(broker)
        await scraped.go_on(DAY + HOUR)
    assert "SUCCESS" in (said := scraped.alerts(RULES, tmp_path)), said


async def test_a_token_that_nobody_asks_for_any_more_wakes_nobody(tmp_path):
    """`keep = "active"`: it comes to its end, with nobody to want another."""
    unused = app()
    kept = tuple(replace(slot, keep_active=True) for slot in unused.payments)
    async with open_interface(replace(unused, payments=kept)) as broker:
        await broker.token("payment")
        await anyio.sleep(DAY - HOUR)
        scraped = Scraped(broker)
        await scraped.go_on(10 * HOUR)
        assert (await broker.get("/metrics")).body.count(b'"spent",slot="payment"} 1.0') == 1
    assert "SUCCESS" in (said := scraped.alerts(RULES, tmp_path)), said


async def test_thirty_payment_tokens_that_are_renewed_in_one_hour_wake_nobody(tmp_path):
    """They use the hour's budget up, as `check` says they may."""
    async with open_interface(app(payments=[f"payment-{n}" for n in range(30)])) as broker:
        await anyio.sleep(6 * HOUR)
        scraped = Scraped(broker)
        await scraped.go_on(3 * HOUR)
        grants = len(broker.usps.calls)
    assert grants == 2 * 31
    assert "SUCCESS" in (said := scraped.alerts(RULES, tmp_path)), said


async def test_an_outage_that_workers_will_notice_wakes_somebody_before_they_do(tmp_path):
    """So the stories above are not quiet for want of anything to see."""
    async with open_interface() as broker:
        await broker.token()
        await anyio.sleep(6 * HOUR)
        broker.usps.answers = lambda _command, _now: DOWN
        scraped = Scraped(broker)
        await scraped.go_on(1.75 * HOUR)
        assert (await broker.get("/v1/tokens/bearer")).status == 200
    said = scraped.alerts(RULES, tmp_path)
    assert '{alertname="UspsTokenDegraded", slot="bearer"}' in said
    assert "UspsTokenExpired" not in said
