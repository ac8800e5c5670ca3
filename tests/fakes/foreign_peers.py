"""Clients of the local interface that nobody here wrote, each driven by one file.

A driver is called `peer_*`, runs by its first line (`#!/usr/bin/env NAME`), and says in its head
`needs: PROGRAM …` (what must be installed beside NAME) and `cannot: SKILL …` (see `Skill`).
It is called with the path of the socket, reads a plan from standard input and writes the answers
to standard output, both JSON:

    {"how": "kept" | "together", "version": "1.1" | "1.0", "requests": [
        {"method": "GET", "target": "/…", "headers": {}, "body": null | "…", "chunked": false}]}
    [{"status": 200, "headers": {"lower-case": "…"}, "body": "…"}]

`kept` sends them one after another on one connection, `together` all at once on one each. A driver
that finds a library missing says so on standard error and exits with 69 (EX_UNAVAILABLE).
"""

import enum
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

EX_UNAVAILABLE = 69
DEADLINE_SECONDS = 60.0

_FIRST_LINE = re.compile(r"#!/usr/bin/env (\S+)")
_HEAD_BYTES = 2048


class Skill(enum.StrEnum):
    """What not every client can do."""

    CHUNKED = "chunked"
    """Send a body without knowing its length."""
    EXPECT = "expect"
    """Wait for `100 Continue` before it sends a body."""
    OLD_HTTP = "http1.0"
    """Speak HTTP/1.0."""
    ONE_CONNECTION = "one-connection"
    """Send requests for different targets on one connection."""


@dataclass(frozen=True)
class Request:
    """What a client is asked to send."""

    target: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    chunked: bool = False


@dataclass(frozen=True)
class Answer:
    """What a client says it was answered."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body decoded."""
        return json.loads(self.body)


class MissingError(Exception):
    """This machine cannot run the client; says what is not installed."""


class ForeignPeer:
    """One client and its driver."""

    def __init__(self, driver: Path) -> None:
        head = driver.read_text("utf-8")[:_HEAD_BYTES]
        first = _FIRST_LINE.match(head)
        assert first, f"{driver} does not say by what it runs"
        self.name = driver.stem.removeprefix("peer_")
        self._driver = driver
        self._runs_by = first[1]
        self._needs = (self._runs_by, *_words(head, "needs"))
        self.cannot = frozenset(Skill(word) for word in _words(head, "cannot"))

    def ask(
        self, path: Path, *requests: Request, how: str = "kept", version: str = "1.1"
    ) -> list[Answer]:
        """What it is answered on this socket. Raises MissingError."""
        # Our own Python comes first: it is the one with the libraries.
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        for program in self._needs:
            if shutil.which(program, path=search) is None:
                raise MissingError(f"{program} is not installed")
        plan = {"how": how, "version": version, "requests": [asdict(each) for each in requests]}
        done = subprocess.run(
            ["/usr/bin/env", self._runs_by, str(self._driver), str(path)],
            input=json.dumps(plan).encode(),
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            env={**os.environ, "PATH": search},
            check=False,
        )
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode == EX_UNAVAILABLE:
            raise MissingError(said)
        assert done.returncode == 0, said
        return [Answer(**answer) for answer in json.loads(done.stdout)]


def _words(head: str, label: str) -> list[str]:
    found = re.search(rf"^\W*{label}: (.*)$", head, re.MULTILINE)
    return found[1].split() if found else []


def drivers_in(folder: Path) -> list[ForeignPeer]:
    """Every client that has a driver there."""
    return [ForeignPeer(path) for path in sorted(folder.glob("peer_*.*"))]


def who_can(peers: Iterable[ForeignPeer], skill: Skill) -> list[ForeignPeer]:
    """Those of them that can do this."""
    return [peer for peer in peers if skill not in peer.cannot]
