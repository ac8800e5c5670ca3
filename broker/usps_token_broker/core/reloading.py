"""From one configuration to another while tokens live: who stays, who begins anew.

A slot stays as it is, flight and all, while USPS is asked the same for it: same name, host and
client id, and for a payment the same roles. Else it takes over what is on record of the same
question under another name, or begins anew.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from usps_token_broker.core import restoring, saving, schedule
from usps_token_broker.core.commands import Note
from usps_token_broker.core.lifecycle import Slot
from usps_token_broker.core.planning import Planner
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.values import Now, SlotId

_THIS_PROCESS: Final = "this process"
"""In place of a boot id, which some kernels do not tell."""


def make_slot(plan: SlotPlan, app: AppPlan) -> Slot:
    """A slot about which nothing is known."""
    return Slot(plan.id, app.policy, plan.basis, keep_active=plan.keep_active)


def replan(
    before: Planner, apps: Iterable[AppPlan], slots: Iterable[SlotPlan], now: Now
) -> tuple[Planner, list[Note]]:
    """The planner of another configuration, and what to say of tokens that moved."""
    plans = {app.name: app for app in apps}
    record = saving.save(before, _THIS_PROCESS, 0, now)
    translation = restoring.Translation(record, _THIS_PROCESS, now)
    highest = before.highest_attempt()
    out: list[Note] = []
    after: dict[SlotId, Slot] = {}
    for plan in slots:
        app = plans[plan.id.app]
        slot = _stays(before, plan, app)
        if slot is None:
            slot = _begin(before, plan, app, highest)
            saved = restoring.find(record, app, slot)
            if saved is not None:
                out += restoring.restore(slot, saved, translation)
        after[plan.id] = slot
    planner = Planner(plans, after, before.windows, before.paced_at, attempt_floor=highest)
    return planner, out


def _stays(before: Planner, plan: SlotPlan, app: AppPlan) -> Slot | None:
    """The slot that is asked the same as before, under the new rules for it."""
    slot = before.slots.get(plan.id)
    if slot is None or before.apps[app.name].account != app.account:
        return None
    if not slot.id.is_bearer and slot.basis != plan.basis:
        return None
    slot.policy = app.policy
    slot.keep_active = plan.keep_active
    if slot.token is not None:
        token = slot.token
        latest = schedule.renew_at(app.policy, token.end_at, token.life_seconds, 0.0)
        slot.token = replace(token, renew_at=min(token.renew_at, latest))
    return slot


def _begin(before: Planner, plan: SlotPlan, app: AppPlan, highest_attempt: int) -> Slot:
    slot = make_slot(plan, app)
    # A flight of the slot before may still be out; its number must not be given again.
    slot.attempt = highest_attempt
    namesake = before.slots.get(plan.id)
    if namesake is not None and before.apps[app.name].account == app.account:
        # Other roles are another question to USPS, but no other quota.
        slot.bucket = namesake.bucket
        slot.asked_at = namesake.asked_at
    return slot
