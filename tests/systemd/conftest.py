import shutil
import tempfile
from pathlib import Path

import pytest
from installed import Installed
from machine import Machine, why_not
from machine_program import PLACE, build, interpreter


@pytest.fixture(scope="session")
def program():
    """Our program in a folder that any user of a machine can read."""
    if reason := why_not():
        pytest.skip(reason)
    if interpreter() is None:
        pytest.skip("no Python of this version lies where a service that sees no home can run it")
    folder = Path(tempfile.mkdtemp(prefix="utb-program-"))
    folder.chmod(0o755)
    try:
        build(folder)
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def house(program):
    """A machine for the tests of one file, with the broker installed."""
    with Machine({PLACE: program}) as machine:
        yield Installed(machine)


@pytest.fixture
def installed(house):
    """The broker as just installed, not started, and a USPS with lives of eight hours."""
    house.begin_anew()
    return house


@pytest.fixture
def broker(installed):
    """The broker as shipped, serving both tokens."""
    installed.start()
    installed.tokens()
    return installed
