"""The state as bytes: JSON of the core's records."""

import msgspec

from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Secret
from usps_token_broker.wire.encoding import encoder


def _encode_secret(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} has no place in the state")


def _decode_secret(kind: type, value: object) -> Secret:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("a token is a string")


_to_json = encoder(_encode_secret)
_decoder = msgspec.json.Decoder(SavedState, dec_hook=_decode_secret)


def encode(state: SavedState) -> bytes:
    """The state, tokens included: only for a file that nobody else can read."""
    return _to_json(state)


def decode(payload: bytes) -> SavedState:
    """The state these bytes hold; unknown fields are ignored.

    Raises ValueError with what is wrong, without quoting the content.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(_without_values(str(error))) from None


def _without_values(text: str) -> str:
    """What msgspec says: place and types, but of an enum the value as well."""
    if not text.startswith("Invalid enum value"):
        return text
    return f"A word that is not known - at {text.rpartition(' - at ')[2]}"
