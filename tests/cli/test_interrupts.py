"""Ctrl-C while a command is loaded: an exception there has crashed the process."""

import subprocess
import sys

import pytest

LOADED = """
import importlib.abc, os, signal, sys

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "usps_token_broker.cli.doctor":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
signal.signal(signal.SIGINT, {handler})
from usps_token_broker.cli import main
code = main(["doctor", "--help"])
print("it went on")
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("handler", "code", "words"),
    [("signal.default_int_handler", 130, ""), ("signal.SIG_IGN", 0, "usage: ")],
)
def test_it_ends_on_the_spot_unless_it_is_ignored(handler, code, words):
    """No exception is raised in the midst of an import; who works in the background goes on."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(handler=handler)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(words)
    assert "it went on" not in done.stdout
