"""The long form of the fault campaign: `python tests/faults [--seed N] [pytest arguments]`."""

import argparse
import os
import secrets
import sys
from pathlib import Path

import pytest


def main() -> int:
    """Run it and print the table; the exit code is pytest's."""
    parser = argparse.ArgumentParser(
        prog="python tests/faults",
        description="Breaks the broker at length: every fault, alone and in random order.",
        epilog="What else is given goes to pytest, such as -k NAME or -x.",
    )
    parser.add_argument(
        "--seed", type=int, help="play this one again; drawn and printed if left out"
    )
    known, rest = parser.parse_known_args()
    seed = secrets.randbelow(2**31) if known.seed is None else known.seed
    os.environ |= {"UTB_FAULTS": "long", "UTB_FAULTS_SEED": str(seed), "UTB_HYPOTHESIS": "long"}
    print(f"seed {seed}; the same again: python tests/faults --seed {seed}", flush=True)
    here = str(Path(__file__).parent)
    # One at a time: they differ much in length, and the last of a chunk would be waited for.
    spread = ["-n", "auto", "--dist", "load", "--maxschedchunk", "1"]
    return pytest.main([here, "-q", *spread, "--timeout", "1800", *rest])


if __name__ == "__main__":
    sys.exit(main())
