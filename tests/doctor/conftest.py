import os
import shutil
import tempfile
from pathlib import Path

import pytest

from usps_token_broker.doctor import Scene

CONFIG = """\
socket = "{folder}/broker.sock"
state_dir = "{folder}/state"

[apps.default]
base_url = "http://127.0.0.1:9"
client_id = "the-id-of-a-test"
client_secret = {{ file = "{folder}/client-secret" }}
"""


@pytest.fixture
def folder():
    """A short path, since that of a Unix socket has at most 107 bytes; others may pass."""
    path = Path(tempfile.mkdtemp(prefix="utb-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def config(folder):
    """A configuration that `run` would start with."""
    secret = folder / "client-secret"
    secret.touch(0o600)
    secret.write_text("a-secret-of-a-test\n")
    path = folder / "broker.toml"
    path.write_text(CONFIG.format(folder=folder))
    return path


@pytest.fixture
def scene(config, folder):
    """What `doctor --config` begins with."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("USPS_", "CREDENTIALS_"))}
    return Scene(config=config, sockets=(folder / "broker.sock",), environ=environ)
