"""From the record of an earlier process back to living slots.

In the same boot, boot instants mean what they meant. In another boot, the wall clock tells how
much time went by; every deadline is cut to its own span, so that a wrong clock delays nothing for
longer than the rule it came from. A record may be damaged: no number in it is trusted.
"""

import math
from collections import deque

from usps_token_broker.core import notes, schedule
from usps_token_broker.core.budget import BUCKET_SIZE, HOUR_SECONDS, BudgetKey, HourWindow
from usps_token_broker.core.commands import Note
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.plans import AppPlan
from usps_token_broker.core.state import SavedSlot, SavedState, SavedToken, SavedTrouble
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import NOMINAL_LIFE_SECONDS, Now, Phase, Token


def find(state: SavedState, app: AppPlan, slot: Slot) -> SavedSlot | None:
    """The record of this slot: same host, client id, name and, for a payment, roles.

    Apps may share all of those; then each finds its own, by name.
    """
    found = [saved for saved in state.slots if _is_of(saved, app, slot)]
    own = [saved for saved in found if saved.app == app.name]
    return next(iter(own or found), None)


def _is_of(saved: SavedSlot, app: AppPlan, slot: Slot) -> bool:
    wanted = (app.host, app.client_id, slot.id.name)
    if (saved.host, saved.client_id, saved.name) != wanted:
        return False
    return slot.id.is_bearer or saved.basis == slot.basis


def last_serial(state: SavedState) -> int:
    """The highest serial there was, so that none is given twice."""
    serials = [saved.token.serial for saved in state.slots if saved.token is not None]
    return max(state.last_serial, *serials, 0)


class Translation:
    """Instants of an earlier process, told on this boot's clock."""

    def __init__(self, state: SavedState, boot_id: str, now: Now) -> None:
        self.now = now
        self.saved_at = state.saved_at
        # Where the kernel does not name its boots, any restart may be another one.
        same_boot = boot_id != "" and state.boot_id == boot_id
        self.same_boot = same_boot and state.saved_at.boot <= now.boot
        self._shift = 0.0
        if not self.same_boot:
            away = max(0.0, now.wall - state.saved_at.wall)
            self._shift = now.boot - state.saved_at.boot - away

    def past(self, instant: float) -> float:
        """An instant that cannot lie ahead."""
        moved = instant + self._shift
        return min(self.now.boot, moved) if math.isfinite(moved) else self.now.boot

    def ahead(self, instant: float, span_seconds: float) -> float:
        """A deadline, cut to the longest its rule could have set."""
        moved, latest = instant + self._shift, self.now.boot + span_seconds
        return min(moved, latest) if math.isfinite(moved) else latest


def restore_windows(
    windows: dict[BudgetKey, HourWindow], state: SavedState, translation: Translation
) -> None:
    """Take over what was charged in the last hour, and the Retry-After in force."""
    hour_ago = translation.now.boot - HOUR_SECONDS
    for saved in state.windows:
        key = BudgetKey(saved.host, saved.client_id, saved.endpoint)
        # Not one of ours now, but it may be again after another restart.
        window = windows.setdefault(key, HourWindow(0))
        sent = sorted(translation.past(at) for at in saved.sent_at)
        window.sent_at = deque(at for at in sent if at > hour_ago)
        window.floor_at = translation.ahead(saved.floor_at, schedule.RETRY_AFTER_CEILING_SECONDS)


def restore(slot: Slot, saved: SavedSlot, translation: Translation) -> list[Note]:
    """Fill a slot from its record; say what became of the token."""
    slot.basis = saved.basis
    slot.life_seconds = _bounded(saved.life_seconds, 0.0, NOMINAL_LIFE_SECONDS)
    slot.bucket.level = _bounded(saved.bucket_level, 0.0, BUCKET_SIZE)
    slot.bucket.filled_at = translation.past(saved.bucket_filled_at)
    slot.proven = saved.proven
    slot.bearer_serial = saved.bearer_serial
    slot.bearer_scopes = saved.bearer_scopes
    slot.refused_bearer = saved.refused_bearer
    slot.failures = max(0, saved.failures)
    slot.trouble = _trouble(saved.trouble) if saved.trouble else None
    slot.guard.seconds = _bounded(saved.guard_seconds, 0.0, schedule.GUARD_CEILING_SECONDS)
    slot.guard.until_at = translation.ahead(saved.guard_until_at, slot.guard.seconds)
    slot.asked_at = None if saved.asked_at is None else translation.past(saved.asked_at)
    _restore_phase(slot, saved, translation)
    return _restore_token(slot, saved, translation)


def _restore_phase(slot: Slot, saved: SavedSlot, translation: Translation) -> None:
    if slot.trouble is None:
        return
    if saved.phase is Phase.WAITING:
        slot.phase = Phase.WAITING
        slot.retry_at = translation.ahead(saved.retry_at, schedule.BACKOFF_CEILING_SECONDS)
    elif saved.phase is Phase.HALTED:
        slot.phase = Phase.HALTED
        slot.probes = max(0, saved.probes)
        slot.refused = saved.refused
        if not slot.halted_for_scope():
            slot.probe_at = translation.ahead(saved.probe_at, schedule.PROBE_CEILING_SECONDS)


def _restore_token(slot: Slot, saved: SavedSlot, translation: Translation) -> list[Note]:
    if saved.token is None:
        return []
    token = _token(slot, saved.token, translation)
    if token is None:
        return [notes.not_restored(slot, "its age cannot be told from the clock")]
    # Past its life it is never served; without it, USPS granting the very same would go unnoticed.
    slot.token = token
    slot.reported, slot.suspect = saved.reported, saved.suspect
    if translation.now.boot >= schedule.spent_at(token, translation.now):
        return [notes.not_restored(slot, "it is past its life")]
    return [notes.restored(slot, translation.now)]


def _token(slot: Slot, saved: SavedToken, translation: Translation) -> Token | None:
    sent_boot = _sent_boot_at(saved, translation)
    numbers = (sent_boot, saved.sent_wall_at, saved.life_seconds)
    if not all(map(math.isfinite, numbers)) or sent_boot > translation.now.boot:
        return None
    life = _bounded(saved.life_seconds, 0.0, NOMINAL_LIFE_SECONDS)
    latest = schedule.renew_at(slot.policy, sent_boot + life, life, 0.0)
    drawn = sent_boot + (saved.renew_at - saved.sent_boot_at)
    return Token(
        value=saved.value,
        serial=saved.serial,
        token_type=saved.token_type,
        sent_at=Now(sent_boot, saved.sent_wall_at),
        life_seconds=life,
        renew_at=min(drawn, latest) if math.isfinite(drawn) else latest,
        scopes=saved.scopes,
        by_wall=saved.by_wall or not translation.same_boot,
        life_is_assumed=saved.life_is_assumed,
    )


def _sent_boot_at(saved: SavedToken, translation: Translation) -> float:
    """When the token was asked for, on this boot's clock; NaN when nobody can tell."""
    if translation.same_boot:
        return saved.sent_boot_at
    now, saved_at = translation.now, translation.saved_at
    if now.wall < saved_at.wall - schedule.CLOCK_TOLERANCE_SECONDS:
        return math.nan
    # Two ways to tell; a clock that was set in between spoils one of them, so the older counts.
    by_wall = now.boot - (now.wall - saved.sent_wall_at)
    return min(by_wall, translation.past(saved.sent_boot_at))


def _trouble(saved: SavedTrouble) -> Trouble:
    codes = {code.value: code for code in Code}
    return Trouble(
        kind=saved.kind,
        # A code of a newer version still is a trouble; its detail says what it was.
        code=codes.get(saved.code, Code.UPSTREAM_UNAVAILABLE),
        detail=saved.detail,
        fix=saved.fix,
        since_at=saved.since_at,
        last_at=saved.last_at,
        times=saved.times,
        upstream_status=saved.upstream_status,
        sub_code=saved.sub_code,
        reason=saved.reason,
    )


def _bounded(value: float, least: float, most: float) -> float:
    return min(max(value, least), most) if math.isfinite(value) else most
