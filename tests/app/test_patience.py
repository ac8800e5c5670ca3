"""Work that hangs: given up in time, left behind once, and begun again when it is over."""

import threading

import anyio
import anyio.lowlevel
import pytest

from usps_token_broker.app.patience import Patient, StuckError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Threads are real, so time is."""
    return "asyncio"


class Work:
    """Hangs until it is let go, and counts how often it was begun."""

    def __init__(self):
        self.begun = 0
        self.let_go = threading.Event()
        self.over = threading.Event()

    def __call__(self):
        self.begun += 1
        self.let_go.wait(30)
        self.over.set()
        return self.begun


@pytest.fixture
def work():
    work = Work()
    yield work
    work.let_go.set()


async def test_what_ends_in_time_is_given(work):
    """As if it had been called."""
    work.let_go.set()
    assert await Patient(work, 30)() == 1


async def test_what_it_raises_is_raised():
    """And the next turn is begun."""
    patient = Patient(lambda: 1 // 0, 30)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await patient()


async def test_what_hangs_is_begun_once_however_often_it_is_asked_for(work):
    """Each time a thread would be left behind, and no more than forty are there for all."""
    patient = Patient(work, 0.01)
    for _ in range(50):
        with pytest.raises(StuckError):
            await patient()
    assert work.begun == 1


async def test_what_no_longer_hangs_is_begun_again(work):
    """The share is back."""
    patient = Patient(work, 0.01)
    with pytest.raises(StuckError):
        await patient()
    work.let_go.set()
    assert work.over.wait(30)
    with anyio.fail_after(30):
        while True:
            try:
                assert await patient() == 2
            except StuckError:
                await anyio.lowlevel.checkpoint()  # its thread is about to end
            else:
                break
