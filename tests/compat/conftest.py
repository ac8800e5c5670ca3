import json
import os
import subprocess
from pathlib import Path

import pytest
from processes import Usps
from stand_in_shop import stand_in_shop

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def shop():
    """A broker that serves token calls, and the USPS behind it."""
    with Usps() as usps, stand_in_shop(usps.base_url) as made:
        made.usps = usps
        yield made


@pytest.fixture
def program(tmp_path):
    """Run a program that nobody here wrote; its exit code and what it printed."""

    def run(script, said):
        command = PROGRAMS[Path(script).suffix]()
        done = subprocess.run(
            [*command, str(HERE / script)],
            input=json.dumps(said),
            capture_output=True,
            text=True,
            timeout=60,
            env={
                "HOME": str(tmp_path),
                "PATH": os.environ["PATH"],
                "NODE_PATH": os.environ.get("USPS_COMPAT_NODE", ""),
                # requests-oauthlib refuses plain HTTP without it, loopback or not.
                "OAUTHLIB_INSECURE_TRANSPORT": "1",
            },
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def python():
    path = os.environ.get("USPS_COMPAT_PYTHON")
    if not path:
        pytest.skip("USPS_COMPAT_PYTHON names no Python with tests/compat/requirements.txt")
    return [path]


def node():
    if not os.environ.get("USPS_COMPAT_NODE"):
        pytest.skip("USPS_COMPAT_NODE names no node_modules of tests/compat/package.json")
    return ["node"]


PROGRAMS = {".py": python, ".js": node}
