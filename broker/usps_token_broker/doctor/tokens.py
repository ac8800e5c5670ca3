"""The tokens, by the word of the running broker: how they stand, their scopes, the quota."""

from collections.abc import Iterator
from typing import Final

from usps_token_broker.catalogue import CATALOGUE
from usps_token_broker.config import AppSettings
from usps_token_broker.core.credentials import Standing
from usps_token_broker.core.notes import span
from usps_token_broker.core.values import BEARER, PAYMENTS_SCOPE, Endpoint
from usps_token_broker.doctor.findings import Finding, failed, passed, unseen, warned
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.wire.status import AppMessage, SlotMessage, TroubleMessage

_TOKEN: Final = "token"  # noqa: S105 - the name of a check
_SCOPES: Final = "scopes"
_QUOTA: Final = "quota"
_NOBODY: Final = "no broker answers this user"
_TOO_MANY: Final = 429
_REFUSED: Final = "credentials_refused"


def look(scene: Scene) -> Iterator[Finding]:
    """Each token that the broker shows this user."""
    if scene.status is None:
        yield unseen(_TOKEN, _NOBODY)
        return
    for app in scene.status.apps:
        told = any(slot.trouble and slot.trouble.code == _REFUSED for slot in app.slots)
        if app.credentials == Standing.REFUSED and not told:
            yield failed(_TOKEN, _REFUSED, f"app {app.app}: USPS refuses its secret")
        for slot in app.slots:
            yield judge_slot(app, slot)


def _lacks_bearer(app: AppMessage, slot: SlotMessage) -> bool:
    """Whether this user is shown the bearer that it takes, and that is not good."""
    return slot.slot != BEARER and any(s.slot == BEARER and not s.ready for s in app.slots)


def judge_slot(app: AppMessage, slot: SlotMessage) -> Finding:
    """One token: good, good with a trouble, or missing; for want of the bearer it says no more."""
    name = f"{app.app}/{slot.slot}"
    left = slot.expires_in
    held = "no token" if left is None else f"{slot.freshness}, {span(left)} left"
    if slot.trouble is not None:
        saw = f"{name}: {held}; {_told(slot.trouble)}"
        say = warned if slot.ready else failed
        return say(_TOKEN, reason(slot.trouble), saw, slot.trouble.fix)
    if slot.ready:
        return passed(_TOKEN, f"{name}: {held}")
    if slot.dormant:
        return passed(_TOKEN, f"{name}: {held}; nobody asked for it in a day")
    if _lacks_bearer(app, slot):
        return unseen(_TOKEN, f"{name}: {held}; it takes the bearer, which is not good")
    next_step = f"; next: {slot.next_attempt_why}" if slot.next_attempt_why else ""
    fix = "wait for it: `usps-token-broker status --follow` says when it comes"
    return failed(_TOKEN, "not_ready", f"{name}: {held}{next_step}", fix)


def reason(trouble: TroubleMessage) -> str:
    """The most exact row of the catalogue; a broker of another version may have others."""
    codes = (trouble.reason, trouble.code)
    return next((code for code in codes if code and code in CATALOGUE), "not_recognised")


def _told(trouble: TroubleMessage) -> str:
    times = "once" if trouble.times == 1 else f"{trouble.times} times"
    return f"{times}: {trouble.detail}"


def look_at_scopes(scene: Scene) -> Iterator[Finding]:
    """What USPS granted the bearer, against what the configuration needs."""
    if scene.status is None:
        yield unseen(_SCOPES, _NOBODY)
        return
    configured = {app.name: app for app in scene.settings.apps} if scene.settings else {}
    for app in scene.status.apps:
        bearer = next((slot for slot in app.slots if slot.slot == BEARER), None)
        if bearer is not None:
            yield judge_scopes(app, bearer, configured.get(app.app))


def judge_scopes(app: AppMessage, bearer: SlotMessage, settings: AppSettings | None) -> Finding:
    """Payment slots need the scope `payments`."""
    if bearer.scopes is None:
        return unseen(_SCOPES, f"app {app.app}: USPS did not say what it granted its token for")
    pays = any(slot.slot != BEARER for slot in app.slots) or bool(settings and settings.payments)
    granted = " ".join(sorted(bearer.scopes)) or "none"
    if pays and PAYMENTS_SCOPE not in bearer.scopes:
        saw = f"app {app.app} has payment roles, and its token lacks payments; it has: {granted}"
        return failed(_SCOPES, "payments_scope_missing", saw)
    return passed(_SCOPES, f"app {app.app}: {granted}")


def look_at_quota(scene: Scene) -> Iterator[Finding]:
    """The calls of the last hour."""
    if scene.status is None:
        yield unseen(_QUOTA, _NOBODY)
        return
    for app in scene.status.apps:
        yield from judge_quota(app)


def judge_quota(app: AppMessage) -> Iterator[Finding]:
    """Our own count against the limit; and a 429 of USPS that it does not explain."""
    limited = {
        Endpoint.TOKEN if slot.slot == BEARER else Endpoint.PAYMENT_AUTHORIZATION
        for slot in app.slots
        if slot.trouble and slot.trouble.upstream_status == _TOO_MANY
    }
    for budget in app.budget:
        used, limit = budget.used_last_hour, budget.calls_per_hour
        saw = f"app {app.app}, {budget.endpoint}: {used} of {limit} calls in the last hour"
        if budget.endpoint in limited and used < limit / 2:
            yield warned(_QUOTA, "another_client", f"{saw}, and USPS says they were too many")
        elif used >= limit:
            yield warned(_QUOTA, "budget_exhausted", saw)
        else:
            yield passed(_QUOTA, saw)
