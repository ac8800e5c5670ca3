"""Whether `calls_per_hour` and `lead_seconds` are enough for an app's tokens, and what to write."""

from collections.abc import Iterator
from typing import Final

from usps_token_broker.config.settings import AppSettings
from usps_token_broker.core.demand import Demand, Fit, carried, demand
from usps_token_broker.core.schedule import BACKOFF_CEILING_SECONDS, LifePolicy
from usps_token_broker.core.values import Endpoint

USPS_GRANTS: Final = 60
"""Calls an hour of each API that an app has by default (developers.usps.com, Getting Started)."""
MOST_CALLS: Final = 3600
"""The most that `calls_per_hour` takes."""
_STEP: Final = 10
"""Limits are advised in round numbers."""


def demands(app: AppSettings) -> Iterator[tuple[Endpoint, Demand]]:
    """What each endpoint must give this app; none for one that it has no slot at."""
    policy = LifePolicy(app.buffer_seconds, app.lead_seconds)
    yield Endpoint.TOKEN, demand(1, 0, app.calls_per_hour, policy)
    active = sum(slot.keep_active for slot in app.payments)
    always = len(app.payments) - active
    if app.payments:
        payments = demand(always, active, app.calls_per_hour, policy)
        yield Endpoint.PAYMENT_AUTHORIZATION, payments


def remarks(app: AppSettings) -> Iterator[str]:
    """A warning for each that is too small, with the line to write."""
    if app.lead_seconds < BACKOFF_CEILING_SECONDS:
        yield (
            f"app {app.name}: lead_seconds = {app.lead_seconds:g} leaves no time for a second "
            "attempt: when one call to USPS fails, workers get tokens that are in their last part "
            "(`buffer_seconds`); write lead_seconds = 3600, as without this line, or at least "
            f"{BACKOFF_CEILING_SECONDS:g}, the longest pause between two attempts"
        )
    for endpoint, wanted in demands(app):
        if wanted.fit is not Fit.ENOUGH:
            yield f"app {app.name}: {_what(endpoint, wanted)}; {_fix(wanted)}"


def _what(endpoint: Endpoint, wanted: Demand) -> str:
    begin = (
        f"calls_per_hour = {wanted.calls_per_hour} is too small for {wanted.always} tokens of "
        f"{endpoint}: their renewals take {wanted.average_per_hour:.0f} calls an hour"
    )
    if wanted.fit is Fit.TIGHT:
        return f"{begin}, which leaves too few for retries when USPS fails"
    return f"{begin}, so they fall behind, and tokens may end before their turn comes"


def _fix(wanted: Demand) -> str:
    needed = -(-wanted.needed_per_hour // _STEP) * _STEP
    if needed <= USPS_GRANTS:
        return f"write calls_per_hour = {needed}, or {_keep(wanted, wanted.calls_per_hour)}"
    granted = max(USPS_GRANTS, wanted.calls_per_hour)
    first = "" if granted == wanted.calls_per_hour else f"write calls_per_hour = {granted} and "
    keep = f"{first}{_keep(wanted, granted)}"
    if needed > MOST_CALLS:
        return f"{keep}, or spread them over several apps of USPS"
    return (
        f"{keep}; or ask USPS for a quota of at least {needed} calls an hour (it grants "
        f"{USPS_GRANTS} by default), and then write calls_per_hour = {needed}"
    )


def _keep(wanted: Demand, calls_per_hour: int) -> str:
    spare = wanted.always - carried(calls_per_hour, wanted.period_seconds)
    return f'keep = "active" into {spare} or more of those tokens\' tables that are seldom used'
