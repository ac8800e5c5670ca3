"""Python's garbage collector, kept from holding up all callers at once."""

import gc
from typing import Final

_YOUNG_OBJECTS: Final = 20_000
"""More than a crowd of connections makes and drops between two quiet moments: what the broker does
over and over leaves no rings behind, so there is nothing to be found among them."""


def settle() -> None:
    """What has been made so far stays: it is looked through no more, and what comes only seldom.

    A look through all that libraries make takes some 30 ms, in which nobody is answered.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
