"""A command of this program that ends with the process that started it, however that one ends.

Run as `python -m usps_token_broker.demo.tied PID COMMAND …`. A demo that is killed cannot end what
it has started, so the kernel does: PR_SET_PDEATHSIG, which outlives execve (prctl(2)).
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def main() -> None:
    """Become the command."""
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != int(parent):  # it ended before it could be asked for
        return
    os.execv(sys.executable, [sys.executable, "-m", "usps_token_broker", *command])  # noqa: S606 - our own command


if __name__ == "__main__":
    main()
