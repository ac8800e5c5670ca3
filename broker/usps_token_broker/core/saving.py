"""From the living slots to the record that outlives the process."""

import math
from dataclasses import fields

from usps_token_broker.core import schedule
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.phases import Cause
from usps_token_broker.core.planning import Planner
from usps_token_broker.core.plans import AppPlan
from usps_token_broker.core.state import (
    SavedSlot,
    SavedState,
    SavedToken,
    SavedTrouble,
    SavedWindow,
)
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import Now, Phase, Token


def save(planner: Planner, boot_id: str, last_serial: int, now: Now) -> SavedState:
    """Everything the next process should know."""
    return SavedState(
        boot_id=boot_id,
        saved_at=now,
        last_serial=last_serial,
        slots=tuple(_slot(slot, planner.apps[slot.id.app]) for slot in planner.slots.values()),
        windows=tuple(
            SavedWindow(*key, tuple(window.sent_at), window.floor_at)
            for key, window in planner.windows.items()
            if window.used(now.boot) or window.floor_at > now.boot
        ),
    )


def _after_a_crash(slot: Slot) -> tuple[Phase, float, float]:
    """Phase, retry and probe instants for a process that finds a flight without its end.

    A probe or retry that a crash cut short is not made again at once: a crash loop would
    otherwise turn the slowest attempts into the fastest.
    """
    match slot.cause:
        case Cause.PROBE if slot.asked_with == slot.basis:
            span = schedule.probe_seconds(slot.probes, slot.life_seconds)
            return Phase.HALTED, slot.retry_at, slot.charged_at + span
        case Cause.RETRY:
            ceiling = schedule.BACKOFF_CEILING_SECONDS
            span = schedule.backoff_seconds(slot.failures, 1.0, slot.life_seconds, ceiling)
            return Phase.WAITING, slot.charged_at + span, slot.probe_at
        case _:
            return Phase.IDLE, slot.retry_at, slot.probe_at


def _slot(slot: Slot, app: AppPlan) -> SavedSlot:
    phase, retry_at, probe_at = slot.phase, slot.retry_at, slot.probe_at
    if phase is Phase.FETCHING:
        phase, retry_at, probe_at = _after_a_crash(slot)
    return SavedSlot(
        app=app.name,
        host=app.host,
        client_id=app.client_id,
        name=slot.id.name,
        basis=slot.basis,
        phase=phase,
        bucket_level=slot.bucket.level,
        bucket_filled_at=slot.bucket.filled_at,
        token=_token(slot.token) if slot.token else None,
        life_seconds=slot.life_seconds,
        failures=slot.failures,
        retry_at=retry_at,
        probes=slot.probes,
        # JSON has no infinity: 0 says that no probe is planned.
        probe_at=probe_at if math.isfinite(probe_at) else 0.0,
        bearer_serial=slot.bearer_serial,
        bearer_scopes=slot.bearer_scopes,
        refused_bearer=slot.refused_bearer,
        refused=slot.refused,
        proven=slot.proven,
        reported=slot.reported,
        suspect=slot.suspect,
        guard_until_at=slot.guard.until_at,
        guard_seconds=slot.guard.seconds,
        trouble=_trouble(slot.trouble) if slot.trouble else None,
        asked_at=slot.asked_at,
    )


def _token(token: Token) -> SavedToken:
    return SavedToken(
        value=token.value,
        serial=token.serial,
        token_type=token.token_type,
        sent_boot_at=token.sent_at.boot,
        sent_wall_at=token.sent_at.wall,
        life_seconds=token.life_seconds,
        renew_at=token.renew_at,
        scopes=token.scopes,
        by_wall=token.by_wall,
        life_is_assumed=token.life_is_assumed,
    )


def _trouble(trouble: Trouble) -> SavedTrouble:
    return SavedTrouble(**{f.name: getattr(trouble, f.name) for f in fields(trouble)})
