"""What a USPS on virtual time can do wrong: each fault by a name, and what it answers.

What depends on headers or on a body is answered in bytes and read by the broker's own `wire`; what
these bytes truly mean stands beside them, worked out by hand.
"""

import json
from dataclasses import dataclass
from typing import NamedTuple

from usps_tokens import jwt, oauth_error, payment_answer, token_answer
from virtual import INVALID_CLIENT, PAYMENT_SLOT

from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.plans import AppPlan, SlotPlan
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import AccountId, Endpoint, SlotId
from usps_token_broker.wire.grants import read_payment_answer, read_token_answer

CALLS_PER_HOUR = 20
LONGEST_RETRY_AFTER_SECONDS = 3600.0
TEN_MINUTES = 600.0


def failure(
    kind: FailureKind, code: Code, status: int | None = None, retry_after: float | None = None
) -> Failure:
    """A failure as the driver would give it."""
    return Failure(
        kind, code, "USPS did it", "wait for USPS", status, retry_after_seconds=retry_after
    )


UNAVAILABLE, LIMITED = Code.UPSTREAM_UNAVAILABLE, Code.UPSTREAM_RATE_LIMITED
PASSING = {
    "down": failure(FailureKind.TRANSIENT, UNAVAILABLE, 503),
    "unreached": failure(FailureKind.UNREACHED, UNAVAILABLE),
    "come back soon": failure(FailureKind.TRANSIENT, UNAVAILABLE, 503, 30.0),
    "limited": failure(FailureKind.RATE_LIMITED, LIMITED, 429, 45.0),
    "limited for long": failure(FailureKind.RATE_LIMITED, LIMITED, 429, 1800.0),
    "limited for a day": failure(FailureKind.RATE_LIMITED, LIMITED, 429, 86_400.0),
}
BY_A_PERSON = {
    "credentials refused": INVALID_CLIENT,
    "payment refused": failure(FailureKind.REFUSED, Code.PAYMENT_REFUSED, 400),
    "scope missing": failure(FailureKind.SCOPE_MISSING, Code.SCOPE_MISSING, 401),
    "bearer refused": failure(FailureKind.BEARER_REFUSED, Code.PAYMENT_REFUSED, 401),
}
"""They end when a person has done something; `no scope` does, too."""


class Limit(NamedTuple):
    """A 429: its headers, and for how long it truly asks to be left alone."""

    headers: dict[str, str]
    seconds: float


_DATE = {"Date": "Thu, 26 Nov 2026 10:00:00 GMT"}
LIMITS = {
    "limited without a word": Limit(_DATE, 0.0),
    "limited until a date": Limit(
        {"Retry-After": "Thu, 26 Nov 2026 10:20:00 GMT", **_DATE}, 1200.0
    ),
    "limited until a date that is past": Limit(
        {"Retry-After": "Thu, 26 Nov 2026 09:00:00 GMT", **_DATE}, 0.0
    ),
    "limited until a date in another zone": Limit(
        {"Retry-After": "Thu, 26 Nov 2026 12:10:00 +0200", **_DATE}, 600.0
    ),
    "limited until the year 9999": Limit(
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", **_DATE}, LONGEST_RETRY_AFTER_SECONDS
    ),
    "limited until a date by nobody's clock": Limit(
        {"Retry-After": "Thu, 26 Nov 2026 10:20:00 GMT"}, 0.0
    ),
    "limited in nonsense": Limit({"Retry-After": "soon", **_DATE}, 0.0),
    "limited for less than nothing": Limit({"Retry-After": "-30", **_DATE}, 0.0),
    "limited for nothing": Limit({"Retry-After": "0", **_DATE}, 0.0),
    "limited for ever": Limit({"Retry-After": "9" * 40, **_DATE}, LONGEST_RETRY_AFTER_SECONDS),
}
LIVES = {
    "life of a second": 1.0,
    "life of seconds": 20.0,
    "life of minutes": 240.0,
    "life of ten minutes": 600.0,
    "life of nothing": 0.0,
    "life past its end": -600.0,
}
"""What USPS says in its answer. Those that are no life at all come as an answer that `wire` reads,
and with `unread` before them as the grant that it would never let through."""
UNREAD = tuple(f"unread {name}" for name, life in LIVES.items() if life <= 0)
CLOCKS = {
    "clock ahead": (TEN_MINUTES, 0.0),
    "clock behind": (-TEN_MINUTES, 0.0),
    "clock ahead, ends early": (TEN_MINUTES, -TEN_MINUTES),
    "clock behind, ends late": (-TEN_MINUTES, TEN_MINUTES),
    "ends early": (0.0, -TEN_MINUTES),
    "ends late": (0.0, TEN_MINUTES),
}
"""How wrong USPS's clock is, and how much later than told its tokens end."""
ODD_GRANTS = ("same token", "no scope", "slow")
CLOCK_LIFE_SECONDS = 25_200.0
"""What the answers of such a clock say: less than the eight hours that all lives are cut to."""
STILLBORN = "dead at once"
"""Whatever is granted is refused at its first use."""
FAULTS = (*PASSING, *BY_A_PERSON, *ODD_GRANTS, *LIMITS, *LIVES, *UNREAD, *CLOCKS)


@dataclass(frozen=True)
class Configured:
    """What a person has written: one app and its payment slots."""

    host: str = "apis.usps.com"
    client_id: str = "client"
    roles: tuple[tuple[SlotId, str], ...] = ((PAYMENT_SLOT, "roles"),)
    buffer_seconds: float = 1800.0
    lead_seconds: float = 3600.0
    calls_per_hour: int = CALLS_PER_HOUR
    bearer = SlotId("default", "bearer")

    @property
    def account(self) -> AccountId:
        """Whose quota it takes."""
        return AccountId(self.host, self.client_id)

    @property
    def slots(self) -> tuple[SlotId, ...]:
        """All of them, the bearer first."""
        return (self.bearer, *(slot for slot, _ in self.roles))

    @property
    def plans(self) -> tuple[list[AppPlan], list[SlotPlan]]:
        """As the core wants it."""
        policy = LifePolicy(self.buffer_seconds, self.lead_seconds)
        app = AppPlan("default", self.host, self.client_id, policy, self.calls_per_hour)
        payments = [SlotPlan(slot, roles) for slot, roles in self.roles]
        return [app], [SlotPlan(self.bearer, required=True), *payments]

    def question(self, slot: SlotId) -> tuple[AccountId, str, str | None] | None:
        """What USPS is asked for this slot; None when there is no such slot."""
        if slot not in self.slots:
            return None
        return self.account, slot.name, dict(self.roles).get(slot)


def limited(fetch: Fetch, limit: Limit) -> Grant | Failure:
    """A 429 with these headers, as the broker reads it."""
    read = read_token_answer if fetch.endpoint is Endpoint.TOKEN else read_payment_answer
    return read(429, limit.headers, oauth_error("invalid_request", "SpikeArrestViolation: x"))


def granted(fetch: Fetch, number: int, at: float, life_seconds: float) -> Grant | Failure:
    """A 200 by a clock that says `at`, as the broker reads it. The token itself tells its life."""
    token = jwt(jti=number, iat=int(at), exp=int(at) + int(life_seconds))
    if fetch.endpoint is Endpoint.PAYMENT_AUTHORIZATION:
        body = payment_answer(paymentAuthorizationToken=token)
        return read_payment_answer(200, {}, json.dumps(body).encode())
    said = int(life_seconds) + (60 if life_seconds > 0 else -1)
    body = token_answer(access_token=token, issued_at=int(at * 1000), expires_in=said)
    return read_token_answer(200, {}, json.dumps(body).encode())
