"""The refusals of the local interface, in words: what happened, why, and what to do."""

import math
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from usps_token_broker.app.access import Access
from usps_token_broker.config.problems import key_path
from usps_token_broker.core.commands import Denial
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import SlotId
from usps_token_broker.wire import problems as wire_problems
from usps_token_broker.wire.problems import problem_reply
from usps_token_broker.wire.replies import Reply

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


def denied(denial: Denial) -> Reply:
    """The core's denial as an answer."""
    return problem_reply(
        wire_problems.problem(
            denial.code,
            denial.detail,
            denial.fix,
            next_attempt_at=_rounded(denial.next_attempt_at),
            retry_after=_rounded(denial.retry_after_seconds),
            upstream_status=denial.upstream_status,
            upstream_code=denial.upstream_code,
            reason=denial.reason,
        )
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 3)


def problem(code: Code, detail: str, fix: str, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
    """A refusal of ours."""
    return problem_reply(wire_problems.problem(code, detail, fix), headers)


def wrong_method(method: str, path: str, allowed: str) -> Reply:
    """The path is served, but not by this method. `Allow` is owed (RFC 9110 15.5.6)."""
    return problem(
        Code.METHOD_NOT_ALLOWED,
        f"{method[:20]} is not for {path[:80]}",
        f"use {allowed}",
        {"Allow": allowed},
    )


@lru_cache(maxsize=64)  # a minute has sixty seconds: that is all there can be
def too_many_reports(per_minute: int, seconds: int) -> Reply:
    """A user says more often than it may what USPS answered it; made once for all who hear it."""
    return problem_reply(
        wire_problems.problem(
            Code.TOO_MANY_REQUESTS,
            f"this user reports more than {per_minute} answers of USPS a minute, the most that one "
            "uid may (limits.reports_per_minute_per_uid)",
            "report each refused token once, by its serial, and wait as long as Retry-After says; "
            "the administrator can raise the limit or, with 0, take it away",
            retry_after=float(seconds),
        )
    )


def scope_missing(slot: SlotId, scope: str, scopes: tuple[str, ...]) -> Reply:
    """The token lacks a scope the caller named."""
    return problem(
        Code.SCOPE_MISSING,
        f"the {slot.name} token lacks the scope `{scope[:60]}`; it has: "
        f"{', '.join(sorted(scopes)) or 'none'}",
        "ask USPS to grant the product to this application; a token fetched before that lacks it "
        "until it is renewed",
    )


def no_app(access: Access, name: str | None) -> Reply:
    """The peer named no app it may use."""
    mine = ", ".join(access.apps) or "none"
    if name is None:
        return problem(
            Code.UNKNOWN_APP,
            f"which app? You may use several ({mine}) and none is named `default`",
            "add app=NAME to the query",
        )
    return problem(
        Code.UNKNOWN_APP,
        f"no app `{name[:60]}` that you may use; you may use: {mine}",
        "name one of those, or ask the administrator for access",
    )


def moved(app: str) -> Reply:
    """A reload sent the app to another host while somebody waited for tokens of the one before."""
    return problem(
        Code.RESTARTING,
        f"app {app} was moved to another host while this report waited",
        "take headers anew, with the host they are for: GET /v1/headers",
    )


def no_slot(access: Access, app: str, name: str) -> Reply:
    """The peer named a slot that is not there (as far as it may know)."""
    mine = ", ".join(access.slot_names(app))
    return problem(
        Code.UNKNOWN_SLOT,
        f"no token `{name[:60]}` in app {app} that you may use; you may use: {mine}",
        "ask for one of those, or have the administrator add "
        f"[{key_path('apps', app, 'payments')}.NAME] to the configuration",
    )
