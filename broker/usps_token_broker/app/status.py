"""What a person or a monitor asks: status, readiness, liveness. No secret in any of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from usps_token_broker.app import problems
from usps_token_broker.app.access import Access
from usps_token_broker.app.calls import Call
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.ports import Clock
from usps_token_broker.app.resolving import Refused, Resolver
from usps_token_broker.core.snapshot import AppView, SlotView, Snapshot
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import Now, SlotId
from usps_token_broker.wire import openapi
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.problems import ConfigProblem
from usps_token_broker.wire.replies import Reply, json_reply
from usps_token_broker.wire.status import (
    AliveMessage,
    AppMessage,
    BudgetMessage,
    PeerMessage,
    ReadyMessage,
    SlotMessage,
    StatusMessage,
    TroubleMessage,
)


@dataclass(frozen=True, slots=True)
class Process:
    """What there is to say of the daemon as a process."""

    version: str
    started_at: float
    """Unix seconds."""
    alive: Callable[[], bool]
    """Whether the core loop makes progress."""
    peers: Callable[[], list[PeerMessage]] = list
    """Who takes what of it now."""
    reloading_since: Callable[[], float | None] = lambda: None
    """Since when a reload reads what is configured, Unix seconds."""
    http_listen: str | None = None
    """Where health and figures are served over TCP."""


Asked = Callable[[SlotView], bool]
"""Whether a question is about this slot."""


class Status:
    """Answers the calls that look and do not touch."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        process: Process,
        *,
        resolver: Resolver,
        left_out: list[ConfigProblem],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._version = process.version
        self._started_at = process.started_at
        self._alive = process.alive
        self._peers = process.peers
        self._http_listen = process.http_listen
        self._reloading_since = process.reloading_since
        self._resolver = resolver
        self._left_out = left_out

    def status(self, call: Call) -> Reply:
        """`GET /v1/status`: the slots this peer may read; more of it on the admin socket."""
        access, query = call.access, call.query
        if query.app is not None and access.app(query.app) is None:
            return problems.no_app(access, query.app)
        return json_reply(200, to_json(self.message(access, query.app, admin=call.admin)))

    def message(self, access: Access, app: str | None, *, admin: bool = False) -> StatusMessage:
        """How the slots that this peer may read stand, in all apps or one; more for `admin`."""
        now = self._clock()
        snapshot = self._loop.broker.snapshot(now)
        return StatusMessage(
            version=self._version,
            pid=os.getpid(),
            started_at=self._started_at,
            at=now.wall,
            ready=not _not_ready(snapshot, _is_required, 0.0),
            waiting=self._loop.broker.waiting(),
            state_trouble=self._loop.state_trouble,
            apps=[
                _app(view, access)
                for view in snapshot.apps
                if view.plan.name in access.apps and app in {None, view.plan.name}
            ],
            peers=self._peers() if admin else None,
            left_out=self._left_out if admin else None,
            http_listen=self._http_listen,
            reloading_since=self._reloading_since(),
        )

    def slot(self, slot: SlotId, now: Now) -> SlotMessage | None:
        """How one slot stands; None when there is none of that name."""
        view = self._loop.broker.slot_view(slot, now)
        return None if view is None else _slot(view)

    def ready(self, call: Call) -> Refused:
        """`GET /readyz`: 200 when every required slot is good, of one app or all, or the one named.

        A required slot that this peer may not use counts, and is not named.
        """
        access, query = call.access, call.query
        asked: Asked = _is_required
        if query.slot is not None:
            slot = self._resolver.slot(access, query, query.slot)
            if not isinstance(slot, SlotId):
                return slot
            asked = _is(slot)
        elif query.app is not None:
            app = access.app(query.app)
            if app is None:
                return problems.no_app(access, query.app)
            asked = _is_required_of(app)
        snapshot = self._loop.broker.snapshot(self._clock())
        failing = _not_ready(snapshot, asked, query.min_valid or 0.0)
        named = [str(view.id) for view in failing if view.id in access.slots]
        return json_reply(
            503 if failing else 200, to_json(ReadyMessage(ready=not failing, not_ready=named))
        )

    def document(self, call: Call) -> Reply:
        """`GET /openapi.json`: this interface; on the admin socket all of it."""
        return json_reply(200, openapi.document(self._version, admin=call.admin))

    def alive(self, _call: Call) -> Reply:
        """`GET /healthz`: 200 while the core loop makes progress."""
        alive = self._alive()
        message = AliveMessage(alive=alive, version=self._version)
        return json_reply(200 if alive else 503, to_json(message))


def _is_required(view: SlotView) -> bool:
    return view.required


def _is_required_of(app: str) -> Asked:
    return lambda view: view.required and view.id.app == app


def _is(slot: SlotId) -> Asked:
    return lambda view: view.id == slot


def _not_ready(snapshot: Snapshot, asked: Asked, min_valid: float) -> list[SlotView]:
    views = (view for app in snapshot.apps for view in app.slots if asked(view))
    return [view for view in views if not view.ready or (view.expires_in or 0.0) < min_valid]


def _app(app: AppView, access: Access) -> AppMessage:
    return AppMessage(
        app=app.plan.name,
        host=app.plan.host,
        skew_seconds=app.skew_seconds,
        slots=[_slot(view) for view in app.slots if view.id in access.slots],
        budget=[BudgetMessage(w.endpoint.value, w.used, w.limit) for w in app.windows],
        credentials=app.credentials.value,
    )


def _slot(view: SlotView) -> SlotMessage:
    return SlotMessage(
        slot=view.id.name,
        phase=view.phase.value,
        freshness=view.freshness.value,
        ready=view.ready,
        required=view.required,
        degraded=view.degraded,
        suspect=view.suspect,
        serial=view.serial,
        issued_at=view.issued_at,
        expires_at=view.expires_at,
        expires_in=view.expires_in,
        use_until=view.use_until,
        renew_at=view.renew_at,
        next_attempt_at=view.next_attempt_at,
        next_attempt_why=view.next_attempt_why,
        attempts_left=round(view.attempts_left, 2),
        scopes=view.scopes,
        trouble=_trouble(view.trouble) if view.trouble else None,
        dormant=view.dormant,
    )


def _trouble(trouble: Trouble) -> TroubleMessage:
    return TroubleMessage(
        code=trouble.code.value,
        detail=trouble.detail,
        fix=trouble.fix,
        since=trouble.since_at,
        at=trouble.last_at,
        times=trouble.times,
        upstream_status=trouble.upstream_status,
        upstream_code=trouble.sub_code,
        reason=trouble.reason,
    )
