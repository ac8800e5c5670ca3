"""Whether the loop makes progress, by a clock that stands still in a suspended machine."""

import pytest
from virtual import running

from usps_token_broker.app.loop import HEARTBEAT_SECONDS
from usps_token_broker.app.pulse import ALIVE_WITHIN_SECONDS, Pulse

pytestmark = pytest.mark.anyio


def test_it_is_alive_from_the_start_and_for_three_heartbeats():
    """A loop that has not come round for so long hangs."""
    now = [1000.0]
    pulse = Pulse(lambda: now[0])
    now[0] += ALIVE_WITHIN_SECONDS - 1
    assert pulse.alive()
    now[0] += 1
    assert not pulse.alive()


def test_a_beat_keeps_it_alive():
    """Each time the loop looks at the clock."""
    now = [1000.0]
    pulse = Pulse(lambda: now[0])
    for _ in range(10):
        now[0] += ALIVE_WITHIN_SECONDS - 1
        pulse.beat()
        assert pulse.alive()


async def test_the_loop_beats_each_heartbeat_though_nothing_happens():
    """No sleep of the loop is longer than a heartbeat."""
    beats = []
    async with running(beats=lambda: beats.append(None)) as shop:
        await shop.pass_time(60)
        before = len(beats)
        await shop.pass_time(20 * HEARTBEAT_SECONDS)
        assert len(beats) - before >= 20
