"""Fuzzing led by coverage: `python tests/faults/fuzz [--seconds N] [--seed N] [target …]`.

Needs atheris (requirements.txt beside this file). Each target runs in a process of its own, from
the committed corpus. An input that breaks a promise is left as the file `crash-…` in the folder
that is printed; `--play FILE` plays it again, without atheris.
"""

import argparse
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fuzz_corpus import corpus

_MOST_BYTES = 4096


def main() -> int:
    """Fuzz, or play one input again; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python tests/faults/fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="understood, answered, judged; all if left out")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, help="drawn and printed if left out")
    parser.add_argument("--play", type=Path, help="a file that broke a promise of the one target")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    known = parser.parse_args()
    if known.child:
        return _fuzz(known.child[0], known.child[1:])
    targets = known.targets or ["understood", "answered", "judged"]
    if known.play:
        return _play(targets, known.play)
    seed = secrets.randbelow(2**31) + 1 if known.seed is None else known.seed
    return max([_run(target, known.seconds, seed) for target in targets])


def _play(targets: list[str], file: Path) -> int:
    from fuzz_targets import TARGETS  # noqa: PLC0415 - not before atheris in the child

    for target in targets:
        TARGETS[target](file.read_bytes())
    print("every promise held")
    return 0


def _run(target: str, seconds: int, seed: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
    print(f"\n{target}: {seconds} s, seed {seed}, crashes go to {folder}", flush=True)
    grown = folder / "corpus"
    grown.mkdir()
    for number, data in enumerate(corpus(target)):
        (grown / f"seed-{number:02}").write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={_MOST_BYTES}",
        "-timeout=10",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/",
    ]
    command = [sys.executable, __file__, "--child", target, *options, str(grown)]
    done = subprocess.run(command, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    crashes = sorted(folder.glob("*-*"))
    if done.returncode == 0 and not crashes:
        covered = [line for line in said if "cov:" in line][-1:]
        wanted = ("stat::number_of_executed_units", "stat::peak_rss_mb")
        print("\n".join([*covered, *(line for line in said if line.startswith(wanted))]))
        shutil.rmtree(folder)
        return 0
    print("\n".join(said[-40:]))
    for crash in crashes:
        print(f"again: {sys.executable} {__file__} {target} --play {crash}")
    return 1


def _fuzz(target: str, options: list[str]) -> int:
    import atheris  # noqa: PLC0415 - only where it is installed

    with atheris.instrument_imports(include=["usps_token_broker"]):
        from fuzz_targets import TARGETS  # noqa: PLC0415 - what is imported here is instrumented

    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
