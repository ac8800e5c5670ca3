import pytest
import trio.testing


@pytest.fixture
def anyio_backend():
    """The app runs on trio here, whose clock jumps when everybody sleeps."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
