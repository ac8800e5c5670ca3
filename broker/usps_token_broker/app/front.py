"""The local interface under one configuration. A reload puts another front in its place, whole."""

import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field

from usps_token_broker.app import forbidding, problems
from usps_token_broker.app.access import Access, AccessTable
from usps_token_broker.app.admin import Admin
from usps_token_broker.app.answers import Answers
from usps_token_broker.app.calls import Call, Handled, Handler
from usps_token_broker.app.explanations import Explanations
from usps_token_broker.app.forbidding import Forbidding
from usps_token_broker.app.gate import Gate
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.metrics import Metrics
from usps_token_broker.app.ports import Clock
from usps_token_broker.app.promises import Told
from usps_token_broker.app.queries import Query
from usps_token_broker.app.reading import Reading
from usps_token_broker.app.resolving import Refused, Resolver
from usps_token_broker.app.routes import Routes
from usps_token_broker.app.shelf import AppInfo, Shelf
from usps_token_broker.app.status import Process, Status
from usps_token_broker.app.tally import NO_OPERATION, Tally
from usps_token_broker.app.telling import config_problems
from usps_token_broker.app.unrecognised import Unrecognised
from usps_token_broker.config import Settings
from usps_token_broker.core.rates import Rate
from usps_token_broker.core.values import SlotId
from usps_token_broker.drivers.peers import Peer
from usps_token_broker.wire.replies import Reply, Streamed
from usps_token_broker.wire.requests import Request


@dataclass(frozen=True, slots=True)
class Inside:
    """What the fronts of all configurations have in common."""

    loop: Loop
    clock: Clock
    own_uid: int
    process: Process
    used: Callable[[SlotId], None]
    """Is told of tokens that are handed out."""
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    """Calls that mean the same under every configuration, by the names of their operations."""
    user_name: forbidding.Name = forbidding.user_name
    group_name: forbidding.Name = forbidding.group_name
    tally: Tally = field(default_factory=Tally)
    """What the loop's ports have, too."""
    handed: Callable[[Peer, tuple[str, ...]], None] = lambda _peer, _tokens: None
    """Is told of tokens that go to a peer, once a connection."""
    unrecognised: Unrecognised = field(default_factory=Unrecognised)
    reports: Rate = field(default_factory=lambda: Rate(0))
    """How often a user may say what USPS answered it."""


class Door:
    """What servers hold on to while fronts come and go."""

    def __init__(self, front: "Front") -> None:
        self.front = front

    def put(self, front: "Front") -> None:
        """Have another front answer from now on."""
        self.front.retire(lambda: self.front)
        self.front = front

    def identify(self, connected: socket.socket) -> Peer:
        """Who calls, judged by the rules in force."""
        peer = self.front.gate.identify(connected)
        peer.came_at = self.front.clock().boot
        return peer

    def look_up(self, peer: Peer) -> None:
        """What only the name service knows of who calls. Blocks."""
        self.front.gate.look_up(peer)

    def judge(self, peer: Peer) -> Reply | None:
        """What the caller is told instead of being served, or None."""
        return self.front.judge(peer)

    def handle(self, request: Request, peer: Peer) -> Handled:
        """The reply to who calls on the socket for workers."""
        return self.front.handle(request, peer)

    def handle_admin(self, request: Request, peer: Peer) -> Handled:
        """The reply to who calls on the admin socket."""
        return self.front.handle(request, peer, admin=True)

    def drop(self, slot: SlotId) -> None:
        """What was made of this slot is no longer so."""
        self.front.shelf.drop(slot)


class Front:
    """Everything of the local interface that goes by the configuration."""

    def __init__(self, settings: Settings, inside: Inside) -> None:
        self._inside = inside
        self.settings = settings
        self.used = inside.used
        loop, clock = inside.loop, inside.clock
        infos = {app.name: AppInfo(app.name, app.host, app.base_url) for app in settings.apps}
        self._infos = infos
        self.clock = clock
        self.table = AccessTable(settings.apps, inside.own_uid)
        self.shelf = Shelf(loop.broker, infos, clock, inside.used)
        self.forbidding = Forbidding(self.table.rules, inside.user_name, inside.group_name)
        self.gate = Gate(self.table, self.forbidding)
        resolver = self._resolver = Resolver(self.table.rules, self.forbidding)
        left_out = config_problems(p for slot in settings.broken for p in slot.problems)
        self.status = Status(loop, clock, inside.process, resolver=resolver, left_out=left_out)
        admin = Admin(loop, resolver, clock)
        buffers = {app.name: app.buffer_seconds for app in settings.apps}
        self._reading = Reading(loop, self.shelf, resolver, lambda: clock().boot, buffers)
        self._answers = Answers(loop, self.shelf, resolver, inside.tally, inside.unrecognised)
        explanations = Explanations(infos, clock, inside.unrecognised)
        self.onlooker = self.table.onlooker()
        self.looks: dict[str, Handler] = {
            "readReadiness": self.status.ready,
            "readHealth": self.status.alive,
            "readMetrics": Metrics(loop, clock, inside.process, inside.tally).scrape,
        }
        """What can be answered to an onlooker, by operation."""
        self.routes = Routes(
            self._reading,
            {
                **self.looks,
                "reportAnswer": self._report,
                "explain": explanations.explain,
                "readCatalogue": explanations.catalogue,
                "readUnrecognised": explanations.unrecognised,
                "readStatus": self.status.status,
                "readOpenApi": self.status.document,
                "renewToken": admin.renew,
                "forgetTokens": admin.forget,
                **inside.handlers,
            },
            inside.tally,
        )

    def judge(self, peer: Peer) -> Reply | None:
        """What the peer is told instead of being served, or None. Counts it."""
        refusal = self.gate.judge(peer)
        if refusal is not None:
            self._inside.tally.requests[NO_OPERATION][refusal.status] += 1
        return refusal

    def handle(self, request: Request, peer: Peer, *, admin: bool = False) -> Handled:
        """The reply to a peer that was let in, by whatever configuration."""
        access = self.gate.access(peer)
        if not access.slots:
            # It was let in by other rules than those in force.
            return self.judge(peer) or self.forbidding.say_by_number(access)
        handled = self.routes.handle(request, access, admin=admin)
        if type(handled) is Reply:
            if handled.tokens and handled.tokens not in peer.took:
                self._hand(request, peer, handled)
        elif isinstance(handled, Coroutine):
            return Told(handled, lambda reply: self._hand(request, peer, reply))
        return handled

    def _report(self, call: Call) -> Handled:
        """Take a report in, unless this user brings too many; administrators may bring any."""
        reports, uid = self._inside.reports, call.access.uid
        now_usec = int(self.clock().boot * 1e6)
        if call.admin or reports.take(uid, now_usec):
            return self._answers.take(call)
        return problems.too_many_reports(reports.per_minute, reports.seconds(uid, now_usec))

    def _hand(self, request: Request, peer: Peer, reply: Reply) -> None:
        """Tell of the tokens in a reply, unless it is for somebody who only wants its head."""
        if reply.tokens and reply.tokens not in peer.took and request.method != "HEAD":
            peer.took |= {reply.tokens}
            self._inside.handed(peer, reply.tokens)

    def refuse(self, access: Access, slots: Iterable[SlotId]) -> Refused | None:
        """Why this identity may not have these tokens, or None where it may have all of them."""
        judged = self.table.of(access.uid, access.groups)
        if not judged.slots:
            return self.forbidding.say_by_number(judged)
        for slot in slots:
            found = self._resolver.slot(judged, Query(app=slot.app), slot.name)
            if not isinstance(found, SlotId):
                return found
        return None

    def retire(self, in_force: Callable[[], "Front"]) -> None:
        """Let the front that is in force at the end judge who waits here.

        Several may have come and gone by then.
        """

        async def again(request: Request, access: Access) -> Reply:
            front = in_force()
            judged = front.table.of(access.uid, access.groups)
            if not judged.slots:
                return front.forbidding.say_by_number(judged)
            _, handled = front.routes.answer(request, judged)
            assert not isinstance(handled, Streamed)  # noqa: S101 - who waits here waits for tokens
            return await handled if isinstance(handled, Awaitable) else handled

        self._reading.retire(again)
        self._answers.retire(lambda access, slots: self._refuse_after(in_force(), access, slots))

    def _refuse_after(
        self, front: "Front", access: Access, slots: tuple[SlotId, ...]
    ) -> Refused | None:
        """Why who reported under this front may not have what the front in force would give."""
        app = slots[0].app
        if front._infos.get(app) not in {None, self._infos[app]}:  # noqa: SLF001 - of the same class
            return problems.moved(app)
        return front.refuse(access, slots)
