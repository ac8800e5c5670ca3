"""How tokens stand, as a picture for a terminal: bars, colours, nothing wider than it is."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from usps_token_broker.cli import standing
from usps_token_broker.core.notes import span
from usps_token_broker.core.values import Freshness
from usps_token_broker.wire.status import (
    AppMessage,
    BudgetMessage,
    PeerMessage,
    SlotMessage,
    StatusMessage,
    TroubleMessage,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

NARROWEST: Final = 40
"""Columns; below that lines are as long as they must be."""
_NAMES: Final = 12, 24
"""Columns for names of slots, at least and at most; a longer one has a line of its own."""
_BAR: Final = 20
_BUDGET_BAR: Final = 10
_SHORT_BAR: Final = 5
"""Of what has no room for more."""
_MARGIN: Final = " " * 15
_STYLES: Final[Mapping[str, str]] = {
    Freshness.FRESH: "green",
    Freshness.DUE: "green",
    Freshness.LATE: "yellow",
    Freshness.SPENT: "red",
    Freshness.NONE: "red",
}
_WELL: Final = {Freshness.FRESH, Freshness.DUE}
_LEAST_GAP: Final = 2
_USER: Final = 11
_HELD: Final = 17
"""Columns for the time left."""
_NEARLY: Final = 0.8
"""Of the budget, beyond which it is worth a look."""


class Line(NamedTuple):
    """Some text, as pieces with a style each."""

    pieces: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """Without styles."""
        return "".join(text for text, _ in self.pieces)


class Painter(NamedTuple):
    """What can be drawn where it is drawn."""

    width: int = 80
    blocks: bool = True
    """Whether the terminal has more than ASCII."""
    brief: bool = False
    """Whether what is well has one line, and what is not comes first: for a low window."""

    names: int = _NAMES[0]
    """Columns for the names of slots."""

    @property
    def room(self) -> int:
        """Columns of a line."""
        return max(self.width, NARROWEST) - 1

    def bar(self, part: float, length: int = _BAR) -> str:
        """A bar of this length that is full by `part`, from 0 to 1."""
        full, empty = ("█", "░") if self.blocks else ("#", ".")
        filled = min(length, max(0, round(part * length)))
        if filled == 0 and part > 0:
            filled = 1  # what is there is seen
        return full * filled + empty * (length - filled)

    def wrapped(self, text: str, style: str, lead: str = _MARGIN) -> Iterator[Line]:
        """The text in lines that fit."""
        for line in textwrap.wrap(
            text, self.room, initial_indent=lead, subsequent_indent=_MARGIN, break_on_hyphens=False
        ):
            yield Line(((line, style),))


def status(
    message: StatusMessage, painter: Painter, user: "Callable[[int], str]"
) -> Iterator[Line]:
    """All of it; `user` gives a uid its name."""
    painter = painter._replace(names=_columns_for_names(message, painter.room))
    yield _head(message, painter.room)
    if message.waiting:
        who = "1 caller waits" if message.waiting == 1 else f"{message.waiting} callers wait"
        yield Line(((f"{who} for a token", "yellow"),))
    if message.state_trouble:
        yield from painter.wrapped(f"state not saved: {message.state_trouble}", "red", "")
    if message.reloading_since is not None:
        told = f"reloading for {span(message.at - message.reloading_since)}"
        yield Line(((told, "yellow"),))
    for app in _worst_first(message.apps, painter, lambda app: all(map(_is_well, app.slots))):
        yield from _app(app, message.at, painter)
    if message.peers:
        yield from _peers(message.peers, user)


def _columns_for_names(message: StatusMessage, room: int) -> int:
    least, most = _NAMES
    most = min(most, room - len("   ") - _SHORT_BAR - 2 - _HELD)
    lengths = (len(slot.slot) for app in message.apps for slot in app.slots)
    return max((length for length in lengths if least < length <= most), default=least)


def _worst_first(these: "list[T]", painter: Painter, is_well: "Callable[[T], bool]") -> "list[T]":
    return sorted(these, key=is_well) if painter.brief else these


def _is_well(slot: SlotMessage) -> bool:
    return slot.freshness in _WELL and slot.trouble is None and not slot.suspect


def _head(message: StatusMessage, room: int) -> Line:
    """The whole where it fits, and how all stands in any case."""
    name, up = f"usps-token-broker {message.version}", span(message.at - message.started_at)
    word = standing.verdict(message).replace("ready", "READY")
    style = "bold green" if message.ready else "bold red"
    if message.ready and standing.troubles(message):
        style = "bold yellow"
    for who in (f"{name}  pid {message.pid}  up {up}", name, "broker"):
        gap = room - len(who) - len(word)
        if gap >= _LEAST_GAP:
            break
    return Line(((who, "bold"), (" " * max(_LEAST_GAP, gap), ""), (word, style)))


def _app(app: AppMessage, at: float, painter: Painter) -> Iterator[Line]:
    yield from painter.wrapped(f"app {app.app}  {app.host}{standing.skew(app)}", "bold", "")
    for slot in _worst_first(app.slots, painter, _is_well):
        yield from _slot(slot, at, painter)
    for budget in app.budget:
        yield from _budget(budget, painter)


def _slot(slot: SlotMessage, at: float, painter: Painter) -> Iterator[Line]:
    left = slot.expires_in
    style = _STYLES.get(slot.freshness, "")
    if slot.degraded or slot.suspect:
        style = "yellow"
    held = f"{span(left)} left" if left is not None else "no token"
    flags = [slot.freshness, *(w for w in ("degraded", "suspect") if getattr(slot, w))]
    word = ", ".join(flags) if left is not None else ""
    step = standing.next_step(slot, at)
    if painter.brief and slot.trouble is None:
        word, step = word or step, ""
    yield from _row(slot.slot, _left(slot), held, (word, style), painter)
    if step:
        yield from painter.wrapped(step, "dim")
    if slot.trouble:
        yield from _trouble(slot.trouble, at, painter)


def _row(
    name: str, part: float, held: str, word: tuple[str, str], painter: Painter
) -> Iterator[Line]:
    """Name, bar, time left, and a word with its style: below where there is no room for it."""
    said, style = word
    lead = f"  {name:<{painter.names}} "
    if len(name) > painter.names:
        yield from painter.wrapped(name, "", "  ")
        lead = f"  {'':<{painter.names}} "
    told = f"  {held:<{_HELD}} "
    bar = painter.bar(part, _BAR - painter.names + _NAMES[0])
    if len(lead + bar + told + said) <= painter.room:
        yield Line(((lead, ""), (bar, style), (told, style), (said, style)))
        return
    yield Line(((lead, ""), (painter.bar(part, _SHORT_BAR), style), (f" {held}", style)))
    if said:
        yield from painter.wrapped(said, style)


def _left(slot: SlotMessage) -> float:
    """How much of its life is left, from 0 to 1."""
    if slot.expires_in is None or slot.expires_at is None or slot.issued_at is None:
        return 0.0
    life = slot.expires_at - slot.issued_at
    return slot.expires_in / life if life > 0 else 0.0


def _trouble(trouble: TroubleMessage, at: float, painter: Painter) -> Iterator[Line]:
    yield from painter.wrapped(standing.trouble_line(trouble, at), "red")
    yield from painter.wrapped(f"do: {trouble.fix}", "cyan")


def _budget(budget: BudgetMessage, painter: Painter) -> Iterator[Line]:
    part = budget.used_last_hour / budget.calls_per_hour if budget.calls_per_hour else 1.0
    used = f"  {budget.used_last_hour} of {budget.calls_per_hour}"
    where = f"in the last hour to {budget.endpoint}"
    style = "yellow" if part >= _NEARLY else "dim"
    name, bar = "  calls        ", painter.bar(part, _BUDGET_BAR)
    first = (name, ""), (bar, style), (used, "dim")
    if len(f"{name}{bar}{used} {where}") <= painter.room:
        yield Line((*first, (f" {where}", "dim")))
    else:
        yield Line(first)
        yield from painter.wrapped(where, "dim")


def _peers(peers: list[PeerMessage], user: "Callable[[int], str]") -> Iterator[Line]:
    yield Line((("clients      connections  waiting", "bold"),))
    for peer in sorted(peers, key=lambda p: (-p.connections, p.uid)):
        name = user(peer.uid)[:_USER]
        style = "yellow" if peer.waiting else ""
        yield Line(((f"  {name:<{_USER}}{peer.connections:>11}  {peer.waiting:>7}", style),))
