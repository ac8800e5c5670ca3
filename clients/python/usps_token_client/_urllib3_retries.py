"""What urllib3, and so requests, may repeat by itself below us: everything but a refusal."""

from __future__ import annotations

import urllib3

from ._calling import UNAUTHORIZED
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._typing import V


def without_refusals(retries: V) -> V:
    """These retries without 401 in their `status_forcelist`.

    It would have the dead token sent again and again, and the refusal end as an error of the
    library that the broker never hears of.
    """
    forced = getattr(retries, "status_forcelist", None) or ()
    if not isinstance(retries, urllib3.Retry) or UNAUTHORIZED not in forced:
        return retries
    return retries.new(status_forcelist=frozenset(forced) - {UNAUTHORIZED})
