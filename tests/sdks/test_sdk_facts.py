"""What an SDK's worker can count on; tests/matrix makes a table of it.

No fork: what an SDK has open to USPS would be for two processes. Make its object in each.
"""

import os
from pathlib import Path

import facts
import pytest
from processes import Usps

WORKER = str(Path(__file__).with_name("sdk_facts.py"))
VARIABLE = "UTB_SDKS_PYTHON"
CELLS = {
    sdk: [fact for fact in facts.FACTS if fact != "fork"]
    for sdk in ("usps-v3", "apimatic", "karrio")
}


LOST = {"karrio": 2 * facts.WORKERS}
"""Per revocation. It cannot send again: each worker fails once on a dead bearer, twice on a payment
token."""


@pytest.fixture(scope="module")
def usps():
    with Usps("--quota", "none") as process:
        yield process


@pytest.fixture
def shop(usps):
    if not os.environ.get(VARIABLE):
        pytest.skip(
            f"{VARIABLE} names no Python that has tests/sdks/requirements.txt and the client; "
            ".ci/run makes one"
        )
    with facts.shop_of(usps) as shop:
        yield shop


@pytest.mark.parametrize(("client", "fact"), facts.cells(CELLS, lost=LOST))
def test_sdks_hold_the_facts(shop, client, fact):
    """Each says in its own words what it shows; see tests/fakes/facts.py."""
    workers = facts.driven([os.environ[VARIABLE], WORKER, client])
    more = {"lost": LOST[client]} if fact == "revocation" and client in LOST else {}
    facts.FACTS[fact](shop, workers, **more)
