"""The state on disk: opaque bytes that are either whole or not there.

`directory` owns the place and its lock, `format` knows the first line, `state` loads and saves.
"""

from usps_token_broker.drivers.store.directory import StoreError
from usps_token_broker.drivers.store.state import (
    MOST_SET_ASIDE,
    Damaged,
    Nothing,
    Step,
    Store,
    Stored,
)

__all__ = ["MOST_SET_ASIDE", "Damaged", "Nothing", "Step", "Store", "StoreError", "Stored"]
