import contextlib
import json
import os
import select
import subprocess
from pathlib import Path

import pytest
from processes import DEADLINE_SECONDS, Home, Usps

PYTHON = "UTB_SDKS_PYTHON"
WORKER = Path(__file__).with_name("sdk_worker.py")


@pytest.fixture
def usps():
    """A simulated USPS with lives of eight hours."""
    with Usps() as process:
        yield process


@pytest.fixture
def home(usps):
    """A folder for a broker of that USPS."""
    home = Home(usps.base_url)
    yield home
    home.remove()


@pytest.fixture
def start(usps, home, tmp_path):
    """Start workers of an SDK, which take their tokens at this broker's socket."""
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(
            f"{PYTHON} names no Python that has tests/sdks/requirements.txt and the client; "
            ".ci/run makes one"
        )
    with contextlib.ExitStack() as stack:

        def start_one(sdk, *more, base_url=usps.base_url):
            command = [python, str(WORKER), sdk, base_url, str(tmp_path), *more]
            worker = stack.enter_context(Worker(command, home.socket, tmp_path))
            worker.wait_until_ready()
            return worker

        yield start_one


class Worker:
    """One worker process, ended by its id when the block ends."""

    def __init__(self, command, socket, home):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("USPS_", "PYTHON"))}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**clean, "USPS_TOKEN_SOCKET": str(socket), "HOME": str(home)},
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def wait_until_ready(self):
        """Return once it has made the SDK's object."""
        assert self._told() == {"ok": "ready"}

    def ask(self, what):
        """What came of it: {"ok": …} or {"error": …, "text": …}."""
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._told()

    def do(self, what):
        """What came of it, which is no error."""
        told = self.ask(what)
        assert "ok" in told, told
        return told["ok"]

    def _told(self):
        readable, _, _ = select.select([self._process.stdout], [], [], DEADLINE_SECONDS)
        assert readable, "the worker does not answer"
        line = self._process.stdout.readline()
        assert line, "the worker has ended; its standard error says why"
        return json.loads(line)
