"""What the store could not do, as a sentence; what lay there and cannot be used, set aside."""

import logging

import pytest

from usps_token_broker.app.keeping import Keeper
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Now
from usps_token_broker.drivers.store import Store
from usps_token_broker.wire import state as wire_state

pytestmark = pytest.mark.anyio
STATE = SavedState("boot", Now(1.0, 2.0), 7)


@pytest.fixture
def anyio_backend():
    """A real store, in threads."""
    return "asyncio"


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "state")
    store.open()
    yield store
    store.close()


async def test_what_is_saved_is_loaded(store):
    """As it was."""
    keeper = Keeper(store)
    assert await keeper.save(wire_state.encode(STATE)) is None
    assert await keeper.load() == STATE


async def test_nothing_is_nothing(store):
    """The first start."""
    assert await Keeper(store).load() is None


async def test_bytes_of_a_past_that_makes_no_sense_are_set_aside(store, caplog):
    """Whole by its checksum, and no state of ours: said, kept, and not fatal."""
    store.save(b'{"tokens": "canary"}')
    with caplog.at_level(logging.WARNING):
        assert await Keeper(store).load() is None
    assert "set aside as" in caplog.text
    assert "damaged-1" in caplog.text
    assert "canary" not in caplog.text
    assert await Keeper(store).load() is None


async def test_a_directory_that_is_gone_is_said_once(store, caplog, tmp_path):
    """Each save tells its caller; the log tells the beginning and the end."""
    keeper = Keeper(store)
    (tmp_path / "state").rename(tmp_path / "moved")
    with caplog.at_level(logging.INFO):
        assert await keeper.save(b"{}") is None  # the directory is held by its descriptor
        for file in (tmp_path / "moved").iterdir():
            file.unlink()
        (tmp_path / "moved").rmdir()
        troubles = [await keeper.save(b"{}") for _ in range(3)]
    assert all("removed or replaced" in trouble for trouble in troubles)
    assert caplog.text.count("the state is not saved") == 1


async def test_the_end_of_the_trouble_is_said(store, caplog):
    """So that whoever made room knows that it was enough."""
    keeper = Keeper(store)
    with caplog.at_level(logging.INFO):
        assert await keeper.save(b"x" * 17_000_000) is not None
        assert await keeper.save(b"{}") is None
    assert "the state is saved again" in caplog.text
