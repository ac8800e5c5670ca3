"""The door over TCP, for who cannot reach a Unix socket: kubelet, Prometheus, a load balancer.

Nobody can be told apart there, so nothing is served that only some may have: whether the broker
is alive and ready, and figures. It has a table of calls of its own, to which a call must be added
by hand: what the sockets serve is not served here because it is served there.

With `http.tokens` programs that cannot be changed find USPS's two token calls here, which take a
key: that is `app.usps_door`'s business.
"""

import ipaddress
import re
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from usps_token_broker.app import problems, queries, usps_door
from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.front import Door, Front
from usps_token_broker.app.tally import NO_OPERATION, Tally
from usps_token_broker.app.usps_door import UspsDoor
from usps_token_broker.core.outcomes import Code
from usps_token_broker.drivers.server import Limits, Server
from usps_token_broker.drivers.tcp_listener import Listener, Visitor, identify
from usps_token_broker.wire.operations import OPEN_METRICS, OPERATIONS, Operation
from usps_token_broker.wire.problems import BadRequestError, problem, problem_reply
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request

CALLS: Final = ("readHealth", "readReadiness", "readMetrics")
"""The operations served here."""

LIMITS: Final = Limits(
    head_bytes=8 * 1024,
    body_bytes=1024,
    head_seconds=5.0,
    body_seconds=5.0,
    idle_seconds=90.0,
    stalled_seconds=10.0,
    pipelined_requests=8,
    counted_by="address",
    connections=128,
    connections_per_uid=32,
    clears_idle=True,
    waiting_per_uid=8,
    streams_per_uid=1,
    lingering_refusals=32,
)
"""Monitors ask one thing now and then. Idle for longer than Prometheus's usual minute, so that it
keeps its connection; one that is refused comes again soon, and idle ones make room for it."""
TOKEN_LIMITS: Final = replace(
    LIMITS,
    body_bytes=16 * 1024,
    connections=512,
    connections_per_uid=480,
    waiting_per_uid=256,
)
"""With `http.tokens`: all programs of the host come from one address, each worker for itself, and
wait here for a token that is not there yet. Some room is left to monitors on another address."""


def limits(descriptors: int, *, tokens: bool) -> Limits:
    """What clients may take of a process that may open `descriptors` files.

    With token calls at most a quarter of them: the Unix sockets need room too.
    """
    if not tokens:
        return LIMITS
    room = max(LIMITS.connections, min(TOKEN_LIMITS.connections, descriptors // 4))
    of_one = min(TOKEN_LIMITS.connections_per_uid, room - room // 16)
    return replace(TOKEN_LIMITS, connections=room, connections_per_uid=of_one)


def held_open(bounds: Limits) -> int:
    """How many files the door may hold open at once, its listener counted."""
    return bounds.connections + bounds.lingering_refusals + 1


KEPT_SECONDS: Final = 1.0
"""How old a reply may be that is given once more; monitors come every few seconds."""
KEPT_AT_MOST: Final = 16
"""Different questions that are answered in that time."""

_LONGEST_SHOWN: Final = 80
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_HOST: Final = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:]*))(?::[0-9]*)?")

_BY_PATH: Final[Mapping[str, Mapping[str, Operation]]] = {
    operation.path: dict.fromkeys(operation.methods, operation)
    for operation in OPERATIONS
    if operation.name in CALLS
}


class Kept(NamedTuple):
    """A reply to be given to others who ask the same."""

    front: Front
    made_at: float
    """Boot clock."""
    reply: Reply


class Question(NamedTuple):
    """What tells one reply from another."""

    target: bytes
    open_metrics: bool


class HttpDoor:
    """Answers the requests that come over TCP.

    `local` says that the door is on a loopback address. Then a request must name an address or
    `localhost` as its host: another name is that of a page in a browser on this machine, which has
    it point here to read what is none of its business (DNS rebinding). `usps` answers USPS's token
    calls, where they are served.
    """

    def __init__(
        self, door: Door, tally: Tally, *, local: bool, usps: UspsDoor | None = None
    ) -> None:
        self._usps = usps
        self._door = door
        self._tally = tally
        self._local = local
        self._kept: dict[Question, Kept] = {}

    def let_in(self, visitor: Visitor) -> None:
        """Nobody is refused: what is served here is for everybody who gets here."""

    def handle(self, request: Request, visitor: Visitor) -> Handled:
        """The reply, or a promise of one. Counts it."""
        operation, handled = self._route(request, visitor)
        return self._tally.counted(operation, handled)

    def _route(self, request: Request, visitor: Visitor) -> tuple[str, Handled]:
        """The name of the operation, and its answer."""
        name = NO_OPERATION
        try:
            if self._local and not is_direct(_host(request)):
                return name, _OTHER_HOST
            if self._usps is not None and request.path in usps_door.CALLS:
                return self._issue(self._usps, request, visitor)
            by_method = _BY_PATH.get(request.path)
            if by_method is None:
                return name, self._nothing_here(request.path)
            operation = by_method.get(request.method)
            if operation is None:
                allowed = ", ".join(by_method)
                return name, problems.wrong_method(request.method, request.path, allowed)
            name = operation.name
            return name, self._look(operation, request)
        except BadRequestError as wrong:
            return name, wrong.reply

    def _look(self, operation: Operation, request: Request) -> Handled:
        """The answer to a monitor. Raises BadRequestError."""
        front = self._door.front
        query = queries.read(request.query, operation.query)
        call = Call(request, front.onlooker, query)
        if operation.name == "readHealth":
            return front.looks[operation.name](call)
        return self._once(operation.name, front, call)

    def _issue(self, usps: UspsDoor, request: Request, visitor: Visitor) -> tuple[str, Handled]:
        """As `_route`, for a token call of USPS's."""
        if request.method != "POST":
            return NO_OPERATION, problems.wrong_method(request.method, request.path, "POST")
        return usps_door.CALLS[request.path], usps.handle(request, visitor)

    def _nothing_here(self, path: str) -> Reply:
        """What is here is named; token calls are hinted at where somebody looks for them."""
        served = [*_BY_PATH, *(usps_door.CALLS if self._usps is not None else ())]
        hint = "; it is switched on by `http.tokens`" if path in usps_door.CALLS else ""
        return problems.problem(
            Code.NOT_FOUND,
            f"{path[:_LONGEST_SHOWN]} is not served over TCP{hint}: tokens and all that is about "
            "them are on the Unix socket only, where the kernel says who asks",
            f"here there is: {', '.join(served)}; for all else use the socket "
            "(`curl --unix-socket`)",
        )

    def _once(self, name: str, front: Front, call: Call) -> Handled:
        """The reply, made once a second at most, however many ask.

        With many slots it takes milliseconds to make, and workers would wait meanwhile.
        """
        now = front.clock().boot
        accepted = call.request.headers.get(b"accept", b"").decode("latin-1").lower()
        question = Question(call.request.target, OPEN_METRICS in accepted)
        self._kept = {
            each: kept
            for each, kept in self._kept.items()
            if kept.front is front and now - kept.made_at < KEPT_SECONDS
        }
        kept = self._kept.get(question)
        if kept is not None:
            return kept.reply
        if len(self._kept) >= KEPT_AT_MOST:
            return _TOO_MANY
        if name == "readMetrics":
            return self._later(question, front, call)
        handled = front.looks[name](call)
        if isinstance(handled, Reply):
            self._kept[question] = Kept(front, now, handled)
        return handled

    async def _later(self, question: Question, front: Front, call: Call) -> Reply:
        """As `_once`, for figures: others who asked in the same instant may have had them made."""
        kept = self._kept.get(question)
        if kept is None or kept.front is not front:
            made = front.looks["readMetrics"](call)
            assert isinstance(made, Awaitable)  # noqa: S101 - for the type checker
            made_at = front.clock().boot
            kept = self._kept[question] = Kept(front, made_at, await made)
        return kept.reply


def make_server(listener: Listener, door: HttpDoor, bounds: Limits = LIMITS) -> Server[Visitor]:
    """What serves the door, once it is run."""
    return Server(
        listener,
        door.handle,
        door.let_in,
        bounds,
        identify=identify,
        look_up_groups=_in_no_group,
    )


def _in_no_group(visitor: Visitor) -> None:
    visitor.groups = frozenset()


def _host(request: Request) -> bytes:
    """Whom it is meant for: an absolute target says so in place of Host (RFC 9112 3.2.2)."""
    absolute = _ABSOLUTE.match(request.target)
    return absolute[1] if absolute else request.headers.get(b"host", b"")


def is_direct(host: bytes) -> bool:
    """Whether this Host header names no host of the DNS; one that is not there names none."""
    if not host:
        return True
    match = _HOST.fullmatch(host.decode("latin-1"))
    if match is None:
        return False
    name = match["name"]
    if name is not None and name.lower().rstrip(".") == "localhost":
        return True
    try:
        ipaddress.ip_address(match["six"] if name is None else name)
    except ValueError:
        return False
    return True


_OTHER_HOST: Final = problems.problem(
    Code.FORBIDDEN,
    "this request, or its Host header, names a host of the DNS, and here it must be an address or "
    "`localhost`: so no page in a browser on this machine can read this by a name of its own",
    "ask for the address that `http.listen` says, such as http://127.0.0.1:9842/metrics; a proxy "
    "in front of it must send that as Host",
)
_TOO_MANY: Final = problem_reply(
    problem(
        Code.TOO_MANY_REQUESTS,
        f"more than {KEPT_AT_MOST} different questions were asked within {KEPT_SECONDS:g} s",
        "ask the same again, or something else in a second",
        retry_after=KEPT_SECONDS,
    )
)
