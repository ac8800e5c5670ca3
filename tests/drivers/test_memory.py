"""What nobody else may see of our memory."""

import subprocess
import sys

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
