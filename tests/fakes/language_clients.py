"""The clients in other languages, each driven over pipes by a program of its own language.

A driver reads a question a line and answers it with a line, both JSON. `call` is one of

new         a client with these `socket`, `app`, `timeout`; the next calls are of it
advance     its clock of ages goes on by `seconds`
become      the process goes on as `uid`
bearer, payment (`name`), headers (`payment`), status, unready (`slots`, `min_valid`), wait_ready
            (`slots`, `timeout`), report (`status`, `headers`, `body`, `path`, `host`, `used`,
            `payment`): what the method of that name gives
printed     all that printing shows of a client and what it gave
fetch       what USPS answers to `method`, `url`, `headers`, `body` through the client: `status`,
            `text`, and the `verdict` on a 401, or the `error` that it could not be told for;
            `stream` is a body that is sent once only; in Node.js alone as a `request` that was
            made before, and `given_up` at once
fork        the bearer (`value`) as a child of the program gets it, and the child's `pid`
at_once     how many bearers `times` calls at once gave (Node.js alone)

and the answer has what it `gives`, the `error` of the broker, or what else it `raised`.
"""

import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest

HERE = Path(__file__).parent
DEADLINE_SECONDS = 60.0
CLIENTS = HERE.parents[1] / "clients"
EX_UNAVAILABLE = 69
PHP = ("php", "-d", "zend.exception_ignore_args=0")
"""Its exceptions have frames with arguments, as on a developer's machine."""
LANGUAGES = {
    "node": ("node", str(HERE / "driver_node.mjs")),
    "php": (*PHP, str(HERE / "driver_php.php")),
}
FRAMEWORKS = {
    name: (*PHP, str(HERE / "driver_frameworks.php"), name)
    for name in ("laravel", "psr18", "wordpress")
}
"""PHP's frameworks: real ones, from the system's packages. A driver of these has `fetch` alone."""
WORDPRESS = next(
    (
        path
        for path in ("/opt/wordpress/usr/share/wordpress", "/usr/share/wordpress")
        if Path(path).is_dir()
    ),
    "/nonexistent",
)
"""WordPress's code; .ci/run unpacks it without the server and the database it asks for."""


class BrokerSaid(Exception):  # noqa: N818 - what the other language's client raised
    """The error of the broker that a client gave."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['detail']}")
        self.error = error

    @property
    def code(self) -> str:
        """Which error it is."""
        code: str = self.error["code"]
        return code


class LanguageClient:
    """A driver of one language, running; ended when the block ends."""

    def __init__(self, language: str, **environ: str) -> None:
        command = {**LANGUAGES, **FRAMEWORKS}[language]
        program = shutil.which(command[0])
        if program is None:
            pytest.skip(f"{command[0]} is not installed")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("USPS_")}
        self.process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**clean, "WORDPRESS": WORDPRESS, **environ},
        )

    def ask(self, call: str, **more: Any) -> Any:
        """What a question gives. Raises BrokerSaid, or AssertionError for another failure."""
        self.send(call, **more)
        return self.heard()

    def send(self, call: str, **more: Any) -> None:
        """Ask, without waiting for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"call": call, **more}) + "\n")
        self.process.stdin.flush()

    def heard(self) -> Any:
        """The next answer."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_SECONDS)
        assert ready, "the driver gave no answer"
        line = self.process.stdout.readline()
        if not line and self.process.wait() == EX_UNAVAILABLE:
            pytest.skip("a library of this driver is not installed (.ci/run names the packages)")
        assert line, f"the driver ended with {self.process.wait()}"
        said = json.loads(line)
        if "error" in said:
            raise BrokerSaid(said["error"])
        assert "gives" in said, said
        return said["gives"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
