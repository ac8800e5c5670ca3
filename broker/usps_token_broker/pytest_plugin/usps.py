"""The `usps` fixture: a simulator in a process of its own, so that a worker may fork freely."""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from usps_token_broker.pytest_plugin import processes
from usps_token_broker.simulator.names import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, EVERYWHERE

LIFE_SECONDS: Final = 600
"""Longer than a test, so that nothing is renewed unasked; the broker's pauses, which shrink with
the life, are a second or two."""
_TIMEOUT_SECONDS: Final = 30.0


class SimulatorRefusedError(ValueError):
    """What the simulator was told cannot be meant; its own words say what would be taken."""


@dataclass(frozen=True, slots=True)
class SeenCall:
    """A call as USPS saw it. `status` is 0 while it has no answer."""

    endpoint: str
    """`token`, `payment-authorization`, `addresses` or `labels`."""
    method: str
    path: str
    status: int
    code: str
    """The outcome in a word, such as `granted`, `label_made` or `bearer_expired`."""
    client_id: str
    faults: tuple[str, ...]


class Usps:
    """A USPS of one's own. A context manager: leaving it ends the process."""

    def __init__(
        self, faults: Sequence[str] = (), settings: Mapping[str, object] | None = None
    ) -> None:
        wanted = {"life_seconds": LIFE_SECONDS, **(settings or {})}
        self.client_id = str(wanted.get("client_id", DEFAULT_CLIENT_ID))
        self.client_secret = str(wanted.get("client_secret", DEFAULT_CLIENT_SECRET))
        self._process = processes.start("simulate", "--port", "0", "--json")
        try:
            line = processes.first_line(self._process)
            self.base_url: str = json.loads(line)["base_url"]
            """Where workers find it, such as `http://127.0.0.1:45123`."""
            self.configure(**wanted)
            for fault in faults:
                self.inject(fault)
        except BaseException:
            processes.end(self._process)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        processes.end(self._process)

    def __repr__(self) -> str:
        return f"<Usps {self.base_url}>"

    def inject(self, fault: str) -> int:
        """Let calls meet this fault, as `usps-token-broker simulate --fault` takes it; its number.

        Raises:
            SimulatorRefusedError: It is none.
        """
        number: int = self._ask("POST", "faults", fault)["id"]
        return number

    def clear_faults(self) -> None:
        """Take all faults away, and let go the calls they hold."""
        self._ask("DELETE", "faults")

    def revoke(self, what: str = "bearer") -> int:
        """Let live tokens die, `bearer`, `payment` or `all`; how many did.

        Raises:
            SimulatorRefusedError: It is none of the three.
        """
        count: int = self._ask("POST", "revocations", {"what": what})["revoked"]
        return count

    def advance(self, seconds: float) -> None:
        """Let time pass at USPS alone: its tokens grow old, quotas and timed faults run out.

        The broker does not see it, as with a clock that is wrong: it learns from its workers.

        Raises:
            SimulatorRefusedError: It leads backwards, or beyond the year 2100.
        """
        self._ask("POST", "clock", {"advance_seconds": seconds})

    def configure(self, **settings: object) -> None:
        """Change settings while it runs: `life_seconds`, `quotas`, `client_secret` and others.

        Raises:
            SimulatorRefusedError: One is unknown or does not fit; nothing is changed then.
        """
        self._ask("PUT", "settings", settings)

    def reset(self) -> None:
        """Forget all calls, and open every quota anew."""
        self._ask("POST", "reset")

    @property
    def calls(self) -> list[SeenCall]:
        """The calls it saw, the oldest first, at most the last 1,000."""
        return [
            SeenCall(
                endpoint=call["api"],
                method=call["method"],
                path=call["path"],
                status=call["status"],
                code=call["code"],
                client_id=call["client_id"],
                faults=tuple(call["faults"]),
            )
            for call in self._ask("GET", "calls")["last"]
        ]

    def count(self, endpoint: str = EVERYWHERE, *, status: int | None = None) -> int:
        """How many of `calls` went to this endpoint, and were answered so.

        Raises:
            ValueError: There is no such endpoint.
        """
        seen = self._ask("GET", "calls")["by_endpoint"]
        if endpoint not in (EVERYWHERE, *seen):
            raise ValueError(f"{endpoint!r} is no endpoint; there are: {', '.join(seen)}, all")
        chosen = list(seen.values()) if endpoint == EVERYWHERE else [seen[endpoint]]
        if status is None:
            return sum(of["total"] for of in chosen)
        return sum(of["by_status"].get(str(status), 0) for of in chosen)

    def _ask(self, method: str, place: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        content = body if body is None or isinstance(body, str) else json.dumps(body)
        connection = http.client.HTTPConnection(
            urlsplit(self.base_url).netloc, timeout=_TIMEOUT_SECONDS
        )
        try:
            connection.request(method, f"/sim/{place}", content)
            response = connection.getresponse()
            told = json.loads(response.read())
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise SimulatorRefusedError(told["error"])
        return told
