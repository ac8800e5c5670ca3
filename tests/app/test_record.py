"""The recorder: one write at a time, only the newest counts, and trouble is tried again."""

import anyio
import pytest
from virtual import MemorySaver

from usps_token_broker.app.record import AGAIN_SECONDS, Recorder
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Now

pytestmark = pytest.mark.anyio


def state(serial):
    return SavedState("boot", Now(1.0, 2.0), serial)


class SlowSaver(MemorySaver):
    """Takes a second for each save, and counts them."""

    def __init__(self):
        super().__init__()
        self.saves = 0
        self.under_way = 0

    async def save(self, payload):
        self.under_way += 1
        assert self.under_way == 1
        await anyio.sleep(1)
        self.saves += 1
        self.under_way -= 1
        return await super().save(payload)


@pytest.fixture
def saver():
    return SlowSaver()


async def test_of_many_states_the_newest_is_written(saver):
    """What came while another was being written is written once, as it is in the end."""
    recorder = Recorder(saver)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.run)
        for serial in range(100):
            recorder.record(state(serial))
            await anyio.sleep(0.01)
        await recorder.written(recorder.wanted, 10)
        tasks.cancel_scope.cancel()
    assert saver.saved().last_serial == 99
    assert saver.saves <= 3


async def test_written_means_that_version_or_a_later_one(saver):
    """A waiter is let go with the write that covers it, not before."""
    recorder = Recorder(saver)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.run)
        recorder.record(state(1))
        assert recorder.pending()
        await recorder.written(1, 10)
        assert saver.saved().last_serial == 1
        assert not recorder.pending()
        tasks.cancel_scope.cancel()


async def test_patience_ends():
    """A disk that hangs holds nobody for longer than that."""
    recorder = Recorder(MemorySaver())
    recorder.record(state(1))
    before = anyio.current_time()
    await recorder.written(1, 5)
    assert anyio.current_time() - before == pytest.approx(5)


async def test_what_cannot_be_written_is_said_and_holds_nobody(saver):
    """A full disk costs no token."""
    recorder = Recorder(saver)
    saver.trouble = "the disk is full"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.run)
        recorder.record(state(1))
        await recorder.written(1, 10)
        assert recorder.trouble == "the disk is full"
        tasks.cancel_scope.cancel()


async def test_what_could_not_be_written_is_tried_again_by_itself(saver):
    """Room was made on the disk: the next event may be hours away, and a kill may not."""
    recorder = Recorder(saver)
    saver.trouble = "the disk is full"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.run)
        recorder.record(state(7))
        await recorder.written(1, 10)
        saver.trouble = None
        await anyio.sleep(AGAIN_SECONDS + 2)
        assert recorder.trouble is None
        assert saver.saved().last_serial == 7
        saves = saver.saves
        await anyio.sleep(10 * AGAIN_SECONDS)
        assert saver.saves == saves
        tasks.cancel_scope.cancel()
