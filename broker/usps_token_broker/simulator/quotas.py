"""Calls an hour, counted by app and endpoint as USPS does."""

import math
from typing import Final

from usps_token_broker.simulator.names import Api

HOUR_SECONDS: Final = 3600.0


class Quotas:
    """A window of an hour for each app and endpoint; it opens with its first call.

    USPS says "60 calls per hour" and no more: whether its hour slides is not known.
    """

    def __init__(self) -> None:
        self._windows: dict[tuple[Api, str], tuple[float, int]] = {}

    def charge(self, api: Api, client_id: str, limit: int | None, now: float) -> float | None:
        """Count one call.

        Returns:
            None when it is within the limit, else the seconds until calls are taken again; a call
            beyond the limit is not counted.
        """
        if limit is None:
            return None
        opened_at, count = self._windows.get((api, client_id), (-math.inf, 0))
        if now - opened_at >= HOUR_SECONDS:
            opened_at, count = now, 0
        if count >= limit:
            return opened_at + HOUR_SECONDS - now if count else HOUR_SECONDS
        self._windows[api, client_id] = (opened_at, count + 1)
        return None

    def reset(self) -> None:
        """Open every window anew."""
        self._windows.clear()
