"""karrio-usps 2026.1: two methods of its proxy are replaced, and its traces are listened to.

karrio shows the status of an answer to nobody; its traces carry the body and the headers.
"""

from __future__ import annotations

from usps_token_client._typing import TYPE_CHECKING, V

from ._given import UNAUTHORIZED, Given, attached_twice

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from usps_token_client._client import TokenClient


def karrio(gateway: V, tokens: TokenClient, *, payment: str = "default") -> V:
    """Let a karrio gateway, made by `karrio.gateway["usps"].create(…)`, take both tokens.

    A refused token is told, so that the next call gets another one. The refused call itself fails:
    karrio may have bought some labels of a shipment by then, so it is not ours to repeat.

    Raises TypeError for what is no such gateway, ValueError for one that was given before.
    """
    settings: Any = getattr(gateway, "settings", None)
    proxy: Any = getattr(gateway, "proxy", None)
    if getattr(settings, "carrier_name", None) != "usps" or not hasattr(proxy, "get_payment_token"):
        # Its type only: a gateway's own text has the client secret in it.
        raise TypeError(f'a gateway of karrio.gateway["usps"] is wanted, not {type(gateway)}')
    if isinstance(settings.trace_as, _Traces):
        raise attached_twice("gateway")
    from karrio.lib import Deserializable  # noqa: PLC0415 - whose gateway it is

    given = Given(tokens, payment)

    def value(header: str, *, label: bool) -> Any:  # noqa: ANN401 - a class of karrio's
        headers = given.headers(settings.server_url, payment=label)
        return Deserializable(headers[header].removeprefix("Bearer "))

    proxy.authenticate = lambda _=None: value("Authorization", label=False)
    proxy.get_payment_token = lambda _=None: value("X-Payment-Authorization-Token", label=True)
    settings.trace_as = _Traces(settings.trace_as, given)
    return gateway


class _Traces:
    """`settings.trace_as`, which karrio asks for anew before each call of USPS."""

    def __init__(self, plain: Callable[[str], Any], given: Given) -> None:
        self._plain = plain
        self._given = given

    def __call__(self, form: str) -> Any:  # noqa: ANN401 - a callable of karrio's
        return _Trace(self._plain(form), self._given)


class _Trace:
    """The trace of one call: passes all on, and tells the broker of a refusal."""

    def __init__(self, plain: Any, given: Given) -> None:  # noqa: ANN401 - as above
        self._plain = plain
        self._given = given
        self._tracer = plain._tracer  # karrio looks for its request id there
        self._sent: dict[str, str] = {}
        self._url = ""

    def __call__(self, data: dict[str, Any], key: str) -> Any:  # noqa: ANN401 - as above
        if key == "request":
            self._sent = data.get("request_headers") or {}
            self._url = data["url"]
        headers, body = data.get("response_headers") or {}, data.get("error")
        if key == "error" and _is_unauthorized(headers, body):
            text = body if isinstance(body, str) else _json(body)
            self._given.tell(self._sent, UNAUTHORIZED, headers, text, self._url)
        return self._plain(data, key)


def _is_unauthorized(headers: dict[str, str], body: Any) -> bool:  # noqa: ANN401 - what came
    """USPS says it in either place (recorded 401s; the header may be missing, the body empty)."""
    text = body if isinstance(body, str) else _json(body)
    named = any(name.lower() == "www-authenticate" for name in headers)
    return named or f'"code":"{UNAUTHORIZED}"' in "".join(text.split())


def _json(value: Any) -> str:  # noqa: ANN401 - what came
    from json import dumps  # noqa: PLC0415 - only an answer wants it

    return dumps(value, default=str)
