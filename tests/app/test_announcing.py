"""When the service manager is told what."""

import socket

import anyio
import pytest

from usps_token_broker.app.announcing import APART_SECONDS, LOOK_SECONDS, Announcer
from usps_token_broker.drivers.notify import Notifier

pytestmark = pytest.mark.anyio


class Manager:
    """The receiving end, and the words that are to be sent."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0)
        self.words = "ready"
        notifier = Notifier({"NOTIFY_SOCKET": str(path)})
        self.announcer = Announcer(notifier, lambda remarks: "; ".join([self.words, *remarks]))

    def heard(self):
        """Each message since the last time."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path / "notify")
    with manager.socket:
        yield manager


async def test_a_change_is_told(manager):
    """In words, once."""
    async with anyio.create_task_group() as tasks:
        manager.announcer.ready()
        tasks.start_soon(manager.announcer.run)
        await anyio.sleep(5)
        assert manager.heard() == ["READY=1\nSTATUS=ready"]
        manager.words = "two tokens"
        manager.announcer.changed()
        await anyio.sleep(5)
        assert manager.heard() == ["STATUS=two tokens"]
        tasks.cancel_scope.cancel()


async def test_a_change_that_changes_no_word_is_not_told(manager):
    """pid 1 has other things to do."""
    async with anyio.create_task_group() as tasks:
        manager.announcer.ready()
        tasks.start_soon(manager.announcer.run)
        manager.heard()
        manager.announcer.changed()
        await anyio.sleep(5)
        assert manager.heard() == []
        tasks.cancel_scope.cancel()


async def test_many_changes_are_told_once_a_second_and_the_last_is_told(manager):
    """Two hundred a second come to one."""
    async with anyio.create_task_group() as tasks:
        manager.announcer.ready()
        tasks.start_soon(manager.announcer.run)
        heard = []
        for number in range(2000):
            manager.words = f"number {number}"
            manager.announcer.changed()
            await anyio.sleep(0.005)
            heard += manager.heard()
        await anyio.sleep(2 * APART_SECONDS)
        heard += manager.heard()
        assert 10 <= len(heard) <= 14
        assert heard[-1] == "STATUS=number 1999"
        tasks.cancel_scope.cancel()


async def test_what_changed_without_a_word_is_found_in_a_while(manager):
    """A disk that is full is no event of the core's."""
    async with anyio.create_task_group() as tasks:
        manager.announcer.ready()
        tasks.start_soon(manager.announcer.run)
        manager.heard()
        manager.words = "not saved"
        await anyio.sleep(LOOK_SECONDS + APART_SECONDS)
        assert manager.heard() == ["STATUS=not saved"]
        tasks.cancel_scope.cancel()


async def test_what_a_busy_manager_did_not_take_is_told_later(manager):
    """Nothing waits for it meanwhile."""
    async with anyio.create_task_group() as tasks:
        notifier = Notifier({"NOTIFY_SOCKET": manager.socket.getsockname()})
        while notifier.status("noise"):
            pass
        tasks.start_soon(manager.announcer.run)
        manager.words = "news"
        manager.announcer.changed()
        await anyio.sleep(5)
        assert "STATUS=news" not in manager.heard()
        await anyio.sleep(LOOK_SECONDS)
        assert manager.heard() == ["STATUS=news"]
        tasks.cancel_scope.cancel()


async def test_the_result_of_a_reload_stays_in_the_line(manager):
    """A configuration that is refused is still refused an hour later."""
    manager.announcer.reloading("09:12")
    manager.announcer.reloaded("not reloaded: wrong")
    begun, ended = manager.heard()
    assert begun.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert begun.endswith("\nSTATUS=reloading the configuration")
    assert ended == "READY=1\nSTATUS=ready; not reloaded: wrong"


async def test_a_change_under_a_reload_is_told_with_the_reload(manager):
    """One that hangs is not forgotten over the next grant."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(manager.announcer.run)
        manager.announcer.reloading("09:12")
        manager.announcer.changed()
        await anyio.sleep(5)
        assert manager.heard()[-1] == "STATUS=ready; reloading since 09:12"
        tasks.cancel_scope.cancel()


async def test_after_the_end_has_begun_nothing_says_ready(manager):
    """A reload that is cut short by the end is not the end of the end."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(manager.announcer.run)
        manager.announcer.stopping("finishing")
        manager.announcer.reloaded("not reloaded")
        manager.announcer.changed()
        await anyio.sleep(2 * LOOK_SECONDS)
        assert manager.heard() == ["STOPPING=1\nSTATUS=stopping: finishing"]
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (None, "stopped; the tokens are kept"),
        ("no space left", "stopped; the tokens are not kept: no space left"),
    ],
)
async def test_the_last_word_is_whether_the_next_start_finds_the_tokens(manager, trouble, said):
    """It stands in `systemctl status` as long as the service is down."""
    manager.announcer.stopped(trouble)
    assert manager.heard() == [f"STATUS={said}"]


async def test_without_a_manager_no_line_is_made():
    """`run` by hand has nobody to tell."""

    def line(_remarks):
        raise AssertionError

    announcer = Announcer(Notifier({}), line)
    await announcer.run()
