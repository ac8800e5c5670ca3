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
CELLS = {sdk: [fact for fact in facts.FACTS if fact != "fork"] for sdk in ("usps-v3", "apimatic")}


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


@pytest.mark.parametrize(("client", "fact"), facts.cells(CELLS))
def test_sdks_hold_the_facts(shop, client, fact):
    """Each says in its own words what it shows; see tests/fakes/facts.py."""
    facts.FACTS[fact](shop, facts.driven([os.environ[VARIABLE], WORKER, client]))
