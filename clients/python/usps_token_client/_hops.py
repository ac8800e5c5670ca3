"""Which request gets which of our headers. Decided anew for each hop of a redirect.

The headers go on a copy of the request, or off again once it is sent. A library builds the next hop
from the request it knows, so what we put on cannot travel to another host with it.
"""

from __future__ import annotations

from ._typing import TYPE_CHECKING
from ._values import AUTHORIZATION, DEFAULT

if TYPE_CHECKING:
    from ._values import Headers

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Place:
    """Where a request goes, in the reading of the library that sends it.

    `path` is decoded and has no query. Only places that one library read are compared.
    """

    __slots__ = ("host", "origin", "path")

    def __init__(self, scheme: str | None, host: str | None, port: int | None, path: str) -> None:
        self.host = host or ""
        self.origin = (scheme, self.host, port or _DEFAULT_PORTS.get(scheme or ""))
        self.path = path

    def is_at(self, base: Place) -> bool:
        """Whether it is the app's own USPS host: the same scheme, host and port."""
        return self.origin == base.origin and bool(self.host)


class Rules:
    """What counts as a label call, which payment token it gets, and whether a refusal is raised."""

    __slots__ = ("_paths", "_payment", "raise_refusals")

    def __init__(
        self, *, payment: bool | str, paths: tuple[str, ...], raise_refusals: bool
    ) -> None:
        self._payment = payment if isinstance(payment, str) else DEFAULT if payment else None
        if isinstance(paths, str):
            raise TypeError(f"`payment_paths` is a tuple of paths: ({paths!r},)")
        stripped = [path.strip("/") for path in paths]
        self._paths = tuple(f"/{path}/" if path else "/" for path in stripped)
        self.raise_refusals = raise_refusals

    def payment_for(self, place: Place, base: Place) -> str | None:
        """The name of the payment token this call wants, None when it wants none."""
        prefix = base.path.rstrip("/")
        if not place.is_at(base) or not place.path.startswith(prefix):
            return None
        path = f"{place.path[len(prefix) :]}/"
        return self._payment if path.startswith(self._paths) else None


def is_ours(ours: Headers, authorization: str | bytes) -> bool:
    """Whether the caller's own Authorization holds our bearer, which no stranger may see.

    Without it, it is the caller's own affair. A payment header means nothing to anybody but USPS.
    """
    if isinstance(authorization, bytes):
        authorization = authorization.decode("latin-1")
    return ours[AUTHORIZATION].partition(" ")[2] in authorization
