"""Six facts of each client of our own and of curl alone; tests/matrix makes a table of them."""

import shutil
from pathlib import Path

import facts
import pytest
from processes import Usps

HERE = Path(__file__).parent
DRIVEN = HERE / "driven"
SHELL_CLIENT = HERE.parents[1] / "clients/shell/usps-token"
COMMANDS = {
    "python": [str(DRIVEN / "python_sync.py")],
    "python-async": [str(DRIVEN / "python_async.py")],
    "httpx": [str(DRIVEN / "httpx_sync.py")],
    "httpx-async": [str(DRIVEN / "httpx_async.py")],
    "requests": [str(DRIVEN / "requests_session.py")],
    "urllib3": [str(DRIVEN / "urllib3_manager.py")],
    "aiohttp": [str(DRIVEN / "aiohttp_session.py")],
    "sh": ["/bin/sh", str(DRIVEN / "sh_client.sh"), str(SHELL_CLIENT)],
    "curl": ["/bin/sh", str(DRIVEN / "curl_alone.sh")],
}
CANNOT_FORK = {"sh", "curl"}
"""Each of their calls is a process anyhow."""
KEEPS_NOTHING = {"sh", "curl"}
"""They ask the broker at every call."""
CELLS = {
    client: [fact for fact in facts.FACTS if fact != "fork" or client not in CANNOT_FORK]
    for client in COMMANDS
}
NOTES = {f"{client}-restart": "as a systemd unit" for client in KEEPS_NOTHING}
"""Under systemd the socket stays; by hand it is gone for a moment, and they have nothing else."""


@pytest.fixture(scope="module")
def usps():
    with Usps("--quota", "none") as process:
        yield process


@pytest.fixture
def shop(usps):
    with facts.shop_of(usps) as shop:
        yield shop


@pytest.mark.parametrize(("client", "fact"), facts.cells(CELLS, notes=NOTES))
def test_clients(shop, client, fact):
    """Each says in its own words what it shows; see tests/fakes/facts.py."""
    if client in CANNOT_FORK and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    more = {"kept": False} if fact == "restart" and client in KEEPS_NOTHING else {}
    facts.FACTS[fact](shop, facts.driven(COMMANDS[client]), **more)
