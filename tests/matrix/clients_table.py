"""The README's table of clients and facts, made of the ids of the tests that show them.

A test with the id `CLIENT-FACT`, in one of `FILES`, is a cell: `yes`, since what fails does not
land; with `pytest.mark.cell("NOTE")` also that note; `no: REASON` where it is marked as an expected
failure, which must then fail. Where there is no test the cell is `n/a`.
"""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
README = TESTS.parent / "README.md"
BEGIN = "<!-- clients: made by `python tests/matrix` -->\n"
END = "<!-- end of clients -->\n"
FILES = (
    "clients/test_client_facts.py",
    "clients/test_client_libraries.py",
    "clients/test_language_clients.py",
    "sdks/test_*.py",
    "servers/test_*.py",
)
FACTS = {
    "headers": "both headers",
    "rotation": "rotation",
    "revocation": "revocation",
    "restart": "broker restart",
    "refusal": "names a refusal",
    "fork": "fork",
}
CLIENTS = {
    "python": "Python, `TokenClient`",
    "python-async": "Python, `AsyncTokenClient`",
    "httpx": "httpx, `transport()`",
    "httpx-async": "httpx async, `transport()`",
    "requests": "requests",
    "urllib3": "urllib3",
    "aiohttp": "aiohttp",
    "usps-v3": "usps-v3",
    "karrio": "karrio",
    "apimatic": "APIMatic SDK",
    "gunicorn-sync": "gunicorn, sync, preloaded",
    "gunicorn-gthread": "gunicorn, gthread, preloaded",
    "uvicorn": "uvicorn, 4 workers",
    "uwsgi": "uWSGI, forked after load",
    "celery": "celery, prefork",
    "multiprocessing-fork": "multiprocessing, fork",
    "multiprocessing-forkserver": "`ProcessPoolExecutor`, forkserver",
    "multiprocessing-spawn": "multiprocessing, spawn",
    "sh": "`clients/shell/usps-token`",
    "curl": "curl alone",
    "node": "Node",
    "php": "PHP",
}
"""How a client is called, in the order of the table; one that is not here comes last, as its id."""

NOTHING = "n/a"
_ID = re.compile(rf"\[(?P<client>[^\[\]]+)-(?P<fact>{'|'.join(FACTS)})\]$")


class Cells:
    """A pytest plugin that gathers what the tests say, or, once they have run, what became of it.

    Of several tests with one id, the worst is told.
    """

    def __init__(self) -> None:
        self._claimed: dict[tuple[str, str], list[str]] = {}
        self._became: dict[tuple[str, str], list[str]] = {}
        self.errors: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Read the ids."""
        for item in items:
            key = _key(item.nodeid)
            if key is not None:
                self._claimed.setdefault(key, []).append(_claim(item))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be read would be a table without its clients."""
        if report.failed:
            self.errors.append(str(report.longrepr))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what does not bear a claim out."""
        key = _key(report.nodeid)
        if key is None or hasattr(report, "wasxfail"):
            return
        if report.failed:
            self._became.setdefault(key, []).append("FAILED")
        elif report.skipped and isinstance(report.longrepr, tuple):
            why = report.longrepr[2].removeprefix("Skipped: ")
            self._became.setdefault(key, []).append(f"not tried: {why}")

    def table(self) -> str:
        """All of it as Markdown."""
        ids = [client for client, _ in self._claimed]
        rows = [client for client in CLIENTS if client in ids]
        rows += sorted(set(ids) - set(rows))
        lines = [f"| client | {' | '.join(FACTS.values())} |", "| --- " * (1 + len(FACTS)) + "|"]
        for client in rows:
            cells = [self._cell((client, fact)) for fact in FACTS]
            lines.append(f"| {CLIENTS.get(client, client)} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def _cell(self, key: tuple[str, str]) -> str:
        said = self._became.get(key, []) + self._claimed.get(key, [])
        text = next((one for one in said if not one.startswith("yes")), said[0] if said else "")
        return (text or NOTHING).replace("|", "\\|").replace("\n", " ")


def _key(nodeid: str) -> tuple[str, str] | None:
    found = _ID.search(nodeid)
    return None if found is None else (found["client"], found["fact"])


def _claim(item: pytest.Item) -> str:
    for mark in item.iter_markers("xfail"):
        return f"no: {mark.kwargs['reason']}"
    notes = [str(mark.args[0]) for mark in item.iter_markers("cell")]
    return ", ".join(["yes", *notes])


def files() -> list[str]:
    """The files with such tests, of those that there are."""
    return [str(path) for pattern in FILES for path in sorted(TESTS.glob(pattern))]


def in_readme() -> str:
    """The table as it stands in the README."""
    return README.read_text().split(BEGIN, 1)[1].split(END, 1)[0]


def write(table: str) -> None:
    """Put a table into the README."""
    before, rest = README.read_text().split(BEGIN, 1)
    README.write_text(before + BEGIN + table + END + rest.split(END, 1)[1])
