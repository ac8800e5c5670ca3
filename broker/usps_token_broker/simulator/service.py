"""From a request to an answer: which endpoint, which faults, which quota. Knows no socket."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from secrets import token_hex
from typing import Final

from usps_token_broker.simulator.api_addresses import standardize
from usps_token_broker.simulator.api_labels import LABELS_PATH, cancel_label, create_label
from usps_token_broker.simulator.api_payment import authorize_payment
from usps_token_broker.simulator.api_token import client_of, form_of, issue_bearer
from usps_token_broker.simulator.calls import Call
from usps_token_broker.simulator.desk import Desk, bearer_of
from usps_token_broker.simulator.effects import replacement, sent_with
from usps_token_broker.simulator.fault_table import Stage
from usps_token_broker.simulator.messages import Answer, Request
from usps_token_broker.simulator.names import CONTROL_PATH, Api
from usps_token_broker.simulator.shapes import (
    ErrorItem,
    api_error,
    too_many_requests,
    whole_seconds,
)
from usps_token_broker.simulator.standing import Injected, names_of
from usps_token_broker.simulator.state import State

SERVED: Final = (
    ("POST", "/oauth2/v3/token", Api.TOKEN),
    ("POST", "/payments/v3/payment-authorization", Api.PAYMENT),
    ("GET", "/addresses/v3/address", Api.ADDRESSES),
    ("POST", LABELS_PATH, Api.LABELS),
    ("DELETE", LABELS_PATH + "/{trackingNumber}", Api.LABELS),
)
"""Method, path and endpoint of every call that USPS answers here."""

_PATHS: Final = {path: api for _, path, api in SERVED}
_METHODS: Final = {(method, path) for method, path, _ in SERVED}
_CANCEL: Final = SERVED[-1][1]


@dataclass(slots=True)
class Arrival:
    """A call that came in: what has to happen before it is answered."""

    call: Call
    effects: Sequence[Injected] = ()
    """Faults of the stage BEFORE, in their order."""
    over_quota_seconds: float | None = None


class Service:
    """What the simulated USPS makes of requests."""

    def __init__(self, state: State) -> None:
        self._state = state

    def arrive(self, request: Request) -> Arrival | None:
        """Count a request; None when it is for an endpoint that USPS does not have here."""
        route = _route(request.path)
        api = _PATHS.get(route)
        if api is None:
            return None
        now = self._state.clock.now()
        client_id = self._client_of(api, request)
        call = Call(0, now, api, request.method, route, client_id)
        self._state.calls.arrived(call, _about(api, request))
        over = self._state.quotas.charge(api, client_id, self._state.settings.quotas[api], now)
        effects = self._state.faults.take(api, Stage.BEFORE, now)
        call.faults = names_of(effects)
        return Arrival(call, effects, over)

    def answer(self, request: Request, arrival: Arrival | None) -> Answer:
        """Answer a request that arrived and whose effects have been played."""
        if arrival is None:
            return self._stamped(_not_found(request), self._written())
        call = arrival.call
        desk = self._desk(call, request)
        answer = self._judged(desk, arrival)
        sending = self._state.faults.take(call.api, Stage.SENDING, desk.now, most=1)
        for one in sending:
            answer = sent_with(one.fault, answer)
        call.faults += names_of(sending)
        self._state.calls.answered(call, answer.status, answer.code)
        return self._stamped(answer, desk.written)

    def ended(self, arrival: Arrival | None) -> None:
        """A request is over: its answer is sent, or its client has left."""
        if arrival is not None:
            self._state.calls.ended(arrival.call)

    def _judged(self, desk: Desk, arrival: Arrival) -> Answer:
        if arrival.over_quota_seconds is not None:
            return too_many_requests(desk.api, whole_seconds(arrival.over_quota_seconds))
        instead = self._state.faults.take(desk.api, Stage.INSTEAD, desk.now, most=1)
        if instead:
            arrival.call.faults += names_of(instead)
            return replacement(instead[0].fault, desk.api, desk.written)
        call = arrival.call
        if (call.method, call.path) not in _METHODS:
            return _wrong_method(call)
        return self._handler(call)(desk)

    def _handler(self, call: Call) -> Callable[[Desk], Answer]:
        match call.api:
            case Api.TOKEN:
                return issue_bearer
            case Api.PAYMENT:
                return authorize_payment
            case Api.ADDRESSES:
                return standardize
            case Api.LABELS:
                act = cancel_label if call.path == _CANCEL else create_label
                return lambda desk: act(desk, self._state.labels)

    def _desk(self, call: Call, request: Request) -> Desk:
        state = self._state
        now = state.clock.now()
        clock_faults = state.faults.take(call.api, Stage.CLOCK, now)
        call.faults += names_of(clock_faults)
        written = self._written(math.fsum(one.fault.number for one in clock_faults))
        return Desk(call, request, state.settings, state.grants, state.faults, now, written)

    def _written(self, more_seconds: float = 0.0) -> float:
        """The time that USPS writes; never before 1970, which no header can say."""
        state = self._state
        offset_seconds = state.settings.clock_offset_seconds + more_seconds
        return max(state.clock.now() + offset_seconds, 0.0)

    def _client_of(self, api: Api, request: Request) -> str:
        """The app that a call is counted for; all that USPS does not know share one count."""
        named = (
            client_of(request) if api is Api.TOKEN else self._state.grants.owner(bearer_of(request))
        )
        return named if self._state.settings.secret_of(named) is not None else ""

    @staticmethod
    def _stamped(answer: Answer, written: float) -> Answer:
        """The answer with the headers that every one of USPS's has."""
        cookie = f"TLTSID={token_hex(16)}; path=/; domain=.USPS.com; Secure;"
        return answer.with_headers(
            ("Cache-Control", "max-age=0, no-cache, no-store"),
            ("Pragma", "no-cache"),
            ("Date", formatdate(math.floor(written), usegmt=True)),
            ("Set-Cookie", cookie),
        )


def _about(api: Api, request: Request) -> str:
    """What a call asks for: scopes, or roles as they are written; nothing at the other APIs."""
    match api:
        case Api.TOKEN:
            return (form_of(request) or {}).get("scope", "")
        case Api.PAYMENT:
            return request.body.decode("utf-8", "replace")
        case Api.ADDRESSES | Api.LABELS:
            return ""


def _route(path: str) -> str:
    """The path as it stands in the table."""
    within, _, last = path.rpartition("/")
    return _CANCEL if within == LABELS_PATH and last else path


def _not_found(request: Request) -> Answer:
    served = ", ".join(f"{method} {path}" for method, path, _ in SERVED)
    detail = (
        f"This simulator of USPS has no {request.path[:100]}. It has: {served}; "
        f"and {CONTROL_PATH} to control it."
    )
    item = ErrorItem(title="Not Found", detail=detail, source="API")
    return api_error("/", 404, "Not Found", (item,), "not_found")


def _wrong_method(call: Call) -> Answer:
    allowed = sorted(method for method, path in _METHODS if path == call.path)
    detail = f"{call.path} takes {', '.join(allowed)}, not {call.method}."
    item = ErrorItem(title="Method Not Allowed", detail=detail, source="API")
    answer = api_error(call.path, 405, "Method Not Allowed", (item,), "wrong_method")
    return answer.with_headers(("Allow", ", ".join(allowed)))
