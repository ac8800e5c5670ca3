"""The `usps_broker` fixture: `usps-token-broker run` on a socket in a folder of the test's own."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from usps_token_broker.drivers import asking, clock
from usps_token_broker.pytest_plugin import processes
from usps_token_broker.pytest_plugin.usps import Usps

_POLL_SECONDS: Final = 0.01
_RENEWAL_SECONDS: Final = 20
_CONFIG: Final = """\
socket = "{folder}/broker.sock"
state_dir = "{folder}/state"

[apps.default]
base_url = "{base_url}"
client_id = "{client_id}"
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


class UspsBroker:
    """A broker process and what a test does to it. A context manager: leaving it ends all."""

    def __init__(self, usps: Usps) -> None:
        # Not tmp_path, which is long: the path of a Unix socket has at most 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="utb-"))
        self.socket = self._folder / "broker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._write(usps)
            self.start()
        except BaseException:
            self._remove()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def __repr__(self) -> str:
        return f"<UspsBroker {self.socket}, {'running' if self._process else 'not running'}>"

    def start(self) -> None:
        """Start it, again after `stop` or `kill`; returns once each token is there or in trouble.

        Raises:
            RuntimeError: It runs already, or does not start; its standard error says why.
        """
        if self._process is not None:
            raise RuntimeError("the broker runs already; stop() or kill() it first")
        config = str(self._folder / "broker.toml")
        self._process = processes.start("run", "--config", config)
        give_up_at = processes.deadline()
        while not self._has_settled():
            if processes.wait(self._process, _POLL_SECONDS):
                raise RuntimeError("the broker has ended; its standard error says why")
            if clock.boot() > give_up_at:
                raise RuntimeError("the broker does not get to its tokens; see its standard error")

    def stop(self) -> None:
        """End it as a service manager does. Its tokens are kept for `start`."""
        self._end(by_force=False)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end(by_force=True)

    def renew(self, slot: str = "bearer") -> None:
        """Rotate a token now: `bearer`, or `payment`. The old one stays good at USPS.

        Twice in a row; then the broker wants some seconds, as its budget is for renewals in time.

        Raises:
            RuntimeError: It was not renewed; the broker says why.
        """
        admin = self._folder / "state" / "admin.sock"
        target = f"/v1/tokens/{quote(slot, safe='')}/renewals?wait={_RENEWAL_SECONDS}"
        try:
            asking.post([admin], target, _RENEWAL_SECONDS * 2)
        except asking.AskError as error:
            raise RuntimeError(str(error)) from None

    def status(self) -> dict[str, Any]:
        """How every token stands, as `GET /v1/status` says it.

        Raises:
            RuntimeError: It does not run.
        """
        try:
            return asking.get([self.socket], "/v1/status")
        except asking.AskError as error:
            raise RuntimeError(str(error)) from None

    def serial(self, slot: str = "bearer") -> int | None:
        """The number of a token's grant, another one after each renewal; None without a token.

        Raises:
            KeyError: There is no such token.
        """
        serial: int | None = self._slots(self.status())[slot]["serial"]
        return serial

    def _has_settled(self) -> bool:
        try:
            slots = self._slots(self.status())
        except RuntimeError:
            return False
        # A payment token waits for the bearer without trouble of its own.
        return slots["bearer"]["trouble"] is not None or all(
            slot["serial"] is not None or slot["trouble"] is not None for slot in slots.values()
        )

    @staticmethod
    def _slots(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {slot["slot"]: slot for slot in status["apps"][0]["slots"]}

    def _write(self, usps: Usps) -> None:
        self._folder.chmod(0o755)
        secret = self._folder / "client-secret"
        secret.touch(0o600)
        secret.write_text(f"{usps.client_secret}\n", encoding="utf-8")
        text = _CONFIG.format(folder=self._folder, base_url=usps.base_url, client_id=usps.client_id)
        (self._folder / "broker.toml").write_text(text, encoding="utf-8")

    def _end(self, *, by_force: bool) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        processes.end(process, by_force=by_force)

    def _remove(self) -> None:
        self._end(by_force=False)
        shutil.rmtree(self._folder, ignore_errors=True)
