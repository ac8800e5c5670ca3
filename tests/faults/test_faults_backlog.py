"""A backlog that is really full: a stopped broker, and more callers than the kernel lets queue."""

import asyncio
import contextlib
import json
import os
import resource
import select
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from identities import request
from processes import DEADLINE_SECONDS, Home, Usps, until

from usps_token_client import AsyncTokenClient, BrokerError, TokenClient

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")

BEARER = request("/v1/tokens/bearer")
BACKLOG = 4096
"""What the broker asks for; the kernel grants net.core.somaxconn at most (listen(2))."""
SHARE = 1000
"""Connections of one user, fewer than the broker allows it."""
USERS = range(54010, 54010 + BACKLOG // SHARE + 2)


class Crowd:
    """A process of a user, with as many callers in the queue as there is room for."""

    def __init__(self, path, uid):
        self._line, line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.settimeout(DEADLINE_SECONDS)
        self._child = os.fork()
        if self._child == 0:
            status = 1
            try:
                self._line.close()
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                _queue_up(line, path)
                status = 0
            finally:
                os._exit(status)
        line.close()
        self.queued = self.told()

    def told(self, word=b""):
        """What it counted; it is asked with a word, but the first time."""
        if word:
            self._line.send(word)
        return int(self._line.recv(100))

    def leave(self):
        """End it, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        self._line.close()


def _queue_up(line, path):
    """Be a crowd: queue, count the answers that are there, read them all."""
    callers = []
    while len(callers) < SHARE:
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(0)
        try:
            caller.connect(path)
        except BlockingIOError:
            caller.close()
            break
        caller.send(BEARER)
        callers.append(caller)
    line.send(b"%d" % len(callers))
    poll = select.poll()
    for caller in callers:
        poll.register(caller, select.POLLIN)
    line.recv(100)
    line.send(b"%d" % len(poll.poll(0)))
    line.recv(100)
    line.send(b"%d" % sum(_read(caller).startswith(b"HTTP/1.1 200 ") for caller in callers))


def _read(caller):
    caller.settimeout(DEADLINE_SECONDS)
    said = b""
    while more := caller.recv(65536):
        said += more
    return said


@pytest.fixture(autouse=True)
def many_descriptors():
    """Each process plays many callers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def home():
    """A broker that holds its tokens, for all these users."""
    with Usps() as usps:
        home = Home(usps.base_url, bearer=f"users = {list(USERS)}")
        try:
            with home.broker() as broker:
                home.first_token()
                home.process = broker
                yield home
        finally:
            home.remove()


@contextlib.contextmanager
def stopped(process):
    """The broker does not move while the block runs."""
    process.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.process.send_signal(signal.SIGCONT)


def descriptors(home):
    return len(list(home.process.proc("fd").iterdir()))


async def ask_in_a_loop(path):
    return await AsyncTokenClient(path, timeout=0.2).bearer()


def test_a_full_backlog_costs_a_caller_its_deadline_and_loses_nobody(home, rounds, tried, figure):
    """Who finds no room is told so in time, or waits as long as it may; then all are served."""
    path = str(home.socket)
    room = min(BACKLOG, int(Path("/proc/sys/net/core/somaxconn").read_text()))
    for _ in range(rounds(1, 10)):
        before = descriptors(home)
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(1))
            with stopped(home.process):
                crowds = []
                for uid in USERS:
                    crowds.append(Crowd(path, uid))
                    stack.callback(crowds[-1].leave)
                queued = sum(crowd.queued for crowd in crowds)
                assert queued > room
                assert crowds[-1].queued < SHARE, "there was always room"
                for ask in (
                    TokenClient(path, timeout=0.2).bearer,
                    lambda: asyncio.run(ask_in_a_loop(path)),
                ):
                    with pytest.raises(BrokerError, match="more callers queued") as told:
                        ask()
                    assert told.value.code == "busy"
                    assert told.value.fix
                patient = pool.submit(TokenClient(path, timeout=DEADLINE_SECONDS).bearer)
            assert patient.result().value
            answered = sum(crowd.told(b"count") for crowd in crowds)
            assert sum(crowd.told(b"read") for crowd in crowds) == queued
        assert TokenClient(path, timeout=DEADLINE_SECONDS).bearer().value
        until(lambda before=before: descriptors(home) <= before)
        assert json.loads(home.get("/healthz")[2])["alive"]
        assert "Traceback" not in home.process.errors()
        figure(
            "answers to callers queued before, until one that found no room had its own", answered
        )
        tried("a backlog that is full", queued, queued + 11)
