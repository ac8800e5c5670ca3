"""How everything stands in one line, for `systemctl status`.

    ready: bearer good until 03:12, renewal at 01:42; payment good until 03:12, renewal at 01:44
    not ready: bearer missing, retry at 14:03; bearer: USPS answered 503, 3 times since 13:58. Do: …

Instants are of the local time zone, and so near (a token lives for eight hours) that they need no
date. A fact that changes by itself as time goes by is not in it: it is sent when something happens.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from usps_token_broker.core.snapshot import SlotView, Snapshot
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.wire.steps import in_words

LONGEST: Final = 500
"""Characters: what fits a wide terminal three times, and a datagram many times."""
_TOLD_ONE_BY_ONE: Final = 4
"""So many tokens are told each by itself, more of them together."""
_NAMED: Final = 3
"""Of many without a token so many are named."""
_SHORTEST_CAUSE: Final = 60
"""What is left of a trouble's cause when it is cut to make room for what to do."""

_SHORTEST_REMARK: Final = 40
"""A remark that would be cut shorter is left out."""


def headline(snapshot: Snapshot, remarks: Sequence[str] = ()) -> str:
    """The line: tokens, then the worst trouble with its fix, then these remarks."""
    slots = [view for app in snapshot.apps for view in app.slots]
    names = _Names(several_apps=len(snapshot.apps) > 1)
    ready = "ready" if all(view.ready for view in slots if view.required) else "not ready"
    few = len(slots) <= _TOLD_ONE_BY_ONE
    told = [_told(view, names) for view in slots] if few else _summed_up(slots, names)
    head = f"{ready}: {'; '.join(told)}"
    troubled = [view for view in slots if view.trouble is not None]
    if troubled:
        worst = min(troubled, key=_severity)
        others = len(troubled) - 1
        more = f" ({others} more in trouble: usps-token-broker status)" if others else ""
        head = _with_trouble(head, f"{names(worst)}: ", worst.trouble, more)
    head = _cut(head, LONGEST)
    for remark in remarks:
        room = LONGEST - len(head) - len("; ")
        if room >= min(len(remark), _SHORTEST_REMARK):
            head = f"{head}; {_cut(remark, room)}"
    return head


class _Names:
    """What a slot is called: with its app only where there are several."""

    def __init__(self, *, several_apps: bool) -> None:
        self._several_apps = several_apps

    def __call__(self, view: SlotView) -> str:
        return str(view.id) if self._several_apps else view.id.name


def _told(view: SlotView, names: _Names) -> str:
    if view.expires_at is None:
        return f"{names(view)} missing, {_next(view)}"
    flag = " (doubted by workers)" if view.suspect else " (late)" if view.degraded else ""
    return f"{names(view)} good until {_o_clock(view.expires_at)}{flag}, {_next(view)}"


def _next(view: SlotView) -> str:
    """What happens next, and when where that is known."""
    why = view.next_attempt_why or "nothing is planned"
    if view.next_attempt_at is None:
        return why
    cause, _, _held = why.partition(",")  # what holds it back has no room here
    return f"{in_words(cause)} at {_o_clock(view.next_attempt_at)}"


def _summed_up(slots: Sequence[SlotView], names: _Names) -> list[str]:
    good = [(view.expires_at, view) for view in slots if view.expires_at is not None]
    missing = [names(view) for view in slots if view.expires_at is None]
    told = [f"{len(good)} of {len(slots)} tokens good"]
    if good:
        first_end, ends_first = min(good, key=lambda pair: pair[0])
        told[0] += f", the first of them ({names(ends_first)}) until {_o_clock(first_end)}"
    if late := sum(view.degraded for _, view in good):
        told.append(f"{late} of them late or doubted by workers")
    if missing:
        others = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        told.append(f"missing: {', '.join(missing[:_NAMED])}{others}")
    due = [(view.next_attempt_at, view) for view in slots if view.next_attempt_at is not None]
    if due:
        _, view = min(due, key=lambda pair: pair[0])
        told.append(f"next: {_next(view)} ({names(view)})")
    return told


def _severity(view: SlotView) -> tuple[bool, bool, float]:
    """The least is the worst: no token, then one that readiness needs, then the newest trouble."""
    last_at = view.trouble.last_at if view.trouble else 0.0
    return view.expires_at is not None, not view.required, -last_at


def _with_trouble(head: str, whose: str, trouble: Trouble | None, more: str) -> str:
    """With the cause cut before what to do is: of the two that is what helps."""
    if trouble is None:
        return head
    times = "once, at" if trouble.times == 1 else f"{trouble.times} times since"
    tail = f", {times} {_o_clock(trouble.since_at)}. Do: {trouble.fix}{more}"
    room = LONGEST - len(f"{head}; {whose}{tail}")
    cause = _cut(trouble.detail, max(room, _SHORTEST_CAUSE))
    return f"{head}; {whose}{cause}{tail}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _o_clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M")
