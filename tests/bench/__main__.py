"""`python tests/bench [NAME ...]`: measures side by side in one run, prints ratios, judges nothing.

Names: read, socket, fairness, start, import. Needs redis-server for the Redis row of `socket`, and
root for `fairness`.
Machines are shared and noisy: look at ratios of one run, and at medians.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "fakes")]

import client_import  # noqa: E402 - the path is set above
import client_read  # noqa: E402
import daemon_start  # noqa: E402
import fairness  # noqa: E402
import socket_speed  # noqa: E402

BENCHES = {
    "read": client_read.main,
    "socket": socket_speed.main,
    "fairness": fairness.main,
    "start": daemon_start.main,
    "import": client_import.main,
}

unknown = [name for name in sys.argv[1:] if name not in BENCHES]
if unknown:
    print(f"no bench is named {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    raise SystemExit(64)
for name in sys.argv[1:] or BENCHES:
    print(f"\n## {name}")
    BENCHES[name]()
