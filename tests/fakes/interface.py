"""The local interface on virtual time: everything of the daemon but sockets, disk and USPS."""

import json
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import documented
from virtual import MemorySaver, VirtualClock, VirtualUsps

from usps_token_broker.app.access import AccessTable
from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.feed import Feed
from usps_token_broker.app.front import Door, Front, Inside
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.plans import app_plan, slot_plans, slots_kept_active
from usps_token_broker.app.ports import Ports
from usps_token_broker.app.shelf import Shelf
from usps_token_broker.app.status import Process
from usps_token_broker.app.usage import Usage
from usps_token_broker.config import AppSettings, Settings, SlotSettings
from usps_token_broker.core.broker import Broker
from usps_token_broker.core.events import CredentialsSeen, Reloaded, Restored
from usps_token_broker.core.values import SlotId
from usps_token_broker.drivers.secret_source import EnvironmentSource
from usps_token_broker.wire.replies import Reply, Streamed
from usps_token_broker.wire.requests import Request

OWN_UID = 1000
SHOP = 2001
"""A group that may have bearers."""
LABELS = 2002
"""A group that may have payment tokens, and bearers by another rule."""
VERSION = "1.2.3"
USERS = {OWN_UID: "broker", 0: "root", 1001: "alice", 1002: "bob"}
GROUPS = {SHOP: "shop", LABELS: "labels", 100: "users"}

Who = tuple[int, tuple[int, ...]]
ADMIN: Who = (0, ())
ALICE: Who = (1001, (SHOP,))
BOB: Who = (1002, (LABELS,))
STRANGER: Who = (1003, (100,))


class Answer(NamedTuple):
    """A reply as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body decoded."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["content-type"] == "application/problem+json", self
        code: str = self.json["code"]
        return code


def answer_of(reply: Reply) -> Answer:
    """Take a reply apart."""
    _, *fields = reply.head.decode("ascii").strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in fields)}
    return Answer(reply.status, headers, reply.body)


def app(
    name: str = "default",
    payments: Iterable[str] = ("payment",),
    *,
    open_to: Mapping[str, Iterable[int]] = {"bearer": (SHOP, LABELS), "payment": (LABELS,)},
    required: Iterable[str] = ("bearer",),
    **more: Any,
) -> AppSettings:
    """An app with these slots, and the groups each is open to."""

    def slot(slot_name: str) -> SlotSettings:
        groups = frozenset(open_to.get(slot_name, ()))
        roles = "" if slot_name == "bearer" else f"roles of {slot_name}"
        is_required = slot_name in required
        return SlotSettings(slot_name, groups=groups, required=is_required, roles_fingerprint=roles)

    return AppSettings(
        name,
        f"https://{name}.example",
        f"{name}.example",
        f"client of {name}",
        EnvironmentSource("USPS_CLIENT_SECRET"),
        bearer=slot("bearer"),
        payments=tuple(slot(payment) for payment in payments),
        **more,
    )


class Lines:
    """A stream as a client sees it: one JSON object a line."""

    def __init__(self, streamed: Streamed) -> None:
        self.head = streamed.encode_head(chunked=True, last=False)
        self._pieces = streamed.pieces
        self._lines: deque[bytes] = deque()

    async def next(self) -> Any:
        """The next line decoded. Raises StopAsyncIteration at the end.

        Raises ValueError for a line that the OpenAPI document does not describe.
        """
        while not self._lines:
            piece = await anext(self._pieces)
            assert piece.endswith(b"\n") or not piece, "lines come whole"
            self._lines += piece.splitlines()
        line = self._lines.popleft()
        documented.check_line(line)
        return json.loads(line)

    async def until(self, kind: str) -> list[Any]:
        """All lines up to one of this kind, which is the last."""
        found = [await self.next()]
        while found[-1]["event"] != kind:
            found.append(await self.next())
        return found


@dataclass
class Interface:
    """A running loop with its routes in front of it."""

    loop: Loop
    door: Door
    feed: Feed
    inside: Inside
    usage: Usage
    usps: VirtualUsps
    clock: VirtualClock
    saver: MemorySaver
    alive: bool = True
    lay_ready: bool = False
    """Whether the last answer did, so that nobody waited for it."""
    notes: list[Any] = field(default_factory=list)
    handed: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    """The pids that were handed tokens, and which."""

    @property
    def table(self) -> AccessTable:
        """The rules in force."""
        return self.door.front.table

    @property
    def shelf(self) -> Shelf:
        """The answers that lie ready."""
        return self.door.front.shelf

    def reload(self, *apps: AppSettings) -> None:
        """Put another configuration in force, as the daemon does."""
        settings = settings_of(apps)
        self.usage.watched = slots_kept_active(settings)
        self.door.put(Front(settings, self.inside))
        plans = tuple(app_plan(each) for each in apps)
        self.loop.post(Reloaded(plans, tuple(slot_plans(settings))))
        self.feed.reloaded()
        for each in apps:
            self.loop.post(CredentialsSeen(each.name, f"secret of {each.name}"))

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] = {},
        body: bytes = b"",
        who: Who = ADMIN,
        *,
        admin: bool = False,
    ) -> Answer:
        """What this peer is answered, over the admin socket or that for workers.

        Raises AssertionError when the OpenAPI document does not describe that answer.
        """
        given = {name.lower().encode(): value.encode() for name, value in headers.items()}
        request = Request(method, target.encode(), given, body)
        handled = self.door.front.routes.handle(request, self.table.of(*who), admin=admin)
        assert not isinstance(handled, Streamed), "it goes on: use `follow`"
        self.lay_ready = isinstance(handled, Reply)
        answer = answer_of(handled if isinstance(handled, Reply) else await handled)
        operation = documented.operation_of(method, target)
        is_there = operation is not None and (admin or not operation.admin)
        documented.check(
            operation if is_there else None, answer.status, answer.headers, answer.body
        )
        return answer

    async def get(self, target: str, headers: Mapping[str, str] = {}, who: Who = ADMIN) -> Answer:
        """A GET."""
        return await self.ask("GET", target, headers, who=who)

    @asynccontextmanager
    async def follow(self, target: str = "/v1/events", who: Who = ADMIN) -> AsyncIterator[Lines]:
        """The lines of a stream, until the block ends."""
        request = Request("GET", target.encode(), {})
        handled = self.door.front.routes.handle(request, self.table.of(*who))
        assert isinstance(handled, Streamed), handled
        async with aclosing(handled.pieces):
            yield Lines(handled)

    async def token(self, slot: str = "bearer") -> Any:
        """A token as JSON; it must be there."""
        answer = await self.get(f"/v1/tokens/{slot}")
        assert answer.status == 200, answer
        return answer.json

    async def report(
        self, status: int, body: str = "", *, query: str = "", who: Who = ADMIN, **more: Any
    ) -> Answer:
        """A worker's word on what USPS answered."""
        said = {"status": status, "body": body, "path": "/addresses/v3/address", **more}
        target = f"/v1/answers{query}"
        return await self.ask("POST", target, body=json.dumps(said).encode(), who=who)


def settings_of(apps: Iterable[AppSettings]) -> Settings:
    """A configuration of these apps."""
    return Settings(tuple(apps), Path("/state"), Path("/socket"), "a test")


@asynccontextmanager
async def open_interface(*apps: AppSettings, start: bool = True) -> AsyncIterator[Interface]:
    """The interface of a daemon with these apps, until the block ends.

    Without `start` the loop does not run: nothing is granted, and events wait.
    """
    settings = settings_of(apps or (app(),))
    clock = VirtualClock()
    usps = VirtualUsps(clock)
    saver = MemorySaver()
    broker = Broker([app_plan(a) for a in settings.apps], slot_plans(settings))
    notes: list[Any] = []
    doors: list[Door] = []

    def published(slot: SlotId) -> None:
        doors[0].drop(slot)
        feed.changed(slot)

    def follow(call: Call) -> Handled:
        uid, groups = call.access.uid, call.access.groups
        return feed.stream(lambda: doors[0].front.table.of(uid, groups), call.query)

    ports = Ports(clock, lambda: 0.5, usps, saver, notes.append, published)
    loop = Loop(broker, ports)
    usage = Usage(lambda: clock().boot, loop.post)
    usage.watched = slots_kept_active(settings)
    process = Process(VERSION, clock().wall, lambda: interface.alive)
    feed = Feed(lambda: doors[0].front.status, clock)
    handlers = {"followEvents": follow}
    handed: list[tuple[int, tuple[str, ...]]] = []
    inside = Inside(
        loop,
        clock,
        OWN_UID,
        process,
        usage.note,
        handlers,
        USERS.get,
        GROUPS.get,
        ports.tally,
        lambda peer, tokens: handed.append((peer.pid, tokens)),
    )
    doors.append(Door(Front(settings, inside)))
    interface = Interface(loop, doors[0], feed, inside, usage, usps, clock, saver, notes=notes)
    interface.handed = handed
    for each in settings.apps:
        loop.post(CredentialsSeen(each.name, f"secret of {each.name}"))
    loop.post(Restored(None, "boot-1"))
    async with anyio.create_task_group() as tasks:
        if start:
            tasks.start_soon(loop.run)
        yield interface
        tasks.cancel_scope.cancel()
