"""What the workers of the demo are: processes that check addresses and buy labels.

Run as `python -m usps_token_broker.demo.workers`; it forks the workers, as a prefork server does.
Each counts its calls on the pipe that is standard output, a JSON line at a time, and ends when
standard input does.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import select
import signal
import sys
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from usps_token_client import Headers, TokenClient

ADDRESS: Final = "/addresses/v3/address?streetAddress=475+LENFANT+PLZ+SW&city=WASHINGTON&state=DC"
LABEL: Final = "/labels/v3/label"
LABEL_EVERY: Final = 4
TIMEOUT_SECONDS: Final = 10.0


@dataclass
class Tally:
    """What one worker did since it last said so."""

    calls: int = 0
    failed: int = 0
    refused: int = 0
    """Calls that USPS answered 401 first; failed only if the one retry is refused as well."""
    last_failure: str = ""

    def send(self) -> None:
        """Say it; one short write to a pipe is never torn (PIPE_BUF, pipe(7))."""
        line = json.dumps({"pid": os.getpid(), **vars(self)}) + "\n"
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), line.encode())
        self.calls = self.failed = self.refused = 0


class Worker:
    """Makes one call after another, with the headers the broker gives."""

    def __init__(self, socket_path: str, base_url: str, label: bytes) -> None:
        self._tokens = TokenClient(socket_path)
        self._host = urlsplit(base_url).netloc
        self._label = label
        self._connection: http.client.HTTPConnection | None = None
        self.tally = Tally()

    def call(self, number: int) -> None:
        """One call to USPS, with one retry where the broker says that it is worth it."""
        on_label = number % LABEL_EVERY == 0
        path = LABEL if on_label else ADDRESS
        self.tally.calls += 1
        try:
            self._call(path, on_label=on_label)
        except Exception as error:  # noqa: BLE001 - whatever it is, the shop's call has failed
            self.tally.failed += 1
            self.tally.last_failure = f"{type(error).__name__}: {error}"[:200]

    def _call(self, path: str, *, on_label: bool) -> None:
        headers = self._tokens.headers(payment=on_label)
        status, given, body = self._send(path, headers)
        if status == http.client.UNAUTHORIZED:
            self.tally.refused += 1
            verdict = self._tokens.report(status, given, body, path, used=headers)
            if verdict.retry:
                headers = self._tokens.headers(payment=on_label)
                status, given, body = self._send(path, headers)
        if status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"USPS answered {status} to {path}: {body[:80]!r}")

    def _send(self, path: str, headers: Headers) -> tuple[int, dict[str, str], bytes]:
        connection = self._connection or http.client.HTTPConnection(
            self._host, timeout=TIMEOUT_SECONDS
        )
        self._connection = None
        method, body = ("POST", self._label) if path == LABEL else ("GET", None)
        sent = {**headers, "Content-Type": "application/json"} if body else dict(headers)
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        content = response.read()
        # Kept only when all went well: the next call after a fault starts on a new connection.
        self._connection = connection
        return response.status, dict(response.getheaders()), content


def work(worker: Worker, pause_seconds: float) -> None:
    """Call until standard input ends."""
    dice = random.Random(os.getpid())  # noqa: S311 - spreads calls, protects nothing
    number = dice.randrange(LABEL_EVERY)
    while not _told_to_end(pause_seconds * dice.uniform(0.5, 1.5) if number else 0.0):
        number += 1
        worker.call(number)
        worker.tally.send()


def _told_to_end(timeout_seconds: float) -> bool:
    readable, _, _ = select.select([sys.stdin.fileno()], [], [], timeout_seconds)
    return bool(readable)


def main() -> None:
    """Fork the workers and wait for them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--pause", type=float, required=True)
    options = parser.parse_args()
    from usps_token_broker.simulator import EXAMPLE_LABEL  # noqa: PLC0415

    label = json.dumps(dict(EXAMPLE_LABEL)).encode()
    # Ctrl-C is for the demo to handle: it ends the workers by ending their input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: list[int] = []

    def end_all(*_: object) -> None:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    for _ in range(options.count):
        child = os.fork()
        if child == 0:
            work(Worker(options.socket, options.base_url, label), options.pause)
            os._exit(0)
        children.append(child)
    signal.signal(signal.SIGTERM, end_all)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
