"""A warm `bearer()` against the cache that articles recommend: a lock, a dict, a clock."""

import threading
import time
from typing import Any

from processes import Home, Usps
from timing import side_by_side, table

from usps_token_client import TokenClient

BUFFER_SECONDS = 1800
_lock = threading.Lock()
_memory: dict[str, Any] = {}


def cached_bearer() -> str:
    """The warm path of such a cache."""
    with _lock:
        now = time.time()
        if _memory.get("expires_at", 0) - BUFFER_SECONDS > now:
            return _memory["access_token"]
    raise RuntimeError


def main() -> None:
    """Print the table."""
    with Usps() as usps:
        home = Home(usps.base_url)
        try:
            with home.broker():
                tokens = TokenClient(str(home.socket))
                _memory["access_token"] = tokens.bearer().value
                _memory["expires_at"] = time.time() + 28_800
                rows = side_by_side(
                    {
                        "lock, dict and time.time()": cached_bearer,
                        "TokenClient.bearer()": tokens.bearer,
                    },
                    calls=100_000,
                )
        finally:
            home.remove()
    table(rows, "ns", "lock, dict and time.time()")
