"""The local interface: from a request and its peer to a reply.

A token that can be served is answered at once from what lies ready; only a caller who must wait
costs an await. What a request means is worked out once per identity and request line.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from usps_token_broker.app import problems, queries
from usps_token_broker.app.access import Access
from usps_token_broker.app.answers import Answers
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.queries import Query
from usps_token_broker.app.resolving import Refused, Resolver
from usps_token_broker.app.shelf import Ready, Shelf
from usps_token_broker.app.status import Status
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import SlotId
from usps_token_broker.wire.http import BadRequestError, Reply, Request

_TOKENS: Final = "/v1/tokens/"
_PLANS_REMEMBERED: Final = 256
_PLAN_TARGET_BYTES: Final = 512
"""Longer targets are understood each time, so that no client can fill the memory with long ones."""
_LOOKED_AT: Final = frozenset({"GET", "HEAD"})
_MAX_BUFFER_FIX: Final = "ask for less; a token inside its buffer should no longer be used"

Handled = Reply | Awaitable[Reply]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a GET of tokens or headers means for one identity."""

    slots: tuple[SlotId, ...]
    as_headers: bool
    query: Query


class Routes:
    """Handles every request of the local interface."""

    def __init__(  # noqa: PLR0913 - one argument for each part it routes to
        self,
        *,
        loop: Loop,
        shelf: Shelf,
        resolver: Resolver,
        answers: Answers,
        status: Status,
        boot: Callable[[], float],
        buffer_seconds: dict[str, float],
    ) -> None:
        self._loop = loop
        self._shelf = shelf
        self._resolver = resolver
        self._answers = answers
        self._status = status
        self._boot = boot
        self._buffer_seconds = buffer_seconds

    def handle(self, request: Request, access: Access) -> Handled:
        """The reply, or a promise of one for a caller who must wait."""
        if request.method == "GET":
            plan = access.plans.get(request.target)
            if isinstance(plan, Plan):
                return self._serve(plan, request)
        try:
            return self._route(request, access)
        except BadRequestError as wrong:
            return wrong.reply

    def _route(self, request: Request, access: Access) -> Handled:
        path = request.path
        if path.startswith(_TOKENS) and path != _TOKENS:
            return self._read(request, access, self._plan_token)
        match path:
            case "/v1/headers":
                return self._read(request, access, self._plan_headers)
            case "/v1/answers":
                return self._report(request, access)
            case "/v1/status" | "/healthz" | "/readyz":
                return self._look(request, access)
            case _:
                return problems.problem(
                    Code.NOT_FOUND,
                    f"nothing is served at {path[:80]}",
                    "there is: /v1/tokens/bearer, /v1/tokens/payment, /v1/headers, /v1/answers, "
                    "/v1/status, /healthz, /readyz",
                )

    def _read(
        self, request: Request, access: Access, plan_it: Callable[[Request, Access], Plan | Refused]
    ) -> Handled:
        if request.method not in _LOOKED_AT:
            return _wrong_method(request, "GET, HEAD")
        plan = plan_it(request, access)
        if not isinstance(plan, Plan):
            return plan
        if len(request.target) <= _PLAN_TARGET_BYTES:
            if len(access.plans) >= _PLANS_REMEMBERED:
                access.plans.clear()
            access.plans[request.target] = plan
        return self._serve(plan, request)

    def _plan_token(self, request: Request, access: Access) -> Plan | Refused:
        allowed = frozenset({"app", "min_valid", "wait", "scope"})
        query = queries.read(request.query, allowed)
        slot = self._resolver.slot(access, query, request.path.removeprefix(_TOKENS))
        if not isinstance(slot, SlotId):
            return slot
        self._check_min_valid(slot.app, query)
        return Plan((slot,), as_headers=False, query=query)

    def _plan_headers(self, request: Request, access: Access) -> Plan | Refused:
        allowed = frozenset({"app", "payment", "min_valid", "wait", "scope"})
        query = queries.read(request.query, allowed)
        slots = self._resolver.headers(access, query)
        if not isinstance(slots, tuple):
            return slots
        self._check_min_valid(slots[0].app, query)
        return Plan(slots, as_headers=True, query=query)

    def _check_min_valid(self, app: str, query: Query) -> None:
        most = self._buffer_seconds[app]
        if query.min_valid is not None and query.min_valid > most:
            raise BadRequestError(
                f"`min_valid` is at most the buffer of app {app}, {most:g} seconds",
                _MAX_BUFFER_FIX,
            )

    def _serve(self, plan: Plan, request: Request) -> Handled:
        now_boot = self._boot()
        ready = self._ready(plan, now_boot)
        if ready is None or not _lives_long_enough(ready, plan.query, now_boot):
            return self._wait(plan, request)
        return _choose(ready, plan, request)

    def _ready(self, plan: Plan, now_boot: float) -> Ready | None:
        if plan.as_headers:
            return self._shelf.headers(plan.slots, now_boot)
        return self._shelf.token(plan.slots[0], now_boot)

    async def _wait(self, plan: Plan, request: Request) -> Reply:
        query = plan.query
        denial = await self._loop.ask(plan.slots, query.wait, query.min_valid)
        if denial is not None:
            return problems.denied(denial)
        ready = self._ready(plan, self._boot())
        if ready is None:
            # Granted and spent within one turn of the loop: only with lives of a second or so.
            return problems.problem(
                Code.NOT_READY, "the token is past its life already", "ask again"
            )
        return _choose(ready, plan, request)

    def _report(self, request: Request, access: Access) -> Handled:
        if request.method != "POST":
            return _wrong_method(request, "POST")
        query = queries.read(request.query, frozenset({"app", "wait"}))
        return self._answers.take(request.body, query, access)

    def _look(self, request: Request, access: Access) -> Handled:
        if request.method not in _LOOKED_AT:
            return _wrong_method(request, "GET, HEAD")
        match request.path:
            case "/v1/status":
                query = queries.read(request.query, frozenset({"app"}))
                return self._status.status(access, query)
            case "/readyz":
                query = queries.read(request.query, frozenset({"app", "slot", "min_valid"}))
                return self._status.ready(access, query)
            case _:
                queries.read(request.query, frozenset())
                return self._status.alive()


def _lives_long_enough(ready: Ready, query: Query, now_boot: float) -> bool:
    return query.min_valid is None or ready.ends_boot_at - now_boot >= query.min_valid


def _choose(ready: Ready, plan: Plan, request: Request) -> Reply:
    headers = request.headers
    scope = plan.query.scope
    if scope is not None and ready.scopes is not None and scope not in ready.scopes:
        return problems.scope_missing(plan.slots[0], scope, ready.scopes)
    held = headers.get(b"if-none-match")
    if held is not None and (held == ready.etag or _names(held, ready.etag)):
        return ready.unchanged
    if headers.get(b"accept", b"").lower().startswith(b"text/plain"):
        return ready.text
    return ready.json


def _names(held: bytes, etag: bytes) -> bool:
    """Whether a list of ETags names this one, by the weak comparison (RFC 9110 13.1.2)."""
    tags = (tag.strip().removeprefix(b"W/") for tag in held.split(b","))
    return any(tag in (etag, b"*") for tag in tags)


def _wrong_method(request: Request, allowed: str) -> Reply:
    return problems.wrong_method(request.method, request.path, allowed)
