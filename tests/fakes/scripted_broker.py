"""A broker that does as a test says: a real HTTP server on a real Unix socket, in threads.

Left alone it serves what lies in `grants`, as the real one would. `script` holds what the next
requests get instead, in order; `always` what every request gets. Python 3.9, like the client.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_SECONDS = 20.0
HOST = "apis.usps.com"


def untraced_fork() -> int:
    """`os.fork` for a test whose threads are running.

    A tracer such as coverage has a lock of its own, which a thread may hold just then; in the child
    nobody would ever release it. So the child is not traced, from before its first line on.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    child = os.fork()
    if child == 0:
        threading.settrace(None)
    else:
        sys.settrace(tracer)
    return child


class SteppedClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 5000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The instant it shows."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so much time go by."""
        self.now += seconds


@dataclass
class Request:
    """What a client sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer. `raw` is sent as it is, in place of one made from the rest."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    def encode(self) -> bytes:
        """The bytes of it."""
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Whatever"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass
class Drip:
    """Send these bytes one by one, a little apart, until the client has had enough."""

    data: bytes
    pause_seconds: float = 0.02


class Silence:
    """Take the request, and never answer."""


class HangUp:
    """Close the connection without a byte."""


@dataclass
class Held:
    """Answer only when the test says so."""

    then: Behaviour | None = None
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


Behaviour = Any
"""A Reply, Drip, Silence, HangUp or Held, or a function of the Request that gives one."""


@dataclass
class Grant:
    """A token the broker has. Spans are seconds; its age counts on the broker's clock."""

    value: str
    serial: int
    life: float = 28_800.0
    buffer: float = 1800.0
    check_after: float = 60.0
    scopes: list[str] | None = None
    born_at: float | None = None


def json_reply(data: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = "application/json" if status < 400 else "application/problem+json"
    return Reply(status, json.dumps(data).encode(), {"Content-Type": kind, **named})


def problem(status: int, code: str, **more: Any) -> Reply:
    """A refusal as the broker words it."""
    data = {
        "type": "about:blank",
        "title": code,
        "status": status,
        "code": code,
        "detail": f"the detail of {code}",
        "fix": f"the fix of {code}",
        **more,
    }
    return json_reply(data, status)


class ScriptedBroker:
    """Listens from `start` to `stop`. Its folder, and so its socket file, lives until `close`."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="utb-"))
        self.path = str(self.folder / "broker.sock")
        self.clock = clock
        self.app = "default"
        self.base_url = f"https://{HOST}"
        self.grants: dict[str, Grant] = {}
        self.script: list[Behaviour] = []
        self.always: Behaviour | None = None
        self.verdict: dict[str, Any] | None = None
        self.not_ready: list[str] = []
        self.status: dict[str, Any] = {"version": "0.1.0", "ready": True, "apps": []}
        self.requests: list[Request] = []
        self._changed = threading.Condition()
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def grant(self, slot: str, value: str, serial: int, **more: Any) -> Grant:
        """Have this token from now on."""
        granted = Grant(value, serial, born_at=self.clock(), **more)
        self.grants[slot] = granted
        return granted

    def listen(self, backlog: int = 128) -> None:
        """Bind and listen, but accept nobody."""
        Path(self.path).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(backlog)

    def start(self, backlog: int = 128) -> ScriptedBroker:
        """Listen and serve."""
        if self._listener is None:
            self.listen(backlog)
        self._spawn(self._accept, self._listener)
        return self

    def stop(self) -> None:
        """Stop listening and hang up on everybody; the socket file stays, as after a crash."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
        self._threads.clear()

    def close(self) -> None:
        """Stop, and remove the folder."""
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def reports(self) -> list[Any]:
        """What it was told of USPS's answers."""
        return [request.json() for request in self.requests if request.path == "/v1/answers"]

    def wait_for_requests(self, count: int) -> None:
        """Until so many have come. Raises AssertionError when they do not."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: len(self.requests) >= count, timeout=DEADLINE_SECONDS
            )
        assert arrived, f"{len(self.requests)} requests came, not {count}"

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._spawn(self._converse, connection)

    def _converse(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = _read(connection)
            if request is None:
                return
            with self._changed:
                self.requests.append(request)
                scripted = self.script.pop(0) if self.script else self.always
                self._changed.notify_all()
            self._act(connection, request, scripted)
        self._connections.remove(connection)

    def _act(self, connection: socket.socket, request: Request, what: Behaviour) -> None:
        if isinstance(what, Held):
            what.arrived.set()
            what.released.wait(DEADLINE_SECONDS)
            self._act(connection, request, what.then)
        elif isinstance(what, Reply):
            connection.sendall(what.encode())
        elif isinstance(what, Drip):
            for byte in what.data:
                connection.sendall(bytes([byte]))
                time.sleep(what.pause_seconds)
        elif isinstance(what, Silence):
            # Until the client hangs up.
            connection.recv(1)
        elif callable(what) and not isinstance(what, type):
            self._act(connection, request, what(request))
        elif not isinstance(what, HangUp):
            connection.sendall(self.answer(request).encode())

    def answer(self, request: Request) -> Reply:
        """What the real broker would say."""
        if request.path.startswith("/v1/tokens/"):
            return self._token(request, request.path[len("/v1/tokens/") :])
        routes = {
            "/v1/headers": self._headers,
            "/v1/answers": lambda _request: json_reply(self.verdict),
            "/v1/status": lambda _request: json_reply(self.status),
            "/readyz": self._ready,
        }
        route = routes.get(request.path)
        return problem(404, "not_found") if route is None else route(request)

    def _token(self, request: Request, slot: str) -> Reply:
        found = self.grants.get(slot)
        if found is None:
            return problem(404, "unknown_slot")
        ages = self._ages([found])
        data = {
            "token": found.value,
            "token_type": "Bearer",
            "slot": slot,
            "app": self.app,
            "host": HOST,
            "serial": found.serial,
            "scopes": found.scopes,
            **ages,
            "issued_at": ages["use_until"] + found.buffer - found.life,
            "expires_at": ages["use_until"] + found.buffer,
        }
        return _choose(request, [found], data, found.value)

    def _headers(self, request: Request) -> Reply:
        name = request.query.get("payment")
        slots = {"bearer": "bearer"}
        if name is not None:
            slots["payment"] = "payment" if name == "default" else f"payment-{name}"
        missing = [slot for slot in slots.values() if slot not in self.grants]
        if missing:
            return problem(404, "unknown_slot")
        found = {kind: self.grants[slot] for kind, slot in slots.items()}
        headers = {"Authorization": f"Bearer {found['bearer'].value}"}
        if "payment" in found:
            headers["X-Payment-Authorization-Token"] = found["payment"].value
        data = {
            "app": self.app,
            "host": HOST,
            "base_url": self.base_url,
            "headers": headers,
            "serials": {kind: grant.serial for kind, grant in found.items()},
            **self._ages(list(found.values())),
        }
        text = "".join(f"{name}: {value}\n" for name, value in headers.items())
        return _choose(request, list(found.values()), data, text)

    def _ages(self, grants: list[Grant]) -> dict[str, Any]:
        def left(grant: Grant) -> float:
            return grant.life - (self.clock() - (grant.born_at or 0.0))

        least = min(grants, key=left)
        now = time.time()  # noqa: TID251 - a stand-in for the daemon, which has a clock
        return {
            "expires_in": left(least),
            "use_until": now + left(least) - least.buffer,
            "check_after": min(grant.check_after for grant in grants),
            "degraded": left(least) <= least.buffer,
        }

    def _ready(self, request: Request) -> Reply:
        slot = request.query.get("slot")
        names = [name for name in self.not_ready if slot in {None, name.rpartition("/")[2]}]
        return json_reply({"ready": not names, "not_ready": names}, 503 if names else 200)


def _choose(request: Request, grants: list[Grant], data: dict[str, Any], text: str) -> Reply:
    etag = '"' + ".".join(str(grant.serial) for grant in grants) + '"'
    if request.headers.get("if-none-match") == etag:
        return Reply(304, b"", {"ETag": etag})
    if request.headers.get("accept", "").startswith("text/plain"):
        return Reply(200, text.encode("latin-1"), {"Content-Type": "text/plain", "ETag": etag})
    return json_reply(data, ETag=etag)


def _read(connection: socket.socket) -> Request | None:
    connection.settimeout(DEADLINE_SECONDS)
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _version = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return Request(method, target, headers, body)
