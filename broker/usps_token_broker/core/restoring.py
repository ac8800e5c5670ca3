"""From the record of an earlier process back to living slots.

In the same boot, boot instants mean what they meant. In another boot, the wall clock tells how
much time went by; every deadline is cut to its own span, so that a wrong clock delays nothing for
longer than the rule it came from.
"""

import math
from collections import deque

from usps_token_broker.core import notes, schedule
from usps_token_broker.core.budget import BUCKET_SIZE, HOUR_SECONDS, BudgetKey, HourWindow
from usps_token_broker.core.commands import Note
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.planning import AppPlan
from usps_token_broker.core.state import SavedSlot, SavedState, SavedToken, SavedTrouble
from usps_token_broker.core.trouble import Trouble
from usps_token_broker.core.values import NOMINAL_LIFE_SECONDS, Now, Phase, Token


def find(state: SavedState, app: AppPlan, slot: Slot) -> SavedSlot | None:
    """The record of this slot: same host, client id, name and, for a payment, roles."""
    roles = "" if slot.id.is_bearer else slot.basis
    for saved in state.slots:
        same_app = (saved.host, saved.client_id) == (app.host, app.client_id)
        if same_app and saved.name == slot.id.name and saved.roles == roles:
            return saved
    return None


class Translation:
    """Instants of an earlier boot, told in this one's."""

    def __init__(self, state: SavedState, boot_id: str, now: Now) -> None:
        self._now = now
        self.same_boot = state.boot_id == boot_id and state.saved_at.boot <= now.boot
        self._shift = 0.0
        if not self.same_boot:
            away = max(0.0, now.wall - state.saved_at.wall)
            self._shift = now.boot - state.saved_at.boot - away

    def past(self, instant: float) -> float:
        """An instant that cannot lie ahead."""
        return min(self._now.boot, instant + self._shift)

    def ahead(self, instant: float, span_seconds: float) -> float:
        """A deadline, cut to the longest its rule could have set."""
        return min(instant + self._shift, self._now.boot + span_seconds)


def windows(state: SavedState, boot_id: str, now: Now) -> dict[BudgetKey, HourWindow]:
    """The calls of the last hour, per budget."""
    translation = Translation(state, boot_id, now)
    result: dict[BudgetKey, HourWindow] = {}
    for window in state.windows:
        sent = sorted(translation.past(at) for at in window.sent_at)
        recent = deque(at for at in sent if at > now.boot - HOUR_SECONDS)
        key = BudgetKey(window.host, window.client_id, window.endpoint)
        result[key] = HourWindow(limit=len(recent) + 1, sent_at=recent)
    return result


def restore(slot: Slot, saved: SavedSlot, state: SavedState, boot_id: str, now: Now) -> list[Note]:
    """Fill a slot from its record; say what became of the token."""
    translation = Translation(state, boot_id, now)
    slot.life_seconds = _bounded(saved.life_seconds, 1.0, NOMINAL_LIFE_SECONDS)
    slot.bucket.level = _bounded(saved.bucket_level, 0.0, BUCKET_SIZE)
    slot.bucket.filled_at = translation.past(saved.bucket_filled_at)
    slot.proven = saved.proven
    slot.bearer_serial = saved.bearer_serial
    slot.failures = max(0, saved.failures)
    slot.trouble = _trouble(saved.trouble) if saved.trouble else None
    slot.floor_at = translation.ahead(saved.floor_at, schedule.RETRY_AFTER_CEILING_SECONDS)
    slot.guard.seconds = _bounded(saved.guard_seconds, 0.0, schedule.GUARD_CEILING_SECONDS)
    slot.guard.until_at = translation.ahead(saved.guard_until_at, slot.guard.seconds)
    _restore_phase(slot, saved, translation)
    return _restore_token(slot, saved, translation, now)


def _restore_phase(slot: Slot, saved: SavedSlot, translation: Translation) -> None:
    if saved.phase is Phase.WAITING and slot.trouble is not None:
        slot.phase = Phase.WAITING
        slot.retry_at = translation.ahead(saved.retry_at, schedule.BACKOFF_CEILING_SECONDS)
    elif saved.phase is Phase.HALTED and slot.trouble is not None:
        slot.phase = Phase.HALTED
        slot.probes = max(0, saved.probes)
        slot.refused = saved.refused
        slot.probe_at = math.inf
        if saved.probe_at > 0:
            slot.probe_at = translation.ahead(saved.probe_at, schedule.PROBE_CEILING_SECONDS)
        if saved.refused is not None and saved.refused != slot.basis:
            slot.plan_anew()


def _restore_token(slot: Slot, saved: SavedSlot, translation: Translation, now: Now) -> list[Note]:
    if saved.token is None:
        return []
    token = _token(saved.token, translation, now)
    if token is None:
        return [notes.not_restored(slot, "its age cannot be told from the clock")]
    latest = schedule.renew_at(slot.policy, token.end_at, token.life_seconds, 0.0)
    slot.token = Token(
        value=token.value,
        serial=token.serial,
        token_type=token.token_type,
        sent_at=token.sent_at,
        life_seconds=token.life_seconds,
        renew_at=min(token.renew_at, latest),
        scopes=token.scopes,
        by_wall=token.by_wall,
    )
    slot.reported, slot.suspect = saved.reported, saved.suspect
    if not slot.servable(now):
        slot.token = None
        return [notes.not_restored(slot, "it is past its life")]
    out = [notes.restored(slot, now)]
    if slot.proof_pending():
        out.append(notes.secret_changed(slot))
    return out


def _token(saved: SavedToken, translation: Translation, now: Now) -> Token | None:
    life = _bounded(saved.life_seconds, 0.0, NOMINAL_LIFE_SECONDS)
    if translation.same_boot:
        sent_boot = saved.sent_boot_at
        by_wall = saved.by_wall
    else:
        elapsed = now.wall - saved.sent_wall_at
        if elapsed < -schedule.CLOCK_TOLERANCE_SECONDS:
            return None
        sent_boot = now.boot - max(0.0, elapsed)
        by_wall = True
    if sent_boot > now.boot or not math.isfinite(sent_boot):
        return None
    return Token(
        value=saved.value,
        serial=saved.serial,
        token_type=saved.token_type,
        sent_at=Now(sent_boot, saved.sent_wall_at),
        life_seconds=life,
        renew_at=sent_boot + (saved.renew_at - saved.sent_boot_at),
        scopes=saved.scopes,
        by_wall=by_wall,
    )


def _trouble(saved: SavedTrouble) -> Trouble | None:
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
    )


def _bounded(value: float, least: float, most: float) -> float:
    return min(max(value, least), most) if math.isfinite(value) else most
