"""What importing and using the client loads, and that it is all of Python 3.9's own."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import usps_token_client
from usps_token_client import _clock

PACKAGE = Path(usps_token_client.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
DEAR = {
    "asyncio": "41 ms; only AsyncTokenClient wants it",
    "argparse": "8 ms; the command line is read by hand",
    "dataclasses": "20 ms, with inspect behind it",
    "enum": "2 to 6 ms",
    "functools": "4 ms",
    "http": "the answer's parser is our own",
    "json": "7 ms; only an answer wants it",
    "logging": "the client raises, and does not log",
    "pathlib": "10 ms",
    "re": "7 ms",
    "socket": "7 ms over `_socket`",
    "ssl": "15 ms; a Unix socket has none",
    "threading": "6 ms over `_thread`",
    "typing": "10 ms; annotations stay text",
    "urllib": "12 ms; we quote ourselves",
    "httpx": "the caller's, if anybody's",
    "requests": "as above",
    "urllib3": "as above",
    "aiohttp": "as above",
}
LIBRARIES = {
    "_httpx.py": {"httpx"},
    "_httpx_streams.py": {"httpx"},
    "_requests.py": {"requests", "urllib3", "urllib"},
    "_urllib3.py": {"urllib3"},
    "_urllib3_hops.py": {"urllib3", "urllib"},
    "_urllib3_bodies.py": {"urllib3", "io"},
    "_urllib3_retries.py": {"urllib3"},
    "_aiohttp.py": {"aiohttp", "yarl"},
    "_karrio.py": {"karrio"},
}
"""What a module stands on beside STANDARD: its library, and what that has loaded already."""


STANDARD = {
    "__future__", "_functools", "_socket", "_thread", "asyncio", "contextlib", "errno", "json",
    "os", "signal", "stat", "sys", "time",
}  # fmt: skip


def loaded(code, *arguments):
    """The top-level modules a fresh interpreter has loaded after this code."""
    script = (
        "import os, sys; before = set(sys.modules)\n"
        f"{code}\n"
        "names = sorted({name.partition('.')[0] for name in set(sys.modules) - before})\n"
        "sys.stderr.write('|'.join(names))"
    )
    # -S: a site directory may load anything for its own ends.
    done = subprocess.run(
        [sys.executable, "-S", "-c", script, *arguments],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stderr.split("|")) - {""}


@pytest.mark.parametrize("module", sorted(DEAR))
def test_importing_the_client_loads_nothing_dear(module):
    """The reason stands beside each name above."""
    assert module not in loaded("import usps_token_client"), DEAR[module]


def test_importing_the_client_loads_these_and_no_more():
    """A new import shows up here before it shows up in somebody's start-up time."""
    assert loaded("import usps_token_client") <= {
        "__future__", "_functools", "_socket", "errno", "usps_token_client",
    }  # fmt: skip


def test_no_sdk_is_loaded_before_it_is_given():
    """Whoever uses one SDK has not the others, nor what serves them."""
    names = loaded("import usps_token_client.sdks")
    assert not names & {*DEAR, "karrio", "requests", "usps_v3", "uspsapi"}


def test_fetching_a_token_loads_json_and_no_more(broker):
    """The first answer costs json and what it wants; no socket, no threading, no asyncio."""
    code = "import usps_token_client as u; u.TokenClient(sys.argv[1]).bearer()"
    names = loaded(code, broker.path)
    assert "json" in names
    assert not names & (set(DEAR) - {"json", "re", "enum", "functools"})


def test_printing_a_token_loads_no_json(broker):
    """`usps-token bearer` asks for plain text."""
    code = (
        "from usps_token_client.__main__ import main\n"
        "assert main(['bearer', '--socket', sys.argv[1]]) == 0"
    )
    assert not loaded(code, broker.path) & set(DEAR)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_module_is_python_3_9(source):
    """The grammar of 3.9, and annotations that 3.9 never evaluates."""
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 9))
    futures = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    }
    annotated = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns
    ]
    assert "annotations" in futures or not annotated


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_module_stands_on_the_standard_library(source):
    """Nothing else is imported at run time but a library by the modules that are about it."""
    allowed = STANDARD | {"usps_token_client"} | LIBRARIES.get(source.name, set())
    for node in _run_time(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= allowed
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module.partition(".")[0] in allowed


def _run_time(tree):
    """The nodes that are not under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(tree):
        guarded = isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"
        if not guarded:
            yield child
            yield from _run_time(child)


def test_the_version_is_that_of_the_distribution():
    """`__version__` and pyproject say the same."""
    project = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{usps_token_client.__version__}"' in project


def test_a_warm_read_calls_nothing_but_the_clock(broker):
    """No lock, no getpid, no socket: with a token at hand only the clock is read."""
    tokens = usps_token_client.TokenClient(broker.path)
    tokens.bearer()
    called = []

    def profile(frame, event, argument):
        if event in {"call", "c_call"}:
            called.append(frame.f_code.co_name if event == "call" else argument.__name__)

    sys.setprofile(profile)
    try:
        tokens.bearer()
    finally:
        sys.setprofile(None)
    assert called[0] == "bearer"
    assert set(called) <= {"bearer", "clock_gettime", "setprofile"}


def test_ages_count_on_the_clock_that_a_suspended_machine_keeps():
    """CLOCK_BOOTTIME, where there is one."""
    assert abs(_clock.now() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5.0


def test_without_that_clock_the_monotonic_one_serves(monkeypatch):
    """A system without CLOCK_BOOTTIME, or whose kernel refuses it."""
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert _clock._choose() is time.monotonic  # noqa: TID251 - compared, not read
