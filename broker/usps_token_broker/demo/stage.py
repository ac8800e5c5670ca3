"""The processes of the demo: started, watched, and ended, by their id, whatever happens."""

import contextlib
import http.client
import importlib.util
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from usps_token_broker.drivers import clock

EX_UNAVAILABLE: Final = 69
EX_SOFTWARE: Final = 70
START_SECONDS: Final = 15.0
END_SECONDS: Final = 8.0

_CONFIG: Final = """\
socket = "{folder}/broker.sock"
state_dir = "{folder}/state"

[apps.default]
base_url = "{base_url}"
client_id = "demo-client-id"
client_secret = {{ file = "{folder}/client-secret" }}
calls_per_hour = 3600

[apps.default.bearer]
[apps.default.payments.default]
required = true
roles = [
  {{ roleName = "PAYER", CRID = "12345678", MID = "900012345", manifestMID = "900012345", \
accountType = "EPS", accountNumber = "1000000001" }},
  {{ roleName = "LABEL_OWNER", CRID = "12345678", MID = "900012345", manifestMID = "900012345" }},
]
"""


class StageError(Exception):
    """The demo cannot be played. The text says what, why and what to do."""

    def __init__(self, text: str, exit_code: int = EX_SOFTWARE) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class Stage:
    """A folder and three kinds of processes. A context manager: leaving it ends them all."""

    def __init__(self, life_seconds: int) -> None:
        if importlib.util.find_spec("usps_token_client") is None:
            raise StageError(
                "the demo's workers take their tokens by usps-token-client, which is not "
                "installed here\ninstall it beside the broker: pip install ./clients/python",
                EX_UNAVAILABLE,
            )
        self._life_seconds = life_seconds
        self._processes: list[subprocess.Popen[bytes]] = []
        self.folder = Path(tempfile.mkdtemp(prefix="usps-demo-"))
        self.base_url = ""
        self.tallies: int = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def socket(self) -> Path:
        """The broker's socket."""
        return self.folder / "broker.sock"

    def start_simulator(self) -> None:
        """Start the simulated USPS on a free port of loopback."""
        life = str(self._life_seconds)
        command = ["simulate", "--port", "0", "--life", life, "--json", "--quota", "token=3600"]
        process = self._start([*command, "--quota", "payment-authorization=3600"], "simulator")
        line = self._first_line(process)
        self.base_url = json.loads(line)["base_url"]

    def start_broker(self) -> None:
        """Start the broker; it need not be ready, workers wait for it."""
        secret = self.folder / "client-secret"
        secret.touch(0o600)
        secret.write_text("demo-client-secret\n", encoding="ascii")
        config = self.folder / "broker.toml"
        config.write_text(
            _CONFIG.format(folder=self.folder, base_url=self.base_url), encoding="utf-8"
        )
        process = self._start(["run", "--config", str(config)], "broker")
        give_up_at = clock.boot() + START_SECONDS
        while not self.socket.exists():
            self._must_live(process, "broker")
            if clock.boot() > give_up_at:
                raise StageError(f"the broker does not start:\n{self._log('broker')}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)

    def start_workers(self, count: int, pause_seconds: float) -> None:
        """Start the workers; `tallies` is the pipe on which they count."""
        read_end, write_end = os.pipe()
        options = ["--socket", str(self.socket), "--base-url", self.base_url]
        options += ["--count", str(count), "--pause", f"{pause_seconds:.3f}"]
        with (self.folder / "workers.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "usps_token_broker.demo.workers", *options],
                stdin=subprocess.PIPE,
                stdout=write_end,
                stderr=log,
            )
        os.close(write_end)
        os.set_blocking(read_end, False)
        self.tallies = read_end
        self._processes.append(process)

    def _start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("USPS_")}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", f"{__package__}.tied", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environ,
                # Ctrl-C is for us: we end each in its turn.
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(START_SECONDS):
                raise StageError(f"the simulator does not start:\n{self._log('simulator')}")
        line = process.stdout.readline()
        if not line:
            raise StageError(f"the simulator does not start:\n{self._log('simulator')}")
        return line

    def check(self) -> None:
        """Raise StageError when the simulator or the broker has ended."""
        for process, name in zip(self._processes, ("simulator", "broker"), strict=False):
            self._must_live(process, name)

    def _must_live(self, process: subprocess.Popen[bytes], name: str) -> None:
        if process.poll() is not None:
            raise StageError(f"the {name} ended with {process.returncode}:\n{self._log(name)}")

    def _log(self, name: str) -> str:
        text = (self.folder / f"{name}.log").read_text("utf-8", "replace")
        return "\n".join(text.splitlines()[-20:]) or "(it said nothing)"

    def ask_simulator(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        """One call to the simulator's own controls; JSON in and out."""
        connection = http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=5)
        try:
            content = None if body is None else json.dumps(body)
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, content, headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def dismiss_workers(self) -> None:
        """Let the workers finish their call and end."""
        workers = self._processes[-1]
        if workers.stdin is not None:
            workers.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            workers.wait(END_SECONDS)

    def end(self) -> None:
        """End every process that was started and remove the folder."""
        for process in reversed(self._processes):
            if process.stdin is not None:
                process.stdin.close()
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self.tallies >= 0:
            os.close(self.tallies)
            self.tallies = -1
        shutil.rmtree(self.folder, ignore_errors=True)
