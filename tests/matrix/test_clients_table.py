"""The README's table of clients says what its tests say, and the tool says what a run became."""

import subprocess
import sys
from pathlib import Path

import clients_table
import pytest

HERE = Path(__file__).parent
EXAMPLE = """
import pytest

@pytest.mark.parametrize("what", [
    pytest.param(1, id="dog-headers"),
    pytest.param(2, id="dog-revocation", marks=pytest.mark.cell("none failed")),
    pytest.param(3, id="dog-restart", marks=pytest.mark.xfail(reason="it sleeps", strict=True)),
    pytest.param(4, id="big-cat-refusal"),
    pytest.param(5, id="big-cat-fork"),
    pytest.param(6, id="nothing-else"),
])
def test_it(what):
    assert what != 3
    if what == 4:
        pytest.skip("the cat is out")
    assert what != 5
"""


def test_the_readme_has_the_table_that_the_tests_make():
    """`python tests/matrix` writes it."""
    command = [sys.executable, str(HERE), "--print"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == clients_table.in_readme()


def test_every_client_that_has_a_name_is_tested():
    """A name without a test is one of a client that went away, or was spelt otherwise."""
    told = clients_table.in_readme()
    gone = [name for name in clients_table.CLIENTS.values() if f"\n| {name} |" not in told]
    assert gone == []


@pytest.fixture
def example(tmp_path):
    path = tmp_path / "test_example.py"
    path.write_text(EXAMPLE)
    return path


def cells_of(path, *options):
    """The table after pytest has seen this file, in a process that is not this one's pytest."""
    program = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import clients_table, pytest\n"
        "cells = clients_table.Cells()\n"
        "pytest.main(sys.argv[1:], plugins=[cells])\n"
        "print('TABLE'); print(cells.table(), end='')\n"
    )
    config = HERE.parents[1] / "pyproject.toml"
    command = [sys.executable, "-c", program, "-c", str(config), "-W", "default", *options]
    done = subprocess.run(
        [*command, str(path), "-p", "no:cacheprovider", "-o", "markers=cell(note): a note"],
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    return done.stdout.split("TABLE\n")[1].splitlines()[2:]


def test_ids_and_marks_make_the_cells(example):
    """Yes with its note, no with its reason, and n/a where nothing is tested."""
    assert cells_of(example, "--collect-only") == [
        "| big-cat | n/a | n/a | n/a | n/a | yes | yes |",
        "| dog | yes | n/a | yes, none failed | no: it sleeps | n/a | n/a |",
    ]


def test_a_run_shows_what_became_of_them(example):
    """What failed and what was skipped are no yes."""
    assert cells_of(example) == [
        "| big-cat | n/a | n/a | n/a | n/a | not tried: the cat is out | FAILED |",
        "| dog | yes | n/a | yes, none failed | no: it sleeps | n/a | n/a |",
    ]
