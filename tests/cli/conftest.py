import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def clean_environ():
    """Ours, without what the commands look at."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("USPS_", "NOTIFY_", "XDG_", "PYTHON"))
    }


@pytest.fixture
def command(clean_environ):
    """Run one of our commands to its end."""

    def run(*arguments, environ=None, **more):
        return subprocess.run(
            [sys.executable, "-m", "usps_token_broker", *map(str, arguments)],
            env={**clean_environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=not more,
            text=True,
            timeout=60,
            check=False,
            **more,
        )

    return run


@pytest.fixture
def folder():
    """A short path, since that of a Unix socket has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="utb-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def config(folder):
    """A configuration that `run` would start with, at USPS's discard port."""
    secret = folder / "client-secret"
    secret.write_text("a-secret-of-a-test\n")
    secret.chmod(0o600)
    path = folder / "broker.toml"
    path.write_text(
        f'socket = "{folder}/broker.sock"\n'
        f'state_dir = "{folder}/state"\n'
        "[apps.default]\n"
        'base_url = "http://127.0.0.1:9"\n'
        'client_id = "the-id"\n'
        f'client_secret = {{ file = "{secret}" }}\n'
    )
    return path
