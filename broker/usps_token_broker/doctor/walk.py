"""The walk from the outside in."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from usps_token_broker.doctor import (
    access,
    clocks,
    configuration,
    files,
    http_port,
    old_bearer,
    sockets,
    tokens,
    units,
    way,
)
from usps_token_broker.doctor.fencing import fenced
from usps_token_broker.doctor.findings import Finding
from usps_token_broker.doctor.scene import Scene

Look = Callable[[Scene], Iterable[Finding]]

CHECKS: Final[tuple[tuple[str, Look], ...]] = (
    ("config", configuration.look),
    ("socket", sockets.look),
    ("http", http_port.look),
    ("unit", units.look),
    ("secret", files.look_at_secrets),
    ("directories", files.look_at_places),
    ("access", access.look),
    ("dns", way.look_at_names),
    ("tls", way.look_at_tls),
    ("clock", clocks.look),
    ("token", tokens.look),
    ("scopes", tokens.look_at_scopes),
    ("roles", configuration.look_at_roles),
    ("budget", configuration.look_at_budget),
    ("quota", tokens.look_at_quota),
    ("old bearer", old_bearer.look),
)
"""The socket comes before files: whom the broker runs as is best told by its process."""


def walk(
    scene: Scene, *, online: bool = False, begin: Callable[[str], None] = lambda _: None
) -> Iterator[Finding]:
    """What each check finds, as it finds it. Never raises but for what ends the process.

    `online` orders a renewal and makes one call with the bearer before it. `begin` is told the name
    of each check before it looks.
    """
    for name, look in CHECKS:
        if name == "old bearer" and online:
            begin("online")
            yield from fenced("online", lambda: old_bearer.prove(scene), old_bearer.PROOF_SECONDS)
        begin(name)
        yield from fenced(name, lambda look=look: look(scene))  # type: ignore[misc]
