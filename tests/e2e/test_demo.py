"""The demo as a new user runs it."""

import json
import os
import shutil
import signal
from pathlib import Path

from processes import Process, until


def processes_of_folder(folder):
    """Command lines that name this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in line:
            found.append(line)
    return found


def test_the_demo_holds_what_it_promises():
    """Five workers, two rotations, one revocation, no failed call, within a minute."""
    with Process("usps_token_broker", "demo", "--workers", "5", "--json") as demo:
        output, _ = demo.process.communicate(timeout=90)
        assert demo.process.returncode == 0, demo.errors()
    result = json.loads(output)
    assert all(promise["held"] for promise in result["promises"])
    assert result["failed_calls"] == 0
    assert result["rotations"] >= 2
    assert result["bearer_calls"] == len(result["bearer_serials"])
    assert result["calls_with_a_cache_each"] >= 5 * (4 + 3)


def test_ctrl_c_ends_the_demo_and_all_its_processes():
    """Exit code 130, no traceback, no process and no folder left."""
    with Process("usps_token_broker", "demo", "--workers", "3", "--plain") as demo:
        assert demo.process.stdout is not None
        lines = [demo.first_line()]
        while b"worker calls" not in lines[-1]:
            lines.append(demo.first_line())
        folder = next(line for line in lines if b"starting the broker on" in line)
        folder = folder.split(b" on ")[1].strip().removesuffix(b"/broker.sock")
        assert processes_of_folder(folder)
        assert demo.kill(signal.SIGINT) == 130
        assert "Traceback" not in demo.errors()
    assert processes_of_folder(folder) == []
    assert not Path(os.fsdecode(folder)).exists()


def test_a_killed_demo_leaves_no_process_behind():
    """SIGKILL leaves it no time to end them, so the kernel and a closed pipe do."""
    with Process("usps_token_broker", "demo", "--workers", "3", "--plain") as demo:
        lines = [demo.first_line()]
        while b"worker calls" not in lines[-1]:
            lines.append(demo.first_line())
        started = Path(f"/proc/{demo.process.pid}/task/{demo.process.pid}/children").read_text()
        folder = next(line for line in lines if b"starting the broker on" in line)
        folder = folder.split(b" on ")[1].strip().removesuffix(b"/broker.sock")
        demo.kill(signal.SIGKILL)
    try:
        until(lambda: not any(map(is_running, started.split())))
        assert len(started.split()) == 3
        assert processes_of_folder(folder) == []
    finally:
        shutil.rmtree(folder)


def is_running(pid):
    """Whether this process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
