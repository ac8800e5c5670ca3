"""Values as JSON, for what the broker itself says and saves.

Not by msgspec's own `encode`: where there is no memory for its buffer to grow, it lets go of what
the failed growth has taken away already, and the process ends by SIGSEGV (msgspec 0.22.0, _core.c:
`Py_DECREF` after `_PyBytes_Resize`). Into a bytearray it raises MemoryError, which ends one answer.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

_FIRST_BYTES: Final = 1024
"""Most answers fit, so that the buffer does not grow at all."""


def encoder(enc_hook: Callable[[Any], Any] | None = None) -> Callable[[object], bytes]:
    """What makes JSON of a value; `enc_hook` is msgspec's. Raises MemoryError."""
    encode_into = msgspec.json.Encoder(enc_hook=enc_hook).encode_into

    def encode(value: object) -> bytes:
        buffer = bytearray(_FIRST_BYTES)
        encode_into(value, buffer)
        return bytes(buffer)

    return encode


to_json: Final = encoder()
