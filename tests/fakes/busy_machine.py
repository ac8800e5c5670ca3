"""Clients that never rest, in a machine with the broker installed."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from installed import BROKER_SOCKET, PYTHON, Installed

BUSY_CLIENTS = Path(__file__).with_name("busy_clients.py")
STOP = "/tmp/stop"
CURL_LOOP = f"""
answered=0
while [ ! -e {STOP} ]; do
  if curl -fsS --max-time 20 --unix-socket {BROKER_SOCKET} http://x/v1/tokens/bearer >/tmp/$$; then
    answered=$((answered + 1))
  else
    echo "failed with $?"
  fi
done
echo "answered $answered"
"""


@contextlib.contextmanager
def busy(broker: Installed, threads: int = 48, curls: int = 2) -> Iterator[dict[str, Any]]:
    """So many of them while the block lasts; then what it gives says what became of them."""
    broker.machine.write("/opt/loud/busy_clients.py", BUSY_CLIENTS.read_bytes())
    shim = broker.machine.begin(PYTHON, "/opt/loud/busy_clients.py", STOP, str(threads))
    loops = [broker.machine.begin("sh", "-c", CURL_LOOP) for _ in range(curls)]
    story: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        for process in (shim, *loops):
            stack.enter_context(process)
        assert shim.stdout is not None
        assert shim.stdout.readline() == "asking\n"
        yield story
        broker.machine.write(STOP, "")
        story["shim"] = json.loads(shim.communicate(timeout=60)[0])
        story["curl"] = [process.communicate(timeout=60)[0] for process in loops]
