"""Servers as shops run them, as workers that tests/fakes/facts.py can put through its facts."""

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import facts
import pytest
from facts import OK, WORKERS, Said
from free_port import free_port
from processes import DEADLINE_SECONDS, until

APPS = Path(__file__).parent / "apps"
CLIENT = Path(__file__).parents[2] / "clients/python"
VARIABLE = "UTB_SERVERS_PYTHON"


def python():
    """The Python that has requirements.txt beside this file; our own client is on its path."""
    found = os.environ.get(VARIABLE)
    if not found:
        pytest.skip(f"{VARIABLE} names no Python with tests/servers/requirements.txt")
    return found


class Server:
    """A server and its log, ended with all its workers."""

    def __init__(self, command, environ):
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env={**facts.clean_environ(), "PYTHONPATH": f"{CLIENT}:{APPS}", **environ},
            start_new_session=True,
        )

    def said(self):
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def is_up(self):
        assert self.process.poll() is None, self.said()
        return True

    def end(self):
        try:
            self.process.terminate()
            self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(self.said()) from None
        finally:
            self.log.close()


class Asked:
    """Workers of a server that hand on what was said, each with its process."""

    def __init__(self, ask, preloaded_by=None):
        self._ask = ask
        self._preloaded_by = preloaded_by
        self.pids = set()

    def round(self):
        """Ask until every worker has been heard."""
        answers, pids = [], set()

        def heard_all():
            answers.extend(self._ask())
            pids.update(one["pid"] for one in answers)
            return len(pids) >= WORKERS

        until(heard_all, lambda: f"only {len(pids)} workers answer")
        self.pids = pids
        if self._preloaded_by is not None:
            assert {one["loaded_by"] for one in answers} == {self._preloaded_by}
            assert self._preloaded_by not in pids
        return [Said(one["status"], one["what"]) for one in answers]

    def fork(self):
        """They are children already, of a parent that has used the client."""
        return self.round()


def get(port):
    """One request: which worker answers is the kernel's choice."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read()
        assert response.status == OK, body
        return json.loads(body)


def environ_of(shop):
    """What an application is told; also when no token can be had, so that it may start at all."""
    refused = shop.home.get("/v1/tokens/bearer")[0] != OK
    return {**shop.environ, **({"REFUSED": "1"} if refused else {})}


@contextlib.contextmanager
def http_server(command, shop, *, preloads):
    """Workers behind HTTP: `command` is made of a port."""
    with free_port() as port, ThreadPoolExecutor(2 * WORKERS) as pool:
        server = Server(command(port), environ_of(shop))
        try:
            until(lambda: server.is_up() and is_open(port), server.said)
            pid = server.process.pid if preloads else None
            workers = Asked(lambda: pool.map(get, [port] * 2 * WORKERS), pid)
            workers.server = server
            yield workers
        finally:
            server.end()


@contextlib.contextmanager
def celery_pool(shop):
    """Processes of a celery worker, and a process that sends them tasks."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("queue", "control", "results"):
            Path(folder, name).mkdir()
        environ = {**environ_of(shop), "QUEUE_FOLDER": folder}
        options = ("-P", "prefork", "-c", str(WORKERS), "-l", "INFO", "--without-gossip")
        server = Server(
            [python(), "-m", "celery", "-A", "shop_celery", "worker", *options], environ
        )
        try:
            sender = Sender(environ)
            try:
                workers = Asked(sender.ask)
                workers.server = server
                yield workers
            finally:
                sender.end()
        finally:
            server.end()


class Sender:
    """A process with celery in it, as a web worker is, which sends tasks and hears results."""

    def __init__(self, environ):
        self._process = subprocess.Popen(
            [python(), str(APPS / "shop_celery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**facts.clean_environ(), "PYTHONPATH": f"{CLIENT}:{APPS}", **environ},
        )

    def ask(self):
        self._process.stdin.write("call\n")
        self._process.stdin.flush()
        readable, _, _ = select.select([self._process.stdout], [], [], DEADLINE_SECONDS)
        assert readable, "no task came to its end"
        return json.loads(self._process.stdout.readline())

    def end(self):
        """Close its input; where that does not end it a task was lost, as `ask` has said."""
        try:
            self._process.communicate(timeout=DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
