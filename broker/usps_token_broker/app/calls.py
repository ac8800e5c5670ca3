"""One request on its way to the part that answers it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from usps_token_broker.app.access import Access
from usps_token_broker.app.queries import Query
from usps_token_broker.wire.replies import Reply, Streamed
from usps_token_broker.wire.requests import Request

Handled = Reply | Streamed | Awaitable[Reply]
"""A reply, one that goes on, or a promise of one."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was routed: by whom, with which query, and the slot its path names."""

    request: Request
    access: Access
    query: Query
    slot: str = ""
    admin: bool = False
    """Whether it came over the admin socket."""


Handler = Callable[[Call], Handled]
"""Raises BadRequestError for what cannot be understood."""
