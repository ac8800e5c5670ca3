"""The garbage collector of a process that has settled."""

import subprocess
import sys

PROGRAM = """
import gc
from usps_token_broker.drivers import collector
before = len(gc.get_objects())
collector.settle()
looked_through = len(gc.get_objects())
for _ in range(30_000):
    ring = []
    ring.append(ring)
kept = sum(isinstance(thing, list) and thing[:1] == [thing] for thing in gc.get_objects())
print(before, looked_through, kept)
"""


def outcome():
    """Objects that were there, those still looked through, and rings that are still there."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [int(number) for number in done.stdout.split()]


def test_what_is_there_is_looked_through_no_more():
    """All that was imported, which a look through takes tens of milliseconds for."""
    before, looked_through, _ = outcome()
    assert before > 5_000
    assert looked_through < before / 100


def test_rings_are_still_collected():
    """Later than usual, but so that a mistake of ours fills no memory."""
    _, _, kept = outcome()
    assert kept < 25_000
