"""Keys as they are at each call, whatever the file and its disk do."""

import os
import threading

import anyio
import pytest

from usps_token_broker.app import key_ring
from usps_token_broker.app.key_ring import KeyRing
from usps_token_broker.app.usps_door import KeysUnusableError
from usps_token_broker.drivers import key_file
from usps_token_broker.wire.local_keys import LocalKey, encode

pytestmark = pytest.mark.anyio
KEY = LocalKey("a", "utba", "0" * 64, "default", ("bearer",), 0.0)


def write(path, *keys):
    key_file.change(path, lambda _before: encode(keys), os.geteuid())


@pytest.fixture
def anyio_backend():
    """Files are read in real threads, for which a jumping clock does not wait."""
    return "asyncio"


@pytest.fixture
def ring(tmp_path):
    """Of a file that is not there yet, with what was said of it."""
    said = []
    made = KeyRing(tmp_path / "keys.json", os.geteuid(), said.append)
    made.path, made.said = tmp_path / "keys.json", said
    return made


async def test_each_call_sees_the_file_as_it_is(ring):
    """Made, changed, and taken away."""
    assert await ring.keys() == ()
    write(ring.path, KEY)
    assert await ring.keys() == (KEY,)
    write(ring.path)
    assert await ring.keys() == ()
    write(ring.path, KEY)
    ring.path.unlink()
    assert await ring.keys() == ()
    assert not ring.said


async def test_a_trouble_is_said_once_until_it_is_another(ring):
    """Or has been over."""
    for content, times in ((b"{", 1), (b"{", 1), (b"[]", 2)):
        ring.path.write_bytes(content)
        with pytest.raises(KeysUnusableError):
            await ring.keys()
        assert len(ring.said) == times
    write(ring.path, KEY)
    await ring.keys()
    ring.path.write_bytes(b"[]")
    with pytest.raises(KeysUnusableError):
        await ring.keys()
    assert len(ring.said) == 3
    assert str(ring.path) in ring.said[0]


async def test_a_disk_that_hangs_opens_nothing_and_holds_nobody_up(ring, monkeypatch):
    """More calls than there are threads; once it answers, all is well again."""
    answers = threading.Event()
    read = key_ring.read

    def hang(path, uid):
        answers.wait(30)
        return read(path, uid)

    monkeypatch.setattr(key_ring, "read", hang)
    monkeypatch.setattr(key_ring, "PATIENCE_SECONDS", 0.05)
    refused = []

    async def ask():
        with pytest.raises(KeysUnusableError):
            await ring.keys()
        refused.append(1)

    try:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)
        assert len(refused) == 10
        await anyio.to_thread.run_sync(int)  # those of everybody else are free
        assert ring.said == [f"{ring.path} was not read within 0.05 s"]
    finally:
        answers.set()
    monkeypatch.setattr(key_ring, "PATIENCE_SECONDS", 30.0)
    assert await ring.keys() == ()
