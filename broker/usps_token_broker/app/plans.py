"""The configuration as the core and the fetcher want it."""

from usps_token_broker.config import AppSettings, Settings
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import SlotId


def app_plan(app: AppSettings) -> AppPlan:
    """What the core must know of an app."""
    policy = LifePolicy(app.buffer_seconds, app.lead_seconds)
    return AppPlan(app.name, app.host, app.client_id, policy, app.calls_per_hour)


def slots_kept_active(settings: Settings) -> frozenset[SlotId]:
    """The slots that are renewed only while somebody asks for them."""
    return frozenset(plan.id for plan in slot_plans(settings) if plan.keep_active)


def slot_plans(settings: Settings) -> list[SlotPlan]:
    """All slots of all apps."""
    return [
        SlotPlan(
            SlotId(app.name, slot.name), slot.roles_fingerprint, slot.required, slot.keep_active
        )
        for app in settings.apps
        for slot in (app.bearer, *app.payments)
    ]
