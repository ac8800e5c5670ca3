"""What nobody else may see of our memory."""

import os
import resource
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource
from pathlib import Path
from usps_token_broker.drivers.memory import keep_private
keep_private()
print(resource.getrlimit(resource.RLIMIT_CORE))
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
print(int(Path("/proc/self/coredump_filter").read_text(), 16))
"""


def test_no_core_and_no_looking_in():
    """By the limit, by the dumpable flag, and by the filter for handlers that ignore both."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["(0, 0)", "0", "0"]


LOCKED = """
import codecs, resource, sys, threading
from pathlib import Path
from usps_token_broker.drivers.memory import keep_from_swap
limit = int(sys.argv[1])
try:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
except ValueError:
    sys.exit("limited")
codecs.lookup("utf-8")  # loaded while its file can be read
if len(sys.argv) > 2:
    import os
    os.setresuid(12345, 12345, 12345)
done = keep_from_swap()
much = bytearray(32 * 2**20)
thread = threading.Thread(target=bytes, args=(8,))
thread.start()
thread.join()
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(done, int(status["VmLck"].split()[0]) > 32 * 1024)
"""


def locked(limit, *options):
    command = [sys.executable, "-c", LOCKED, str(limit), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.stderr == "limited\n":
        pytest.skip("this machine lets nobody raise the limit on locked memory")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise the limit")
def test_without_a_limit_all_memory_is_locked():
    """What comes later too, for a user without any capability."""
    assert locked(resource.RLIM_INFINITY, "as a user") == ["True", "True"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the capability")
def test_root_needs_no_limit():
    """CAP_IPC_LOCK stands above it."""
    assert locked(65_536) == ["True", "True"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without capabilities")
def test_under_a_limit_nothing_is_locked_and_no_allocation_fails():
    """A lock that grows into its limit would end the broker on some later day."""
    assert locked(8 * 2**20, "as a user") == ["False", "False"]
