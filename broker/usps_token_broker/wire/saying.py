"""What the OpenAPI document says of a field of a message. It costs nothing on the wire."""

import enum

import msgspec


def says(text: str, *, words: type[enum.StrEnum] | tuple[str, ...] = ()) -> msgspec.Meta:
    """The meaning of a field, and the words that it is one of, where they are a closed list."""
    listed = [str(word) for word in words]
    return msgspec.Meta(description=text, extra_json_schema={"enum": listed} if listed else None)
