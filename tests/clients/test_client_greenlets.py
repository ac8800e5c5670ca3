"""Sockets, locks and sleep that gevent or eventlet has replaced, before our import or after."""

from __future__ import annotations

import _thread
import socket
import time

import pytest

from usps_token_client import _driving


@pytest.fixture
def made(monkeypatch):
    """Puts another class in place of Python's sockets; how many of them were made."""
    made = []

    def put(module):
        class Replaced(socket.socket):
            def __init__(self, *arguments, **options):
                super().__init__(*arguments, **options)
                # The scripted broker, which accepts, is in this process too.
                if options.get("fileno") is None:
                    made.append(self.family)

        Replaced.__module__ = module
        monkeypatch.setattr(socket, "socket", Replaced)
        return made

    return put


@pytest.mark.parametrize("module", ["gevent._socket3", "eventlet.greenio.base"])
def test_cooperative_sockets_are_used(tokens, made, module):
    """One greenlet that waits for the broker must not stop the others."""
    asked = made(module)
    assert tokens.bearer().value == "bearer-1"
    assert asked == [socket.AF_UNIX]


def test_other_replacements_are_not(tokens, made):
    """Such as those of a test tool that forbids the network."""
    asked = made("pytest_socket")
    assert tokens.bearer().value == "bearer-1"
    assert asked == []


def test_locks_identities_and_sleep_are_looked_up_late(monkeypatch):
    """gunicorn with `preload_app` patches once the application was loaded."""
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(_thread, "get_ident", lambda: 77)
    lock = _thread.allocate_lock()
    monkeypatch.setattr(_thread, "allocate_lock", lambda: lock)
    flight = _driving.ThreadFlight()
    assert lock.locked()
    assert flight.mine()
    monkeypatch.setattr(_thread, "get_ident", lambda: 78)
    assert not flight.mine()
    _driving.pause(3.0)
    assert slept == [3.0]
