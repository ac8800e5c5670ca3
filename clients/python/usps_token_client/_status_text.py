"""`GET /v1/status` for a person. Shows what it knows and skips what is not there."""

from __future__ import annotations

import time

from ._checking import is_number, words
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_MINUTE = 60
_HOUR = 3600


def span(seconds: float) -> str:
    """A span in the two units that matter: `7 h 10 min`, `3 min 5 s`, `12 s`."""
    whole = max(0, round(seconds))
    if whole >= _HOUR:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    if whole >= _MINUTE:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole} s"


def instant(at: float) -> str:
    """An instant in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def describe(status: dict[str, Any]) -> str:
    """The whole state, a line for each thing worth one."""
    if status.get("static"):
        return f"static tokens, no broker asked: {', '.join(status.get('slots', []))}"
    now = _number(status.get("at"))
    lines = [_first_line(status, now)]
    if status.get("state_trouble"):
        lines.append(f"  cannot save its state: {_word(status['state_trouble'])}")
    for app in status.get("apps") or []:
        lines.append(f"app {_word(app.get('app'))} ({_word(app.get('host'))})")
        for slot in app.get("slots") or []:
            lines += _slot(slot, now)
        lines += [
            f"  calls to {_word(budget.get('endpoint'))} in the last hour: "
            f"{_word(budget.get('used_last_hour'))} of {_word(budget.get('calls_per_hour'))}"
            for budget in app.get("budget") or []
        ]
    return "\n".join(lines)


def _first_line(status: dict[str, Any], now: float) -> str:
    ready = "ready" if status.get("ready") else "NOT READY"
    up = span(now - _number(status.get("started_at"), now))
    version, pid = _word(status.get("version")), _word(status.get("pid"))
    return f"usps-token-broker {version}, pid {pid}, up {up}: {ready}"


def _slot(slot: dict[str, Any], now: float) -> list[str]:
    lines = [f"  {_word(slot.get('slot'))}: {_life(slot, now)}{_flags(slot)}"]
    next_at = slot.get("next_attempt_at")
    if next_at is not None:
        in_span = span(_number(next_at) - now)
        why = slot.get("next_attempt_why")
        lines.append(f"    next call to USPS in {in_span}" + (f" ({_word(why)})" if why else ""))
    trouble = slot.get("trouble")
    if trouble:
        since = instant(_number(trouble.get("since"), now))
        times, detail, code = (_word(trouble.get(name)) for name in ("times", "detail", "code"))
        lines.append(f"    trouble since {since} ({times} times): {detail} [{code}]")
        lines.append(f"    {_word(trouble.get('fix'))}")
    return lines


def _life(slot: dict[str, Any], now: float) -> str:
    expires_at = slot.get("expires_at")
    if expires_at is None:
        return f"no token ({_word(slot.get('phase'))})"
    left = span(_number(expires_at) - now)
    return f"{_word(slot.get('freshness'))}, good until {instant(_number(expires_at))} ({left})"


def _flags(slot: dict[str, Any]) -> str:
    flags = [name for name in ("required", "degraded", "suspect") if slot.get(name)]
    if slot.get("serial") is not None:
        flags.append(f"serial {_word(slot['serial'])}")
    return f" [{', '.join(flags)}]" if flags else ""


def _word(value: object) -> str:
    """A text or a number, fit for a terminal; a question mark for anything else."""
    if isinstance(value, str):
        return words(value)
    is_figure = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if is_figure else "?"


def _number(value: object, otherwise: float = 0.0) -> float:
    return float(value) if is_number(value) else otherwise
