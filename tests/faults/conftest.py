"""The fault campaign: what is tried is counted, and every failure can be played again.

A short form runs with all other tests; `python tests/faults` runs the long form and prints the
table of the README.
"""

import os
import random
from collections import Counter

import pytest
import trio.testing

LONG = os.environ.get("UTB_FAULTS") == "long"
SEED = int(os.environ.get("UTB_FAULTS_SEED", "1"))
_COUNTED = "faults-counted"
_FIGURE = "faults-figure"


@pytest.fixture
def anyio_backend():
    """Virtual time: it jumps when everybody sleeps."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def rounds():
    """How often to try: `rounds(short, long)`, whichever form this is."""
    return lambda short, long: long if LONG else short


@pytest.fixture
def dice(request):
    """Chance that a failure can repeat: from the seed and the test's name, both printed."""
    print(f"to play it again: UTB_FAULTS_SEED={SEED} pytest '{request.node.nodeid}'")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def tried(request):
    """Counts for the table: `tried(kind, times=1, checks=1)`, once each thing was tried.

    `kind` is a row of the table; `checks` are the invariants that were looked at on the way.
    """

    def count(kind: str, times: int = 1, checks: int = 1) -> None:
        request.node.user_properties.append((_COUNTED, (kind, times, checks)))

    return count


@pytest.fixture
def figure(request):
    """A count of what others do until a client is served: `figure(what, count)`, shown and no more.

    Counted in answers or questions and not in seconds, which are the machine's.
    """

    def note(what: str, count: int) -> None:
        request.node.user_properties.append((_FIGURE, (what, count)))

    return note


def pytest_terminal_summary(terminalreporter):
    """The table and the figures, when the long form ran."""
    if LONG:
        _show_table(terminalreporter)
        _show_figures(terminalreporter)


def _show_figures(terminalreporter):
    counts: dict[str, list[int]] = {}
    for report in terminalreporter.getreports(""):
        for name, value in report.user_properties:
            if name == _FIGURE and report.when == "teardown":
                what, count = value
                counts.setdefault(what, []).append(count)
    for what in sorted(counts):
        seen = counts[what]
        terminalreporter.write_line(f"{what}: {min(seen):,} to {max(seen):,} ({len(seen):,} times)")


def _show_table(terminalreporter):
    rows: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties:
                if name == _COUNTED and report.when == "call":
                    kind, times, checks = value
                    row = rows.setdefault(kind, Counter())
                    row.update(times=times, checks=checks)
                    row["failures"] += outcome == "failed"
    terminalreporter.write_line(f"\nseed {SEED}\n")
    terminalreporter.write_line("| kind of fault | times tried | invariants checked | failures |")
    terminalreporter.write_line("| --- | --- | --- | --- |")
    for kind in sorted(rows):
        row = rows[kind]
        terminalreporter.write_line(
            f"| {kind} | {row['times']:,} | {row['checks']:,} | {row['failures']} |"
        )
