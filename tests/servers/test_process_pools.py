"""Six facts of each way in which Python makes processes; tests/matrix makes a table of them."""

import sys
from pathlib import Path

import facts
import pytest
from facts import WORKERS

PROGRAM = str(Path(__file__).with_name("process_pools.py"))
WAYS = {"fork": "fork-Pool", "forkserver": "forkserver-Executor", "spawn": "spawn-Pool"}


class Pool(facts.Driven):
    """Its processes are children of one that has used the client."""

    def fork(self):
        return self.round()


def pool(way, shop):
    return Pool([sys.executable, PROGRAM, way], shop, count=1, lines=WORKERS)


CELLS = {f"multiprocessing-{method}": list(facts.FACTS) for method in WAYS}


@pytest.mark.parametrize(("client", "fact"), facts.cells(CELLS))
def test_process_pools(shop, client, fact):
    """Each says in its own words what it shows; see tests/fakes/facts.py."""
    facts.FACTS[fact](shop, lambda at: pool(WAYS[client.partition("-")[2]], at))
