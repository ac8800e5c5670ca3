"""Half an hour of real work, and whether the broker grows: `python tests/faults/soak.py --help`.

A simulated USPS whose tokens live four minutes, a broker, and worker processes that ask, each with
a new client now and then; one of them is killed and replaced at every sample. What the kernel says
of the broker is drawn as a picture.
"""

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from processes import Home, Process, Usps

LIFE_SECONDS = 240
SAMPLE_SECONDS = 5.0
ASKS_PER_REPORT = 50
WORKER = """
import sys, time
from usps_token_client import BrokerError, TokenClient
asked = failed = 0
while True:
    if asked % 10 == 0:
        tokens = TokenClient(sys.argv[1])
    asked += 1
    try:
        tokens.headers(payment=True)
    except BrokerError as error:
        failed += 1
        print("error:", error, file=sys.stderr, flush=True)
    if asked % %(report)d == 0:
        print(failed, flush=True)
        failed = 0
    time.sleep(0.2)
""".replace("%(report)d", str(ASKS_PER_REPORT))


@dataclass(frozen=True, slots=True)
class Sample:
    """What the kernel says of the broker at one moment."""

    at_minutes: float
    resident_mib: float
    descriptors: int
    threads: int


@dataclass
class Told:
    """What workers reported."""

    asked: int = 0
    failed: int = 0


class Crowd:
    """Worker processes, one of which is replaced whenever that is asked for."""

    def __init__(self, size: int, socket: Path) -> None:
        self._socket = socket
        self._reading, self._writing = os.pipe()
        self._workers = [self._start() for _ in range(size)]
        self.told = Told()
        self.killed = 0

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WORKER, str(self._socket)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._writing)

    def replace_one(self) -> None:
        """Kill the oldest and start another."""
        oldest = self._workers.pop(0)
        if oldest.poll() is not None:  # it ended of itself, which none should
            self.told.failed += 1
        oldest.kill()
        oldest.wait()
        self.killed += 1
        self._workers.append(self._start())

    def listen(self, seconds: float) -> None:
        """Count what they report for so long."""
        end_at = time.monotonic() + seconds
        while (left := end_at - time.monotonic()) > 0:
            if select.select([self._reading], [], [], left)[0]:
                for line in os.read(self._reading, 4096).split():
                    self.told.asked += ASKS_PER_REPORT
                    self.told.failed += int(line)

    def end(self) -> None:
        """Kill them all."""
        for worker in self._workers:
            worker.kill()
            worker.wait()
        os.close(self._reading)
        os.close(self._writing)


def look(broker: Process, begun_at: float) -> Sample:
    """One sample."""
    fields = dict(
        line.split(":", 1) for line in broker.proc("status").read_text().splitlines() if line
    )
    return Sample(
        (time.monotonic() - begun_at) / 60,
        int(fields["VmRSS"].split()[0]) / 1024,
        len(list(broker.proc("fd").iterdir())),
        int(fields["Threads"]),
    )


def soak(minutes: float, workers: int) -> tuple[list[Sample], Told]:
    """Run it; what was seen, and what workers told."""
    quotas = ("--quota", "token=none", "--quota", "payment-authorization=none")
    with Usps("--life", str(LIFE_SECONDS), *quotas) as usps:
        home = Home(usps.base_url, app="calls_per_hour = 60")
        try:
            with home.broker() as broker:
                home.token("payment")
                crowd = Crowd(workers, home.socket)
                try:
                    samples = watch(broker, crowd, minutes)
                finally:
                    crowd.end()
                calls = {name: usps.calls(name) for name in ("token", "payment-authorization")}
                print(f"USPS saw {calls}; {crowd.killed} workers were killed and replaced")
                print(json.dumps(home.status()["apps"][0]["budget"]))
                return samples, crowd.told
        finally:
            home.remove()


def watch(broker: Process, crowd: Crowd, minutes: float) -> list[Sample]:
    """Sample until the time is over, saying on a terminal how far it is."""
    begun_at = time.monotonic()
    samples = []
    while time.monotonic() - begun_at < minutes * 60:
        crowd.listen(SAMPLE_SECONDS)
        crowd.replace_one()
        samples.append(look(broker, begun_at))
        if sys.stderr.isatty():
            print(f"\r{samples[-1].at_minutes:5.1f} min", end="", file=sys.stderr, flush=True)
    return samples


def quarters(values: Sequence[float]) -> str:
    """The medians of the second quarter, when all has started, and of the last."""
    part = max(1, len(values) // 4)
    second, last = statistics.median(values[part : 2 * part]), statistics.median(values[-part:])
    return f"{second:.1f} in the second quarter, {last:.1f} in the last"


def picture(samples: Sequence[Sample], caption: str) -> str:
    """The three curves as SVG."""
    rows = (
        ("resident memory, MiB", [sample.resident_mib for sample in samples]),
        ("open descriptors", [float(sample.descriptors) for sample in samples]),
        ("threads", [float(sample.threads) for sample in samples]),
    )
    end = samples[-1].at_minutes
    times = [sample.at_minutes for sample in samples]
    panels = [panel(index, label, times, values) for index, (label, values) in enumerate(rows)]
    ticks = [
        f'<text x="{60 + 640 * part / 6:.0f}" y="352" text-anchor="middle">'
        f"{end * part / 6:.0f} min</text>"
        for part in range(7)
    ]
    return "\n".join(
        [
            (
                '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 390" '
                'font-family="sans-serif" font-size="12" fill="#24292f">'
            ),
            '<rect width="740" height="390" fill="#ffffff"/>',
            *panels,
            *ticks,
            f'<text x="60" y="377" fill="#57606a">{caption}</text>',
            "</svg>\n",
        ]
    )


def panel(index: int, label: str, times: Sequence[float], values: Sequence[float]) -> str:
    """One curve over a scale that begins at nothing."""
    top, height = 24 + 110 * index, 80
    most = max(values) * 1.15 or 1.0
    points = " ".join(
        f"{60 + 640 * at / times[-1]:.1f},{top + height - height * value / most:.1f}"
        for at, value in zip(times, values, strict=True)
    )
    return (
        f'<text x="60" y="{top - 6}" font-weight="bold">{label}: '
        f"{min(values):.0f} to {max(values):.0f}</text>"
        f'<path d="M60 {top}V{top + height}H700" fill="none" stroke="#d0d7de"/>'
        f'<text x="54" y="{top + height}" text-anchor="end">0</text>'
        f'<text x="54" y="{top + 8}" text-anchor="end">{most:.0f}</text>'
        f'<polyline points="{points}" fill="none" stroke="#0969da" stroke-width="1.5"/>'
    )


def main() -> None:
    """Soak, print the figures, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="default 30")
    parser.add_argument("--workers", type=int, default=50, help="default 50")
    parser.add_argument("--picture", type=Path, help="write the curves there, as SVG")
    asked = parser.parse_args()
    samples, told = soak(asked.minutes, asked.workers)
    caption = (
        f"{asked.workers} workers, one replaced every {SAMPLE_SECONDS:g} s: "
        f"{told.asked:,} reads, {told.failed} failed; tokens of {LIFE_SECONDS // 60} min"
    )
    print(caption)
    print("resident MiB:", quarters([sample.resident_mib for sample in samples]))
    print("descriptors: ", quarters([sample.descriptors for sample in samples]))
    print("threads:     ", quarters([sample.threads for sample in samples]))
    if asked.picture:
        asked.picture.write_text(picture(samples, caption), encoding="utf-8")


if __name__ == "__main__":
    main()
