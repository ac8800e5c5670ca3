"""What every test shares."""

import os

import pytest

NOT_MENDABLE_IN_CI = {
    "this machine lets nobody mount a file system": "containers forbid it, even to root",
    "this machine lets nobody raise the limit on locked memory": "as above (CAP_SYS_RESOURCE)",
    "this machine has no IPv6 loopback": "that of a container is its host's decision",
}
"""Reasons for which CI may skip: only what neither root nor a package on .ci/run's list mends."""


def pytest_configure(config):
    """The one mark of our own."""
    config.addinivalue_line("markers", "cell(note): what the README's table of clients adds")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the daemon does."""
    return "asyncio"


def pytest_sessionfinish(session, exitstatus):
    """In CI nothing may be skipped: what a developer's machine cannot run must run there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None or exitstatus != pytest.ExitCode.OK:
        return
    skipped = [report for report in reporter.stats.get("skipped", []) if _must_run(report)]
    for report in skipped:
        reporter.write_line(f"\nskipped in CI: {report.nodeid}: {_reason(report)}", red=True)
    if skipped:
        reporter.write_line(
            f"{len(skipped)} tests were skipped, which CI does not allow: add the missing program "
            "to the packages in .ci/run, or the reason to NOT_MENDABLE_IN_CI in tests/conftest.py",
            red=True,
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _must_run(report):
    # An expected failure is counted among the skipped, and has no place to name.
    return not hasattr(report, "wasxfail") and _reason(report) not in NOT_MENDABLE_IN_CI


def _reason(report):
    _path, _line, said = report.longrepr
    return said.removeprefix("Skipped: ")
