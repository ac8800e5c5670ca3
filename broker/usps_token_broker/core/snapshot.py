"""What may be seen of the core: tokens to serve, and the whole state without a secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from usps_token_broker.core import schedule
from usps_token_broker.core.budget import HourWindow
from usps_token_broker.core.credentials import Standing, standing
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.phases import Held
from usps_token_broker.core.planning import Planner, Start
from usps_token_broker.core.plans import AppPlan
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import BEARER, Endpoint, Freshness, Now, Phase, SlotId, Token

_HELD_BY: Final = {
    Held.NOTHING: "",
    Held.BUDGET: ", when the budget allows",
    Held.RETRY_AFTER: ", when USPS's Retry-After is over",
}


@dataclass(frozen=True, slots=True)
class Serving:
    """A token that may be handed out, and until when. `_at` is Unix seconds unless said."""

    token: Token
    expires_at: float
    expires_boot_at: float
    """Boot clock: the end of its life."""
    spent_boot_at: float
    """Boot clock: from here on it is not served, whoever cached it."""
    buffer_seconds: float
    check_after_seconds: float
    degraded: bool


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot, for people and monitors. Instants are Unix seconds."""

    id: SlotId
    phase: Phase
    freshness: Freshness
    ready: bool
    required: bool
    degraded: bool
    suspect: bool
    dormant: bool
    """Kept for those who ask, and nobody asked in a day."""
    serial: int | None
    issued_at: float | None
    expires_at: float | None
    expires_in: float | None
    use_until: float | None
    renew_at: float | None
    next_attempt_at: float | None
    next_attempt_why: str | None
    trouble: Trouble | None
    attempts_left: float
    scopes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class WindowView:
    """The budget of one endpoint."""

    endpoint: Endpoint
    used: int
    limit: int
    held_until: float | None = None
    """Unix seconds: before then USPS wants no call, by its Retry-After; None when it is over."""


@dataclass(frozen=True, slots=True)
class AppView:
    """One app and its slots."""

    plan: AppPlan
    slots: tuple[SlotView, ...]
    windows: tuple[WindowView, ...]
    credentials: Standing
    skew_seconds: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a person may see."""

    at: Now
    apps: tuple[AppView, ...]

    def slot(self, slot: SlotId) -> SlotView:
        """The view of one slot. Raises KeyError for one that is not there."""
        for app in self.apps:
            for view in app.slots:
                if view.id == slot:
                    return view
        raise KeyError(slot)


def serving(slot: Slot, now: Now) -> Serving | None:
    """What may be handed out for a slot now, or None."""
    token = slot.token
    if token is None or not slot.servable(now):
        return None
    end_at = schedule.end_at(token, now)
    return Serving(
        token=token,
        expires_at=now.wall + end_at - now.boot,
        expires_boot_at=end_at,
        spent_boot_at=schedule.spent_at(token, now),
        buffer_seconds=schedule.buffer_seconds(slot.policy, token.life_seconds),
        check_after_seconds=schedule.check_after_seconds(token.life_seconds),
        degraded=slot.degraded(slot.freshness(now), now),
    )


def take(
    planner: Planner, required: set[SlotId], skew_seconds: Mapping[str, float], now: Now
) -> Snapshot:
    """The whole state, now."""
    return Snapshot(
        at=now,
        apps=tuple(
            AppView(
                plan=plan,
                slots=tuple(
                    view(planner, slot, now, required=slot.id in required)
                    for slot in planner.slots.values()
                    if slot.id.app == plan.name
                ),
                windows=_windows(planner, plan, now),
                credentials=standing(planner.slots[SlotId(plan.name, BEARER)]),
                skew_seconds=skew_seconds.get(plan.name),
            )
            for plan in planner.apps.values()
        ),
    )


def _windows(planner: Planner, plan: AppPlan, now: Now) -> tuple[WindowView, ...]:
    endpoints = Endpoint if planner.siblings[plan.name] else (Endpoint.TOKEN,)
    windows = [(endpoint, planner.windows[plan.key(endpoint)]) for endpoint in endpoints]
    return tuple(_window(endpoint, window, now) for endpoint, window in windows)


def _window(endpoint: Endpoint, window: HourWindow, now: Now) -> WindowView:
    is_held = window.floor_at > now.boot
    held_until = now.wall + window.floor_at - now.boot if is_held else None
    return WindowView(endpoint, window.used(now.boot), window.limit, held_until)


def view(planner: Planner, slot: Slot, now: Now, *, required: bool) -> SlotView:
    """One slot, now."""
    start = planner.next_start(slot, now, hurried=False)
    served = serving(slot, now)
    freshness = slot.freshness(now)
    to_wall = now.wall - now.boot
    return SlotView(
        id=slot.id,
        phase=slot.phase,
        freshness=freshness,
        ready=served is not None and not slot.suspect,
        required=required,
        degraded=slot.degraded(freshness, now),
        suspect=slot.suspect,
        dormant=slot.dormant(now),
        serial=slot.token.serial if slot.token else None,
        issued_at=slot.token.sent_at.boot + to_wall if slot.token else None,
        expires_at=served.expires_at if served else None,
        expires_in=served.expires_boot_at - now.boot if served else None,
        use_until=served.expires_at - served.buffer_seconds if served else None,
        renew_at=slot.token.renew_at + to_wall if slot.token else None,
        next_attempt_at=start.at + to_wall if start else None,
        next_attempt_why=_why(slot, start, now),
        trouble=slot.trouble,
        attempts_left=slot.bucket.left(now.boot, slot.life_seconds),
        scopes=slot.token.scopes if slot.token else None,
    )


def _why(slot: Slot, start: Start | None, now: Now) -> str:
    if start is not None:
        return start.cause.value + _HELD_BY[start.held]
    if slot.phase is Phase.FETCHING:
        return "under way"
    if slot.dormant(now):
        return "when asked for"
    return "next bearer" if slot.halted() else "bearer first"
