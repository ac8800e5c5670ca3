"""The course of the demo: a cold start, rotations, one early revocation, the end."""

import argparse
import json
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from usps_token_broker.demo import verdict
from usps_token_broker.demo.board import Board
from usps_token_broker.demo.stage import Stage
from usps_token_broker.demo.verdict import Figures
from usps_token_broker.drivers import asking, clock

TICK_SECONDS: Final = 0.25
CALLS_A_SECOND: Final = 100
"""Of all workers together: two cores run the simulator, the broker and the workers."""
MOST_SECONDS: Final = 55.0
SETTLE_SECONDS: Final = 3.0
"""From the cure of the revocation to the end, so that a late worker can still fail."""


class Play:
    """One performance."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._as_json: bool = options.json
        self.figures = Figures(workers=options.workers, life_seconds=options.life)
        self._board = Board(self.figures, plain=options.plain, silent=options.json)
        self._started_at = clock.boot()
        self._rest = b""

    def run(self) -> int:
        """Play it to the end; 0 if every promise held."""
        with Stage(self.figures.life_seconds) as stage, self._board:
            self._board.say("starting the simulated USPS")
            stage.start_simulator()
            self._board.say(f"starting the broker on {stage.socket}")
            stage.start_broker()
            count = self.figures.workers
            self._board.say(f"starting {count} workers against the cold broker")
            self._started_at = clock.boot()
            stage.start_workers(count, max(0.2, count / CALLS_A_SECOND))
            while not self._over():
                self._tick(stage)
            self._board.say("ending the workers")
            stage.dismiss_workers()
            self._count(stage)
            self._look(stage)
        self._board.finish()
        if self._as_json:
            print(json.dumps(self.figures.as_fields(), indent=2))  # noqa: T201
        return 0 if verdict.held(self.figures) else 1

    def _over(self) -> bool:
        figures = self.figures
        if figures.seconds > MOST_SECONDS:
            return True
        if figures.cured_at is None or figures.rotations < 2:  # noqa: PLR2004 - as promised
            return False
        # A token granted a moment ago must have been used by everybody before the end counts.
        last_change = max(figures.cured_at, figures.changed_at)
        return figures.seconds > last_change + SETTLE_SECONDS

    def _tick(self, stage: Stage) -> None:
        select.select([stage.tallies], [], [], TICK_SECONDS)
        stage.check()
        self._count(stage)
        self.figures.seconds = clock.boot() - self._started_at
        self._look(stage)
        if self._revocation_is_due():
            self._revoke(stage)
        self._board.show()

    def _count(self, stage: Stage) -> None:
        for tally in self._tallies(stage.tallies):
            self.figures.worker_calls += tally["calls"]
            self.figures.failed_calls += tally["failed"]
            self.figures.refused_calls += tally["refused"]
            self.figures.busy_workers.add(tally["pid"])
            self.figures.last_failure = tally["last_failure"] or self.figures.last_failure

    def _tallies(self, pipe: int) -> Iterator[dict[str, Any]]:
        while True:
            try:
                chunk = os.read(pipe, 65_536)
            except BlockingIOError:
                return
            if not chunk:
                return
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines)

    def _look(self, stage: Stage) -> None:
        """What the broker says of its tokens, and what USPS counted."""
        with _calm():
            status = asking.get([stage.socket], "/v1/status")
            for slot in status["apps"][0]["slots"]:
                self._note_serial(slot["slot"], slot["serial"])
        calls = stage.ask_simulator("GET", "/sim/calls")["by_endpoint"]
        self.figures.bearer_calls = calls["token"]["total"]
        self.figures.payment_calls = calls["payment-authorization"]["total"]

    def _note_serial(self, slot: str, serial: int | None) -> None:
        figures = self.figures
        serials = figures.bearer_serials if slot == "bearer" else figures.payment_serials
        if serial is None or serial in serials:
            return
        serials.append(serial)
        figures.changed_at = figures.seconds
        if len(serials) > 1:
            self._board.say(f"{slot} token renewed: number {len(serials)}")
        if slot == "bearer" and figures.revoked_at is not None and figures.cured_at is None:
            figures.cured_at = figures.seconds
            took = figures.cured_at - figures.revoked_at
            self._board.say(f"the revocation was over after {took:.1f} s, at the cost of one call")

    def _revocation_is_due(self) -> bool:
        """Once after the first rotation, while the new token is young."""
        figures = self.figures
        if figures.revoked_at is not None or figures.rotations < 1:
            return False
        young = figures.seconds - figures.changed_at
        return young > figures.life_seconds / 8

    def _revoke(self, stage: Stage) -> None:
        self._board.say("USPS revokes the bearer before its time")
        self.figures.revoked_at = self.figures.seconds
        stage.ask_simulator("POST", "/sim/revocations", {"what": "bearer"})


@contextmanager
def _calm() -> Iterator[None]:
    """A broker that is busy for a moment is asked again at the next tick."""
    try:
        yield
    except asking.AskError as error:
        print(error, file=sys.stderr)  # noqa: T201
