"""/sim/: what steers the simulator while it runs. Every refusal says what would be taken."""

from collections.abc import Callable
from typing import Final

import msgspec

from usps_token_broker.simulator.fault_table import FAULTS
from usps_token_broker.simulator.fault_values import FaultError
from usps_token_broker.simulator.faults import GRAMMAR, Fault
from usps_token_broker.simulator.guide import index
from usps_token_broker.simulator.messages import Answer, Request
from usps_token_broker.simulator.names import CONTROL_PATH
from usps_token_broker.simulator.settings import SettingsError
from usps_token_broker.simulator.state import REVOCABLE, State

_ROOT: Final = CONTROL_PATH.rstrip("/")


class Control:
    """Answers the requests under /sim/."""

    def __init__(self, state: State, base_url: Callable[[], str]) -> None:
        self._state = state
        self._base_url = base_url
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", ""): self._index,
            ("GET", "faults"): self._list_faults,
            ("POST", "faults"): self._inject,
            ("DELETE", "faults"): self._clear,
            ("DELETE", "faults/ID"): self._lift,
            ("POST", "revocations"): self._revoke,
            ("GET", "settings"): self._show_settings,
            ("PUT", "settings"): self._configure,
            ("POST", "clock"): self._advance,
            ("GET", "calls"): self._show_calls,
            ("POST", "reset"): self._reset,
        }

    @staticmethod
    def owns(request: Request) -> bool:
        """Whether a request is for /sim/ and not for USPS."""
        return request.path == _ROOT or request.path.startswith(CONTROL_PATH)

    def answer(self, request: Request) -> Answer:
        """Do what is asked, or say what can be."""
        place = request.path.removeprefix(_ROOT).strip("/")
        if place.startswith("faults/"):
            place = "faults/ID"
        act = self._routes.get((request.method, place))
        if act is None:
            return self._no_such(request, place)
        try:
            return act(request)
        except (FaultError, SettingsError) as error:
            return _refused(400, str(error))

    def _no_such(self, request: Request, place: str) -> Answer:
        methods = [method for method, at in self._routes if at == place]
        if methods:
            allowed = ", ".join(methods)
            answer = _refused(405, f"{_ROOT}/{place} takes {allowed}, not {request.method}")
            return answer.with_headers(("Allow", allowed))
        places = ", ".join(f"{method} {_ROOT}/{at}" for method, at in self._routes)
        return _refused(404, f"there is no {request.path[:100]}; there are: {places}")

    def _index(self, _request: Request) -> Answer:
        page = index(self._base_url()).encode()
        return Answer(200, page, content_type="text/plain; charset=utf-8")

    def _list_faults(self, _request: Request) -> Answer:
        now = self._state.clock.now()
        known = {
            kind.name: {
                "effect": kind.effect,
                "when": kind.stage.value,
                "endpoints": list(kind.apis),
                "value": None if kind.value is None else kind.value.describe(),
                "default": None if kind.value is None else kind.value.default,
            }
            for kind in FAULTS.values()
        }
        standing = [one.as_fields(now) for one in self._state.faults.standing(now)]
        return _json(200, {"standing": standing, "known": known})

    def _inject(self, request: Request) -> Answer:
        injected = self._state.inject(_fault_in(request))
        return _json(201, injected.as_fields(self._state.clock.now()))

    def _clear(self, _request: Request) -> Answer:
        return _json(200, {"removed": self._state.clear_faults()})

    def _lift(self, request: Request) -> Answer:
        number = request.path.rpartition("/")[2]
        if number.isascii() and number.isdigit() and self._state.faults.lift(int(number[:18])):
            return _json(200, {"removed": 1})
        return _refused(404, f"no fault {number[:20]!r} stands; see GET {_ROOT}/faults")

    def _revoke(self, request: Request) -> Answer:
        fields = _object(request, f'{{"what": "{" | ".join(REVOCABLE)}"}}', "what", "client_id")
        what, client_id = fields.get("what"), fields.get("client_id")
        if not isinstance(what, str) or what not in REVOCABLE:
            raise SettingsError(f"what: {what!r} is not one of {', '.join(REVOCABLE)}")
        if client_id is not None and not isinstance(client_id, str):
            raise SettingsError(f"client_id: {client_id!r} is no text")
        return _json(200, {"revoked": self._state.revoke(what, client_id)})

    def _show_settings(self, _request: Request) -> Answer:
        return _json(200, self._state.settings.as_fields())

    def _configure(self, request: Request) -> Answer:
        settings = self._state.configure(_object(request, '{"life_seconds": 60}'))
        return _json(200, settings.as_fields())

    def _advance(self, request: Request) -> Answer:
        fields = _object(request, '{"advance_seconds": 28800}', "advance_seconds")
        seconds = fields.get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise SettingsError(f"advance_seconds: {seconds!r} is no number")
        try:
            self._state.clock.advance(seconds)
        except ValueError as error:
            raise SettingsError(f"advance_seconds: {error}") from None
        return _json(200, {"now": self._state.clock.now()})

    def _show_calls(self, _request: Request) -> Answer:
        granted = {str(kind): count for kind, count in self._state.grants.count.items()}
        return _json(200, {**self._state.calls.as_fields(), "tokens_granted": granted})

    def _reset(self, _request: Request) -> Answer:
        self._state.reset()
        return _json(200, {"reset": True})


def _fault_in(request: Request) -> Fault:
    """The fault of a body, which is JSON or the one line that the command line takes too."""
    if not request.body.lstrip().startswith(b"{"):
        text = request.body.decode("utf-8", "replace").strip()
        if not text:
            raise FaultError(f"the body is empty; write a fault: {GRAMMAR}, or the same as JSON")
        return Fault.parse(text[:1000])
    return Fault.from_fields(_object(request, '{"name": "delay", "value": 2}'))


def _object(request: Request, example: str, *keys: str) -> dict[str, object]:
    """The JSON object of a body, with no other keys than these where some are given."""
    try:
        fields = request.json()
    except ValueError as error:
        raise SettingsError(f"the body is {error}; write for instance {example}") from None
    if not isinstance(fields, dict):
        raise SettingsError(f"the body is no JSON object; write for instance {example}")
    unknown = sorted(set(fields) - set(keys)) if keys else []
    if unknown:
        raise SettingsError(f"unknown key {unknown[0]!r}; there are: {', '.join(keys)}")
    return fields


def _json(status: int, value: object) -> Answer:
    body = msgspec.json.format(msgspec.json.encode(value), indent=2)
    return Answer(status, body + b"\n")


def _refused(status: int, why: str) -> Answer:
    return _json(status, {"error": why, "help": f"GET {CONTROL_PATH}"})
