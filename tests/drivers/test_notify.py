"""Telling the service manager."""

import os
import socket
import tempfile
from pathlib import Path

import pytest

from usps_token_broker.drivers.notify import Notifier


@pytest.fixture
def manager():
    """A socket in the service manager's place."""
    with (
        tempfile.TemporaryDirectory(prefix="utb-") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving,
    ):
        receiving.settimeout(10)
        receiving.bind(f"{directory}/notify")
        yield receiving


def notifier(receiving, **more):
    """One that talks to this socket."""
    return Notifier({"NOTIFY_SOCKET": receiving.getsockname(), **more})


@pytest.mark.parametrize(
    ("tell", "datagram"),
    [
        (lambda n: n.ready(), "READY=1"),
        (lambda n: n.ready("2 tokens"), "READY=1\nSTATUS=2 tokens"),
        (lambda n: n.status("fetching"), "STATUS=fetching"),
        (lambda n: n.reloading(1234567), "RELOADING=1\nMONOTONIC_USEC=1234567"),
        (lambda n: n.reloading(7, "wait"), "RELOADING=1\nMONOTONIC_USEC=7\nSTATUS=wait"),
        (lambda n: n.stopping(), "STOPPING=1"),
        (lambda n: n.stopping("bye"), "STOPPING=1\nSTATUS=bye"),
        (lambda n: n.watchdog(), "WATCHDOG=1"),
        (lambda n: n.main_pid(42), "MAINPID=42"),
        (lambda n: n.status("good until 03:12, ü"), "STATUS=good until 03:12, ü"),
    ],
)
def test_each_message_is_one_datagram(manager, tell, datagram):
    """What sd_notify(3) expects, in one datagram."""
    assert tell(notifier(manager)) is True
    assert manager.recv(4096).decode() == datagram


def test_status_cannot_say_more_than_a_status(manager):
    """A line break in a status, which may quote USPS, begins no assignment of its own."""
    notifier(manager).status("a\nMAINPID=1\r\nb")
    assert manager.recv(4096) == b"STATUS=a MAINPID=1 b"


def test_status_is_bounded(manager):
    """A long status is cut."""
    notifier(manager).status("x" * 100_000)
    assert len(manager.recv(200_000)) < 1000


def test_text_that_is_no_unicode_is_sent(manager):
    """Half a surrogate pair is no reason to fail."""
    assert notifier(manager).status("a\udcffb")
    assert manager.recv(4096) == b"STATUS=a?b"


def test_abstract_socket():
    """A name with @ is in the abstract namespace (unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind("")  # the kernel picks an abstract name
        name = receiving.getsockname()
        assert Notifier({"NOTIFY_SOCKET": "@" + os.fsdecode(name[1:])}).ready()
        receiving.settimeout(10)
        assert receiving.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    "named", [None, "", "vsock:2:1234", "relative", "/nowhere", "/" + "x" * 200]
)
def test_without_a_manager_nothing_happens(named):
    """No manager, or one that cannot be reached, is silence and never an exception."""
    quiet = Notifier({} if named is None else {"NOTIFY_SOCKET": named})
    assert quiet.ready() is False
    assert quiet.status("x") is False
    assert quiet.watchdog() is False


def test_empty_status_is_not_sent(manager):
    """Nothing to say is not said."""
    assert notifier(manager).status("  ") is False


def test_full_manager_is_given_up_on(manager):
    """A manager that does not read holds us up for a moment only."""
    manager.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    busy = notifier(manager)
    assert any(not busy.status("x") for _ in range(1000))


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "abc"}, None),
        ({"WATCHDOG_USEC": "٣"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
    ],
)
def test_watchdog_interval(environment, seconds):
    """Half of the time the manager allows, when it is us that it watches."""
    assert Notifier(environment).watchdog_interval_seconds == seconds


def test_address_is_read_once(manager):
    """What happens to the environment later changes nothing."""
    environment = {"NOTIFY_SOCKET": manager.getsockname()}
    early = Notifier(environment)
    environment.clear()
    assert early.ready()
    assert Path(manager.getsockname()).is_socket()


def test_whether_anybody_listens(manager):
    """Where nobody does, no words need to be made."""
    assert notifier(manager).is_heard
    assert not Notifier({}).is_heard
    assert not Notifier({"NOTIFY_SOCKET": "vsock:2:1234"}).is_heard
