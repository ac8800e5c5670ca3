"""Answers of USPS that no row of the catalogue knows: a few of them, redacted, for a report."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from usps_token_broker.wire.redaction import redact

MOST: Final = 20
"""Different ones that are kept; of more the one not seen for longest goes."""
_MOST_CHARS: Final = 300
_MOST_PATH: Final = 80
_ID: Final = re.compile(r"[^/]*\d[^/]*")
"""A part of a path with a digit in it, other than `v3`: a number of a parcel, an account."""
_VERSION: Final = re.compile(r"v\d{1,2}(?:r\d{1,2})?")


@dataclass(slots=True)
class Kept:
    """One of them, and how often it was seen. Instants are Unix seconds."""

    status: int
    path: str
    words: str
    times: int
    first_at: float
    last_at: float


class Unrecognised:
    """Keeps them in memory; they are gone with the process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str, str], Kept] = OrderedDict()

    def note(self, status: int, path: str, body: str, at: float) -> None:
        """Keep one more. `at` is Unix seconds."""
        words = redact(body, limit=_MOST_CHARS)
        key = (status, without_ids(path), words)
        kept = self._kept.get(key)
        if kept is None:
            self._kept[key] = Kept(*key, times=1, first_at=at, last_at=at)
        else:
            kept.times += 1
            kept.last_at = at
        self._kept.move_to_end(key)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._kept.values())


def without_ids(path: str) -> str:
    """The path without its query, and with a mark for what may name a parcel or an account."""
    bare = re.split(r"[?#]", path, maxsplit=1)[0]
    parts = (part if _VERSION.fullmatch(part) else _ID.sub("…", part) for part in bare.split("/"))
    return redact("/".join(parts), limit=_MOST_PATH)
