"""The lines of `GET /v1/events`, one JSON object each. Instants are Unix seconds."""

from typing import Annotated, Final, get_args

import msgspec

from usps_token_broker.wire.saying import says
from usps_token_broker.wire.status import SlotMessage, StatusMessage


class StatusEvent(StatusMessage, frozen=True, tag_field="event", tag="status"):
    """`GET /v1/events`, the first line and the one after `reloaded`: how everything stands."""


class SlotEvent(msgspec.Struct, frozen=True, tag_field="event", tag="slot"):
    """`GET /v1/events`: a slot that has changed, as it stood at `at`."""

    at: Annotated[float, says("When this was so, Unix seconds")]
    app: Annotated[str, says("Its app")]
    slot: Annotated[SlotMessage, says("How it stands")]


class RemovedEvent(msgspec.Struct, frozen=True, tag_field="event", tag="removed"):
    """`GET /v1/events`: a slot that is gone, or no longer open to this peer."""

    at: Annotated[float, says("When that was noticed, Unix seconds")]
    app: Annotated[str, says("Its app")]
    slot: Annotated[str, says("Its name")]


class ReloadedEvent(msgspec.Struct, frozen=True, tag_field="event", tag="reloaded"):
    """`GET /v1/events`: another configuration is in force."""

    at: Annotated[float, says("When that was, Unix seconds")]


class AliveEvent(msgspec.Struct, frozen=True, tag_field="event", tag="alive"):
    """`GET /v1/events`: nothing has changed for a while."""

    at: Annotated[float, says("When that was, Unix seconds")]


class StoppingEvent(msgspec.Struct, frozen=True, tag_field="event", tag="stopping"):
    """`GET /v1/events`, the last line: the broker ends."""

    at: Annotated[float, says("When that was, Unix seconds")]


Event = StatusEvent | SlotEvent | RemovedEvent | ReloadedEvent | AliveEvent | StoppingEvent


class _Kind(msgspec.Struct, frozen=True):
    event: str


_KINDS: Final = frozenset(kind.__struct_config__.tag for kind in get_args(Event))

_event_decoder = msgspec.json.Decoder(Event)
_kind_decoder = msgspec.json.Decoder(_Kind)


def status_event(message: StatusMessage) -> StatusEvent:
    """The same, as a line of events."""
    return StatusEvent(*msgspec.structs.astuple(message))


def decode_event(line: bytes) -> Event | None:
    """The event in this line; None for a kind that a later version may send.

    Raises ValueError for what is no event.
    """
    try:
        known = _kind_decoder.decode(line).event in _KINDS
        return _event_decoder.decode(line) if known else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
