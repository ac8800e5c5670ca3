"""How tokens stand, in words: plain lines, one a fact."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, assert_never

from usps_token_broker.core.notes import span
from usps_token_broker.wire.events import (
    AliveEvent,
    Event,
    ReloadedEvent,
    RemovedEvent,
    SlotEvent,
    StatusEvent,
    StoppingEvent,
)
from usps_token_broker.wire.status import AppMessage, SlotMessage, StatusMessage, TroubleMessage
from usps_token_broker.wire.steps import in_words

_SKEW_WORTH_TELLING_SECONDS: Final = 5.0


def lines(message: StatusMessage) -> Iterator[str]:
    """The status as plain text, one line a fact."""
    up = span(message.at - message.started_at)
    yield f"usps-token-broker {message.version}  pid {message.pid}  up {up}  {verdict(message)}"
    if message.waiting:
        yield f"waiting: {message.waiting}"
    if message.state_trouble:
        yield f"state not saved: {message.state_trouble}"
    if message.reloading_since is not None:
        yield f"reloading for {span(message.at - message.reloading_since)}"
    if message.http_listen:
        yield f"health and figures: http://{message.http_listen}"
    for app in message.apps:
        yield f"app {app.app}  {app.host}{skew(app)}"
        for slot in app.slots:
            yield from _slot_lines(slot, message.at)
        for budget in app.budget:
            yield (
                f"  budget {budget.endpoint}: {budget.used_last_hour} of "
                f"{budget.calls_per_hour} calls in the last hour"
            )


def verdict(message: StatusMessage) -> str:
    """How all stands, in a word or two; a broker may be ready and have trouble with other slots."""
    if not message.ready:
        return "NOT READY"
    count = troubles(message)
    return f"ready, {count} trouble{'s' * (count > 1)}" if count else "ready"


def troubles(message: StatusMessage) -> int:
    """In how many places something is wrong."""
    slots = sum(slot.trouble is not None for app in message.apps for slot in app.slots)
    return slots + bool(message.state_trouble)


def event_lines(event: Event) -> Iterator[str]:
    """An event as plain text; none for one that only says that nothing has happened."""
    match event:
        case StatusEvent():
            yield from lines(event)
        case SlotEvent():
            name = f"{event.app}/{event.slot.slot}"
            yield f"{_instant(event.at)}  {name}: {_story(event.slot, event.at)}"
            if event.slot.trouble:
                yield from _trouble_lines(event.slot.trouble, event.at)
        case RemovedEvent():
            name = f"{event.app}/{event.slot}"
            yield f"{_instant(event.at)}  {name}: removed, or no longer open to you"
        case ReloadedEvent():
            yield f"{_instant(event.at)}  another configuration is in force:"
        case StoppingEvent():
            yield f"{_instant(event.at)}  the broker is ending"
        case AliveEvent():
            pass
        case _:
            assert_never(event)


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def skew(app: AppMessage) -> str:
    """A remark on USPS's clock, where it is off by more than some seconds."""
    off = app.skew_seconds
    if off is None or abs(off) < _SKEW_WORTH_TELLING_SECONDS:
        return ""
    return f"  (USPS's clock is {span(abs(off))} {'ahead of' if off > 0 else 'behind'} ours)"


def _slot_lines(slot: SlotMessage, at: float) -> Iterator[str]:
    yield f"  {slot.slot:<12}{_story(slot, at)}"
    if slot.trouble:
        yield from _trouble_lines(slot.trouble, at)


def _story(slot: SlotMessage, at: float) -> str:
    left = slot.expires_in
    held = f"{slot.freshness}, {span(left)} left" if left is not None else "no token"
    flags = [word for word in ("degraded", "suspect") if getattr(slot, word)]
    return f"{', '.join([held, *flags])}; {next_step(slot, at)}"


def _trouble_lines(trouble: TroubleMessage, at: float) -> Iterator[str]:
    yield f"    {trouble_line(trouble, at)}"
    yield f"    do: {trouble.fix}"


def trouble_line(trouble: TroubleMessage, at: float) -> str:
    """What is wrong: its code, the row of the catalogue, how often, since when, and the words."""
    more = trouble.reason if trouble.reason not in {None, trouble.code} else ""
    name = f"{trouble.code} ({more})" if more else trouble.code
    times = "once," if trouble.times == 1 else f"{trouble.times} times, first"
    return f"{name}, {times} {span(at - trouble.since)} ago: {trouble.detail}"


def next_step(slot: SlotMessage, at: float) -> str:
    """What is done about its next token, when, and why."""
    why, when = slot.next_attempt_why, slot.next_attempt_at
    if when is None:
        return f"{slot.phase}" + (f" ({why})" if why else "")
    clock = datetime.fromtimestamp(when, UTC).astimezone().strftime("%H:%M:%S")
    return f"{slot.phase}; next: {in_words(why or '')} in {span(when - at)} ({clock})"
