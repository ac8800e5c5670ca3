"""Real processes for end-to-end tests: a simulated USPS, a broker, and many workers."""

import contextlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import pytest

from usps_token_broker.drivers import clock

T = TypeVar("T")

DEADLINE_SECONDS = 30.0

CONFIG = """\
socket = "{folder}/broker.sock"
state_dir = "{folder}/state"

[apps.default]
base_url = "{base_url}"
client_id = "demo-client-id"
client_secret = {{ file = "{folder}/client-secret" }}
{app}

[apps.default.bearer]
{bearer}

[apps.default.payments.default]
{payment}
roles = [
  {{ roleName = "PAYER", CRID = "12345678", MID = "900012345", manifestMID = "900012345", \
accountType = "EPS", accountNumber = "1000000001" }},
  {{ roleName = "LABEL_OWNER", CRID = "12345678", MID = "900012345", manifestMID = "900012345" }},
]
"""


def until(condition: Callable[[], T], what: object = "it did not come true") -> T:
    """The first true value of a condition that other processes make true."""
    give_up_at = clock.boot() + DEADLINE_SECONDS
    while clock.boot() < give_up_at:
        value = condition()
        if value:
            return value
        select.select([], [], [], 0.01)
    raise AssertionError(what() if callable(what) else what)


class Process:
    """One of our commands, running; ended by its id when the block ends."""

    def __init__(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        preexec_fn: Callable[[], None] | None = None,
    ) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("USPS_", "NOTIFY_", "PYTEST_CURRENT_TEST"))
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**clean, **(environ or {})},
            preexec_fn=preexec_fn,  # noqa: PLW1509 - it sets limits, and tests have no threads
        )

    def first_line(self) -> bytes:
        """The first line of its output."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], DEADLINE_SECONDS)
        assert readable, self.errors()
        return self.process.stdout.readline()

    def errors(self) -> str:
        """What it wrote to standard error so far."""
        position = self.log.tell()
        self.log.seek(0)
        text = self.log.read().decode("utf-8", "replace")
        self.log.seek(position)
        return text

    def proc(self, name: str) -> Path:
        """A file of it in /proc, of those that the kernel shows to root alone."""
        if os.geteuid() != 0:
            pytest.skip("only root can look into a broker")
        return Path(f"/proc/{self.process.pid}/{name}")

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(DEADLINE_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.log.close()


class Usps(Process):
    """A simulated USPS in a process of its own."""

    def __init__(self, *options: str) -> None:
        super().__init__("usps_token_broker", "simulate", "--port", "0", "--json", *options)
        self.base_url: str = json.loads(self.first_line())["base_url"]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One call of its controls."""
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=10)
        with contextlib.closing(connection):
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            assert response.status < 300, text
            return json.loads(text)

    def calls(self, endpoint: str) -> int:
        """Calls it saw: `token`, `payment-authorization`, `addresses`, `labels`."""
        total: int = self.ask("GET", "/sim/calls")["by_endpoint"][endpoint]["total"]
        return total

    def most_at_once(self, endpoint: str) -> int:
        """The highest number of calls of one app for the same thing that were under way at once."""
        seen = self.ask("GET", "/sim/calls")["by_endpoint"][endpoint]["most_at_once"]
        return max(seen.values(), default=0)


class Home:
    """A folder with a configuration, in which brokers are started one after another."""

    def __init__(
        self, base_url: str, *, app: str = "", bearer: str = "", payment: str = ""
    ) -> None:
        # Short, since the path of a Unix socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="utb-"))
        self.folder.chmod(0o755)
        self.socket = self.folder / "broker.sock"
        self.config = self.folder / "broker.toml"
        secret = self.folder / "client-secret"
        secret.touch(0o600)
        secret.write_text("demo-client-secret\n")
        self.config.write_text(
            CONFIG.format(
                folder=self.folder, base_url=base_url, app=app, bearer=bearer, payment=payment
            )
        )

    def lift_rates(self) -> None:
        """Have the broker serve any number of requests and reports a minute."""
        limits = "\n[limits]\nrequests_per_minute_per_uid = 0\nreports_per_minute_per_uid = 0\n"
        self.config.write_text(self.config.read_text() + limits)

    @contextlib.contextmanager
    def broker(self, environ: Mapping[str, str] | None = None) -> Iterator[Process]:
        """A broker that has been asked to start; it listens when the block begins."""
        options = ("run", "--config", str(self.config))
        with Process("usps_token_broker", *options, environ=environ) as process:
            self.wait_for_socket(process)
            yield process

    def wait_for_socket(self, process: Process) -> None:
        """Wait until somebody listens."""
        give_up_at = clock.boot() + DEADLINE_SECONDS
        while clock.boot() < give_up_at:
            assert process.process.poll() is None, process.errors()
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
                probe.connect(str(self.socket))
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.process.wait(0.01)
        raise AssertionError(process.errors())

    def get(
        self, target: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One GET on the broker's socket: status, headers, body."""
        return self.ask("GET", target, None, headers)

    def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        admin: bool = False,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on the broker's socket, or on the administrator's."""
        path = self.folder / "state" / "admin.sock" if admin else self.socket
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(DEADLINE_SECONDS)
        with contextlib.closing(connection):
            connection.sock.connect(str(path))
            content = None if body is None else json.dumps(body)
            connection.request(method, target, content, dict(headers or {}))
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def renew(self, slot: str, wait: float) -> tuple[int, dict[str, Any]]:
        """What an order for another token is answered: a problem says what to do."""
        status, _, body = self.ask("POST", f"/v1/tokens/{slot}/renewals?wait={wait}", admin=True)
        told: dict[str, Any] = json.loads(body)
        assert status < 300 or (told["code"] and told["detail"] and told["fix"]), told
        return status, told

    def command(
        self, name: str, *options: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One of our commands about this configuration, run to its end."""
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("USPS_", "NOTIFY_", "PYTEST_CURRENT_TEST"))
        }
        return subprocess.run(
            [sys.executable, "-m", "usps_token_broker", name, "--config", self.config, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS * 3,
            env={**clean, **(environ or {})},
            check=False,
        )

    def change(self, old: str, new: str) -> None:
        """Change some text of the configuration, which must be there once."""
        text = self.config.read_text()
        assert text.count(old) == 1, text
        self.config.write_text(text.replace(old, new))

    def write_secret(self, secret: str) -> None:
        """Put another client secret into its file, whole at any instant."""
        beside = self.folder / "client-secret.new"
        beside.touch(0o600)
        beside.write_text(f"{secret}\n")
        beside.replace(self.folder / "client-secret")

    def token(self, slot: str = "bearer") -> dict[str, Any]:
        """A token as JSON."""
        status, _, body = self.get(f"/v1/tokens/{slot}")
        assert status == 200, body
        message: dict[str, Any] = json.loads(body)
        return message

    def first_token(self, slot: str = "bearer") -> dict[str, Any]:
        """A token as JSON, once a broker that has just begun holds it."""
        until(lambda: self.get(f"/v1/tokens/{slot}?wait=1")[0] == 200, self.status)
        return self.token(slot)

    def status(self) -> Any:
        """How everything stands."""
        return json.loads(self.get("/v1/status")[2])

    def slot(self, name: str = "bearer") -> Any:
        """How one token stands."""
        slots = {slot["slot"]: slot for slot in self.status()["apps"][0]["slots"]}
        return slots[name]

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)
