"""The machines that the other tests here run in: real, and gone when nobody wants them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from machine import Machine, why_not
from processes import until

FAKES = Path(__file__).parents[1] / "fakes"
BOOT = """
from machine import Machine
with Machine() as machine:
    print(machine.path("/").parts[2], machine.folder, machine.keeper_pid, flush=True)
    input()
"""


@pytest.fixture
def possible():
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture
def elsewhere(possible):
    """A machine that another process has booted: that process, and where the machine is."""
    command = [sys.executable, "-c", BOOT]
    environ = {**os.environ, "PYTHONPATH": str(FAKES)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environ, text=True, **pipes) as other:
        init, folder, keeper = other.stdout.readline().split()
        assert Path(f"/proc/{init}/comm").read_text() == "systemd\n"
        yield other, int(init), Path(folder), int(keeper)
        other.kill()


def is_gone(pid):
    return not Path(f"/proc/{pid}").exists()


def test_systemd_is_its_first_process_and_nothing_has_failed(possible):
    """A network of its own with loopback alone, and units of its own alone."""
    with Machine() as machine:
        assert machine.run("cat", "/proc/1/comm").stdout == "systemd\n"
        assert machine.run("systemctl", "--failed", "--no-legend").stdout == ""
        assert machine.run("cat", "/proc/net/dev").stdout.count(":") == 1
        machine.write("/etc/only-here", "x")
        assert not Path("/etc/only-here").exists()


def test_it_ends_with_the_process_that_began_it_however_that_ends(elsewhere):
    """SIGKILL, as a runner that has lost its patience: no process, no cgroup, no folder."""
    other, init, folder, keeper = elsewhere
    other.send_signal(signal.SIGKILL)
    until(lambda: is_gone(init), "the machine lives on")
    until(lambda: is_gone(keeper), "its keeper lives on")
    assert not folder.exists()


def test_it_ends_with_its_keeper(elsewhere):
    """Whoever ends that by hand leaves no systemd without an owner."""
    _, init, _, keeper = elsewhere
    os.kill(keeper, signal.SIGKILL)
    until(lambda: is_gone(init), "the machine lives on")


def test_where_none_can_be_had_it_says_which_packages_are_missing(possible, monkeypatch, tmp_path):
    """For whoever reads why the tests were skipped."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why_not.__wrapped__() == "not installed here: curl, dbus, mount, systemd, util-linux"
