"""A test that was skipped in CI has shown nothing: the run fails, unless nobody could mend it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FROM_A_TEST = """
import pytest

def test_one():
    pytest.skip({reason!r})
"""
FROM_A_MODULE = """
import pytest

pytest.importorskip("a_module_that_is_not_there")
"""
FROM_A_MARK = """
import pytest

@pytest.mark.skipif(True, reason={reason!r})
def test_one():
    pass
"""
EXPECTED_TO_FAIL = """
import pytest

@pytest.mark.xfail(reason="known")
def test_one():
    raise AssertionError
"""
MISSING = "php is not installed"
NOT_MENDABLE = "this machine has no IPv6 loopback"


@pytest.fixture
def run(tmp_path):
    """Run these tests, and one that passes, under our conftest, in CI or not."""

    def run_it(text, *, ci):
        (tmp_path / "conftest.py").write_bytes(Path(__file__).with_name("conftest.py").read_bytes())
        (tmp_path / "test_it.py").write_text(text)
        (tmp_path / "test_other.py").write_text("def test_that_passes():\n    pass\n")
        environ = {name: value for name, value in os.environ.items() if name != "CI"}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
            cwd=tmp_path,
            env={**environ, **({"CI": "true"} if ci else {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run_it


@pytest.mark.parametrize("text", [FROM_A_TEST, FROM_A_MARK], ids=["test", "mark"])
def test_a_missing_program_fails_the_run_in_ci(run, text):
    """The test and the reason are named, and what to do."""
    done = run(text.format(reason=MISSING), ci=True)
    assert done.returncode == 1
    assert f"test_it.py::test_one: {MISSING}" in done.stdout
    assert ".ci/run" in done.stdout


def test_a_missing_module_fails_the_run_in_ci(run):
    """Also where a whole file is skipped."""
    done = run(FROM_A_MODULE, ci=True)
    assert done.returncode == 1
    assert "a_module_that_is_not_there" in done.stdout


@pytest.mark.parametrize("text", [FROM_A_TEST, FROM_A_MARK], ids=["test", "mark"])
def test_what_nobody_can_mend_may_be_skipped_in_ci(run, text):
    """It stands on the list, with a reason."""
    assert run(text.format(reason=NOT_MENDABLE), ci=True).returncode == 0


def test_an_expected_failure_was_not_skipped(run):
    """It ran."""
    assert run(EXPECTED_TO_FAIL, ci=True).returncode == 0


def test_a_developers_machine_may_skip(run):
    """It takes what is there."""
    assert run(FROM_A_TEST.format(reason=MISSING), ci=False).returncode == 0
