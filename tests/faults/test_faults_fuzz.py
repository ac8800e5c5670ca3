"""The targets of the fuzzing, from the committed corpus: mutated by dice.

`python tests/faults/fuzz` mutates the same led by coverage; .ci/run does so for a few seconds.
"""

import subprocess
import sys
from pathlib import Path

import fuzz_targets
import pytest
from fuzz_corpus import corpus, mutated
from fuzz_targets import TARGETS

RUNNER = Path(__file__).parent / "fuzz"


@pytest.mark.parametrize("name", TARGETS)
def test_every_promise_holds_for_mutated_inputs(name, dice, rounds, tried):
    """Whatever a client or USPS sends, what is made of it keeps its promises."""
    seeds = corpus(name)
    times = rounds(500, 50_000)
    for number in range(times):
        data = seeds[number] if number < len(seeds) else mutated(seeds, dice)
        try:
            TARGETS[name](data)
        except Exception as error:
            error.add_note(f"the input: {data!r}")
            raise
    tried("mutated bytes at a parser", times, times)


def test_a_broken_promise_is_noticed(monkeypatch):
    """A grant that lives longer than allowed would not pass."""
    granted = b'200\n\n{"access_token":"abc","expires_in":61}'
    TARGETS["answered"](granted)
    monkeypatch.setattr(fuzz_targets, "NOMINAL_LIFE_SECONDS", 60)
    with pytest.raises(AssertionError):
        TARGETS["answered"](granted)


def test_the_runner_plays_an_input_again(tmp_path):
    """What fuzzing left behind is played again without atheris."""
    kept = tmp_path / "crash-1"
    kept.write_bytes(corpus("judged")[0])
    command = [sys.executable, str(RUNNER), "judged", "--play", str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "every promise held\n"), done.stderr
