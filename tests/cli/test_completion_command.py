"""`usps-token-broker completion`: prints what was installed."""

import sys
from pathlib import Path

import pytest

from usps_token_broker.cli.completion import SHELLS

SHARE = Path(sys.prefix)


@pytest.mark.parametrize("shell", SHELLS)
def test_it_prints_both_commands(command, shell):
    """The broker's own and the client's, which is in the same environment here."""
    done = command("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for program in ("usps-token-broker", "usps-token"):
        assert (SHARE / SHELLS[shell].format(program)).read_text() in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_it_prints_one_command(command, shell):
    """For a file of its own."""
    done = command("completion", shell, "usps-token")
    assert done.stdout == (SHARE / SHELLS[shell].format("usps-token")).read_text()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((), "SHELL"), (("tcsh",), "tcsh"), (("bash", "git"), "git")],
)
def test_what_it_cannot_complete_is_wrong_usage(command, arguments, word):
    """And it says what there is."""
    done = command("completion", *arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert word in done.stderr


def test_an_installation_without_the_files_says_so(command, tmp_path):
    """As one that was copied together by hand: 69, and what to do."""
    copied = tmp_path / "usps_token_client-0.dist-info"
    copied.mkdir()
    (copied / "METADATA").write_text("Metadata-Version: 2.1\nName: usps-token-client\nVersion: 0\n")
    (copied / "RECORD").write_text("")
    done = command("completion", "bash", "usps-token", environ={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (69, "")
    assert "usps-token-client" in done.stderr
    assert "its wheel" in done.stderr
