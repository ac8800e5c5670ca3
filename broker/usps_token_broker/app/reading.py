"""`GET /v1/tokens/{slot}` and `GET /v1/headers`: from what lies ready, or after a wait."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from usps_token_broker.app import problems
from usps_token_broker.app.access import Access
from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.queries import Query
from usps_token_broker.app.resolving import Resolver
from usps_token_broker.app.shelf import Ready, Shelf
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import SlotId
from usps_token_broker.wire.problems import BadRequestError
from usps_token_broker.wire.replies import Reply
from usps_token_broker.wire.requests import Request

_PLANS_REMEMBERED: Final = 256
_PLAN_TARGET_BYTES: Final = 512
"""Longer targets are understood each time, so that no client can fill the memory with long ones."""
_MAX_BUFFER_FIX: Final = "ask for less; a token inside its buffer should no longer be used"

Again = Callable[[Request, Access], Awaitable[Reply]]
"""Has a request answered under the configuration that came meanwhile."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a GET of tokens or headers means for one identity."""

    slots: tuple[SlotId, ...]
    as_headers: bool
    query: Query
    operation: str
    """Its name."""


class Reading:
    """Answers those who want tokens, under one configuration."""

    def __init__(
        self,
        loop: Loop,
        shelf: Shelf,
        resolver: Resolver,
        boot: Callable[[], float],
        buffer_seconds: dict[str, float],
    ) -> None:
        self._loop = loop
        self._shelf = shelf
        self._resolver = resolver
        self._boot = boot
        self._buffer_seconds = buffer_seconds
        self._again: Again | None = None

    def retire(self, again: Again) -> None:
        """Another configuration is in force: who waits here is judged by that one in the end."""
        self._again = again

    def token(self, call: Call) -> Handled:
        """One token. Raises BadRequestError."""
        slot = self._resolver.slot(call.access, call.query, call.slot)
        if not isinstance(slot, SlotId):
            return slot
        plan = Plan((slot,), as_headers=False, query=call.query, operation="readToken")
        return self._planned(call, plan)

    def headers(self, call: Call) -> Handled:
        """A set of headers. Raises BadRequestError."""
        slots = self._resolver.headers(call.access, call.query)
        if not isinstance(slots, tuple):
            return slots
        plan = Plan(slots, as_headers=True, query=call.query, operation="readHeaders")
        return self._planned(call, plan)

    def _planned(self, call: Call, plan: Plan) -> Handled:
        self._check_min_valid(plan.slots[0].app, plan.query)
        plans, target = call.access.plans, call.request.target
        if len(target) <= _PLAN_TARGET_BYTES:
            if len(plans) >= _PLANS_REMEMBERED:
                plans.clear()
            plans[target] = plan
        return self.serve(plan, call.request, call.access)

    def _check_min_valid(self, app: str, query: Query) -> None:
        most = self._buffer_seconds[app]
        if query.min_valid is not None and query.min_valid > most:
            raise BadRequestError(
                f"`min_valid` is at most the buffer of app {app}, {most:g} seconds",
                _MAX_BUFFER_FIX,
            )

    def serve(self, plan: Plan, request: Request, access: Access) -> Handled:
        """What lies ready, or a promise."""
        now_boot = self._boot()
        ready = self._ready(plan, now_boot)
        if ready is None or not _lives_long_enough(ready, plan.query, now_boot):
            return self._wait(plan, request, access)
        return _choose(ready, plan, request)

    def _ready(self, plan: Plan, now_boot: float) -> Ready | None:
        if plan.as_headers:
            return self._shelf.headers(plan.slots, now_boot)
        return self._shelf.token(plan.slots[0], now_boot)

    async def _wait(self, plan: Plan, request: Request, access: Access) -> Reply:
        query = plan.query
        denial = await self._loop.ask(plan.slots, query.wait, query.min_valid)
        if denial is not None:
            return problems.denied(denial)
        if self._again is not None:
            return await self._again(request, access)
        ready = self._ready(plan, self._boot())
        if ready is None:
            # Granted and spent within one turn of the loop: only with lives of a second or so.
            return problems.problem(
                Code.NOT_READY, "the token is past its life already", "ask again"
            )
        return _choose(ready, plan, request)


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
