"""What every way to use the broker is put through, against a real broker and a simulated USPS.

Six facts (`FACTS`), each about the workers of one client on one host. Workers are whatever has
`round()`: every worker makes one label call, all at once. `Driven` is that for any program that
speaks this protocol on its standard input and output:

    environment   USPS_TOKEN_SOCKET, LABEL_URL, LABEL (the body of the call, JSON)
    line in       `call`: make one call with both headers, as a program of that kind would
    line out      `STATUS WHAT`: USPS's status and the tracking number or the body; 0 and what the
                  client said when there was no call to make. One line, whatever is in it
    line in       `fork`: have `FORKED` children do that with the client that the parent has used;
                  a line out from each. Only asked of programs that fork
    end of input  end

A test of such clients is parametrized by `facts.cells({"CLIENT": ["headers", …]})` and does
`facts.FACTS[fact](shop, facts.driven([…]))`; its ids are then `CLIENT-FACT`, which is what
`tests/matrix` makes the README's table of.
"""

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import urlsplit

import pytest
from processes import DEADLINE_SECONDS, Home, Process, Usps, until

from usps_token_broker.simulator.names import EXAMPLE_LABEL, NOMINAL_LIFE_SECONDS

WORKERS = 4
FORKED = 4
CALLS_AFTER_REVOCATION = 5
PAUSE_SECONDS = 0.1
"""Between two rounds that nobody waits for, so that a broker that starts gets its turn."""
LIFE_SECONDS = 10
"""Short enough to see a token die, long enough that a loaded machine renews it in time."""
LABELS = "/labels/v3/label"
ADDRESS = "/addresses/v3/address?streetAddress=475+LENFANT+PLZ+SW&city=WASHINGTON&state=DC"
OK = 200
NO_CALL = 0
NO_FAILED = "none failed"


class Said(NamedTuple):
    """What one worker says of one call."""

    status: int
    what: str


class Workers(Protocol):
    """Some workers of one client, all on this host."""

    def round(self) -> list[Said]:
        """Every worker makes a call (some may make more), all at once."""
        ...

    def fork(self) -> list[Said]:
        """What children say that use a client which their parent has used."""
        ...


class Shop:
    """A USPS, and a folder for a broker of it; the broker comes and goes."""

    def __init__(self, usps: Usps, home: Home) -> None:
        self.usps = usps
        self.home = home
        self._running = contextlib.ExitStack()
        self.broker: Process | None = None

    def open(self) -> None:
        """Start a broker; it has both tokens when this returns."""
        self.start()
        self.home.first_token("payment")

    def start(self) -> None:
        """Start a broker by hand, whatever becomes of it."""
        self.broker = self._running.enter_context(self.home.broker())

    def open_as_unit(self) -> None:
        """The same with its socket held by a service manager."""
        options = ("socket_unit", str(self.home.socket), str(self.home.config))
        process = Process(*options, environ={"PYTHONPATH": str(Path(__file__).parent)})
        self.broker = self._running.enter_context(process)
        self.home.wait_for_socket(process)
        self.home.first_token("payment")

    def pid(self) -> int:
        """The id of the broker that answers; 0 where one ends before it does."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return int(self.home.status()["pid"])
        return 0

    def restart_unit(self) -> None:
        """Have the service manager restart it; another broker answers when this returns."""
        assert self.broker is not None
        before = self.pid()
        self.broker.process.send_signal(signal.SIGHUP)
        until(lambda: self.pid() not in {before, 0})

    def restart_by_hand(self) -> None:
        """End the broker and start another, with nobody listening in between."""
        self.close()
        self.open()

    def close(self) -> None:
        """End the broker as a service manager does."""
        if self.broker is not None:
            self.broker.kill(signal.SIGTERM)
            self.broker = None
        self._running.close()

    @property
    def environ(self) -> dict[str, str]:
        """What a worker is told of broker and USPS."""
        return {
            "USPS_TOKEN_SOCKET": str(self.home.socket),
            "LABEL_URL": self.usps.base_url + LABELS,
            "LABEL": json.dumps(dict(EXAMPLE_LABEL)),
        }

    def connections(self) -> int:
        """Those of this user that the broker has open, without the one that asks."""
        peers = json.loads(self.home.ask("GET", "/v1/status", admin=True)[2])["peers"]
        return sum(peer["connections"] for peer in peers if peer["uid"] == os.geteuid())


@contextlib.contextmanager
def shop_of(usps: Usps) -> Iterator[Shop]:
    """A shop with a home of its own, at a USPS that others may have used before."""
    usps.ask("POST", "/sim/reset")
    usps.ask("PUT", "/sim/settings", {"life_seconds": NOMINAL_LIFE_SECONDS})
    home = Home(usps.base_url, app="calls_per_hour = 1000")
    shop = Shop(usps, home)
    try:
        yield shop
    finally:
        shop.close()
        home.remove()


def clean_environ() -> dict[str, str]:
    """Our environment without what clients would take for a setting."""
    dropped = ("USPS_", "PYTEST_CURRENT_TEST")
    return {k: v for k, v in os.environ.items() if not k.startswith(dropped)}


class Driver:
    """One running program that speaks the protocol above."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], lines: int = 1) -> None:
        self._lines = lines
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean_environ(), **environ},
        )

    def tell(self, word: str) -> None:
        """Have it begin."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(self._end()) from None

    def hear(self, lines: int | None = None) -> list[Said]:
        """What it said: so many lines, by default as many as one `call` has."""
        return [self._line() for _ in range(self._lines if lines is None else lines)]

    def _line(self) -> Said:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._end()
        status, _, what = line.strip().partition(" ")
        return Said(int(status), what)

    def _end(self) -> str:
        self._process.kill()
        assert self._process.stderr is not None
        return f"it ended: {self._process.stderr.read()}"

    def close(self) -> None:
        """End of input; then it must end, and with 0."""
        with contextlib.suppress(BrokenPipeError):
            _, errors = self._process.communicate(timeout=DEADLINE_SECONDS)
            assert self._process.returncode == 0, errors

    def kill(self) -> None:
        """Whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class Driven:
    """Workers of which each is a program, or all of them children of one (`lines`)."""

    def __init__(
        self, command: Sequence[str], shop: Shop, *, count: int = WORKERS, lines: int = 1
    ) -> None:
        self._drivers = [Driver(command, shop.environ, lines) for _ in range(count)]

    def round(self) -> list[Said]:
        """See `Workers`."""
        for driver in self._drivers:
            driver.tell("call")
        return [said for driver in self._drivers for said in driver.hear()]

    def fork(self) -> list[Said]:
        """See `Workers`."""
        self._drivers[0].tell("fork")
        return self._drivers[0].hear(FORKED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                for driver in self._drivers:
                    driver.close()
        finally:
            for driver in self._drivers:
                driver.kill()


Opener = Callable[[Shop], AbstractContextManager[Workers]]
"""Starts the workers of one client at a shop."""


def driven(command: Sequence[str], *, count: int = WORKERS, lines: int = 1) -> Opener:
    """Workers that are this program; a `*.py` is run by our own Python."""
    if command[0].endswith(".py"):
        command = (sys.executable, *command)
    return lambda shop: Driven(command, shop, count=count, lines=lines)


# -- the facts ------------------------------------------------------------------------------------


def headers(shop: Shop, workers: Opener) -> None:
    """Both headers are on every call: USPS makes a label, a different one for each."""
    shop.open()
    with workers(shop) as running:
        said = running.round()
    assert len(said) >= WORKERS
    made(said)
    assert shop.usps.calls("labels") == len(said)


def rotation(shop: Shop, workers: Opener) -> None:
    """No call fails while the tokens that the workers began with grow old and die."""
    shop.usps.ask("PUT", "/sim/settings", {"life_seconds": LIFE_SECONDS})
    shop.open()
    first = {"Authorization": f"Bearer {shop.home.token()['token']}"}
    said: list[Said] = []

    def it_died() -> bool:
        said.extend(running.round())
        select.select([], [], [], PAUSE_SECONDS)
        return status_of(shop, first) != OK

    with workers(shop) as running:
        until(it_died)
        said += running.round()
    made(said)


def revocation(shop: Shop, workers: Opener, lost: int = 0) -> None:
    """USPS ends both tokens, one after the other: so many failed calls in all, and one renewal."""
    shop.open()
    with workers(shop) as running:
        made(running.round())
        for what, endpoint in (("bearer", "token"), ("payment", "payment-authorization")):
            before = shop.usps.calls(endpoint)
            shop.usps.ask("POST", "/sim/revocations", {"what": what})
            said = [one for _ in range(CALLS_AFTER_REVOCATION) for one in running.round()]
            failed = [one for one in said if one.status != OK]
            assert len(failed) <= lost, (what, len(failed), failed)
            assert shop.usps.calls(endpoint) - before == 1, what
            made(running.round())


def restart(shop: Shop, workers: Opener, *, kept: bool = True) -> None:
    """The broker ends and another begins while calls are made: none of them fails.

    As our units do it, with the socket kept. With `kept` the workers keep their tokens, so that a
    broker started by hand, whose socket goes and comes, may be restarted as well.
    """
    shop.open_as_unit()
    with workers(shop) as running:
        made(called_through(running, shop.restart_unit))
        if kept:
            shop.close()
            shop.home.socket.unlink()
            shop.open()
            made(called_through(running, shop.restart_by_hand))
    assert shop.usps.calls("token") == 1


def called_through(running: Workers, happens: Callable[[], object]) -> list[Said]:
    """What the workers say, who never stop to call while something happens."""
    said = running.round()
    over = threading.Event()

    def keep_calling() -> None:
        while not over.wait(PAUSE_SECONDS):
            said.extend(running.round())

    calling = threading.Thread(target=keep_calling)
    calling.start()
    try:
        until(lambda: len(said) >= 2 * WORKERS or not calling.is_alive())
        happens()
    finally:
        over.set()
        calling.join()
    return said + running.round()


def refusal(shop: Shop, workers: Opener) -> None:
    """The broker cannot give a token: each worker says which error it is, and what to do."""
    shop.home.write_secret("not-the-secret")
    shop.start()
    until(lambda: shop.home.get("/v1/tokens/bearer?wait=1")[0] == 502, shop.home.status)
    problem: Any = json.loads(shop.home.get("/v1/tokens/bearer")[2])
    with workers(shop) as running:
        said = running.round()
    assert {one.status for one in said} == {NO_CALL}, said
    for one in said:
        assert problem["code"] in one.what or problem["reason"] in one.what, one
        assert problem["fix"] in one.what, one
    assert shop.usps.calls("labels") == 0


def fork(shop: Shop, workers: Opener) -> None:
    """Children use what their parent has used: right answers, and nothing of it is left open."""
    shop.open()
    with workers(shop) as running:
        said = running.round()
        said += running.fork()
        said += running.round()
        until(lambda: shop.connections() == 0, lambda: f"{shop.connections()} left open")
    made(said)
    assert shop.usps.calls("token") == shop.usps.calls("payment-authorization") == 1


FACTS: dict[str, Callable[..., None]] = {
    fact.__name__: fact for fact in (headers, rotation, revocation, restart, refusal, fork)
}


def made(said: Sequence[Said]) -> None:
    """Each of these calls made a label, and no worker was told another one's."""
    assert {one.status for one in said} == {OK}, [one for one in said if one.status != OK][:3]
    assert len({one.what for one in said}) == len(said), "an answer was told twice"


def status_of(shop: Shop, headers: Mapping[str, str]) -> int:
    """USPS's status to a call with these headers."""
    connection = http.client.HTTPConnection(urlsplit(shop.usps.base_url).netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", ADDRESS, headers=dict(headers))
        return connection.getresponse().status


# -- tests of them --------------------------------------------------------------------------------


def cells(
    clients: Mapping[str, Sequence[str]],
    *,
    lost: Mapping[str, int] = {},
    notes: Mapping[str, str] = {},
    wrong: Mapping[str, str] = {},
) -> list[Any]:
    """Parameters `client, fact` with the ids `CLIENT-FACT`, for these clients and their facts.

    `lost`: calls that fail on the host after a revocation, for clients of which some do. `notes`
    and `wrong`: by id, what the table adds to its `yes`, and why it says `no`.
    """
    made: list[Any] = []
    for client, theirs in clients.items():
        for fact in theirs:
            name = f"{client}-{fact}"
            marks = [pytest.mark.cell(notes[name])] if name in notes else []
            if fact == "revocation":
                failed = lost.get(client, 0)
                marks.append(pytest.mark.cell(f"at most {failed} failed" if failed else NO_FAILED))
            if name in wrong:
                marks.append(pytest.mark.xfail(reason=wrong[name], strict=True))
            made.append(pytest.param(client, fact, id=name, marks=marks))
    return made
