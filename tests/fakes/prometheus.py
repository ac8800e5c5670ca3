"""A real Prometheus that scrapes a broker and evaluates our rules, as long as a block lasts."""

import contextlib
import http
import json
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from free_port import free_port
from processes import DEADLINE_SECONDS, Home, until

RULES = Path(__file__).resolve().parents[2] / "systemd" / "prometheus" / "alerts.yml"
CONFIG = """\
global:
  scrape_interval: {seconds}s
  scrape_timeout: {seconds}s
  evaluation_interval: {seconds}s
rule_files: ["{rules}"]
scrape_configs:
  - job_name: usps-token-broker
    static_configs: [{{ targets: {targets} }}]
"""


def listening(home: Home, address: str) -> None:
    """Have brokers of this configuration listen on TCP too."""
    home.change("[apps.default]\n", f'[http]\nlisten = "{address}"\n\n[apps.default]\n')


class Prometheus:
    """The program `prometheus`, of Debian's package or another."""

    def __init__(self, *targets: str, scrape_seconds: int = 1) -> None:
        self._targets, self._scrape_seconds = targets, scrape_seconds

    @staticmethod
    def is_there() -> bool:
        """Whether this machine has it."""
        return shutil.which("prometheus") is not None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opening:
            folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="utb-prom-")))
            port = opening.enter_context(free_port())
            self._url = f"http://127.0.0.1:{port}/api/v1"
            config = folder / "prometheus.yml"
            config.write_text(
                CONFIG.format(
                    seconds=self._scrape_seconds, rules=RULES, targets=json.dumps(self._targets)
                )
            )
            opening.enter_context(self._running(config, folder / "data", port))
            until(lambda: len(self.query("up == 1")) == len(self._targets), "it scrapes nothing")
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @contextlib.contextmanager
    def _running(self, config: Path, data: Path, port: int) -> Iterator[None]:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            ],
            stdin=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(DEADLINE_SECONDS)

    def ask(self, call: str, **query: object) -> Any:
        """The data of one answer; None where it does not answer yet."""
        address = f"{self._url}/{call}?{urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.SERVICE_UNAVAILABLE:  # it has yet to start
                return None
            raise AssertionError(error.read().decode()) from error
        except OSError:
            return None

    def query(self, expression: str) -> list[Any]:
        """What it finds now; each with `metric` and `value`."""
        found = self.ask("query", query=expression)
        return [] if found is None else list(found["result"])
