"""Local keys: what opens the broker's stand-in for USPS's token calls, and the file they lie in.

A secret is 256 random bits, so one SHA-256 of it is as good as a slow hash: those are for what
people make up, where guesses can be tried. The file holds nothing that opens anything.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

import msgspec

from usps_token_broker.core.values import Secret

FORMAT: Final = 1
_PURPOSE: Final = b"usps-token-broker local key\0"
"""So that the same string, hashed elsewhere for something else, is another digest."""


class LocalKey(msgspec.Struct, frozen=True):
    """What one program may have by its key."""

    name: str
    """Chosen by whoever made it; it stands in logs."""
    id: str
    """The client id that the program sends."""
    digest: str
    """Of its secret, in hex."""
    app: str
    slots: tuple[str, ...]
    """`bearer`, `payment`, `payment-NAME`."""
    made_at: float
    """Unix seconds."""


class _File(msgspec.Struct, frozen=True):
    format: int
    keys: tuple[LocalKey, ...]


_decoder = msgspec.json.Decoder(_File)


def decode(content: bytes) -> tuple[LocalKey, ...]:
    """The keys in a file. Raises ValueError that says what is wrong and quotes nothing."""
    try:
        file = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it holds no keys: {error}") from None
    if file.format != FORMAT:
        raise ValueError(f"it has format {file.format}, and this version reads {FORMAT}")
    return file.keys


def encode(keys: Iterable[LocalKey]) -> bytes:
    """The content of a file with these keys, one line each, for people who look at it."""
    lines = ",\n".join(msgspec.json.encode(key).decode() for key in keys)
    return f'{{"format": {FORMAT}, "keys": [\n{lines}\n]}}\n'.encode()


def digest_of(secret: Secret) -> str:
    """What is kept of a secret."""
    text = secret.reveal().encode("utf-8", "surrogatepass")
    return hashlib.sha256(_PURPOSE + text).hexdigest()


def find(keys: Iterable[LocalKey], client_id: str, secret: Secret) -> LocalKey | None:
    """The key of this id and secret, or None.

    Takes as long for an id that there is as for one that there is not, whatever the secret.
    """
    shown = digest_of(secret).encode()
    wanted = client_id.encode("utf-8", "surrogatepass")
    found = None
    for key in keys:
        same_id = hmac.compare_digest(key.id.encode(), wanted)
        same_secret = hmac.compare_digest(key.digest.encode("utf-8", "replace"), shown)
        if same_id & same_secret:
            found = key
    return found
