"""The bytes of a state file: one line that names format, checksum and length, then the payload.

usps-token-broker state 1 sha256=<64 hex digits> length=<bytes>
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

FORMAT: Final = 1
MOST_BYTES: Final = 16 * 1024 * 1024
"""Room for thousands of slots; a larger file was not written by this program."""

_FIRST_LINE: Final = re.compile(
    rb"usps-token-broker state (?P<format>[1-9][0-9]{0,8})"
    rb"(?: sha256=[0-9a-f]{64} length=(?P<length>[0-9]{1,9}))?[ \n]"
)


@dataclass(frozen=True, slots=True)
class Whole:
    """The payload, unharmed."""

    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why these bytes, or what lies in their place, are no state of ours."""

    reason: str
    newer: bool = False


def encode(payload: bytes) -> bytes:
    """The file that holds this payload."""
    digest = hashlib.sha256(payload).hexdigest()
    line = f"usps-token-broker state {FORMAT} sha256={digest} length={len(payload)}\n"
    return line.encode("ascii") + payload


def decode(data: bytes) -> Whole | Unfit:
    """The payload, if `data` is to the byte what `encode` makes of it."""
    _, _, payload = data.partition(b"\n")
    if data == encode(payload):
        return Whole(payload)
    if not data:
        return Unfit("it is empty")
    line = _FIRST_LINE.match(data)
    if line is None:
        return Unfit("its first line is not that of a usps-token-broker state")
    if int(line["format"]) > FORMAT:
        return Unfit(f"it has format {int(line['format'])}, of a later version", newer=True)
    if line["length"] and len(payload) < int(line["length"]):
        return Unfit(f"it is cut off: {len(payload)} of {int(line['length'])} bytes are left")
    return Unfit("its checksum does not match")
