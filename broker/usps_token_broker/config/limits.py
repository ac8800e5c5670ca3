"""`[limits]`: what one user may take of the broker, by file or by environment."""

import re
from dataclasses import dataclass
from typing import Final

from usps_token_broker.config.kinds import Unfit, Whole
from usps_token_broker.config.tables import Table

_CONNECTIONS: Final = Whole(2, 16_384, "1024")
_WAITING: Final = Whole(1, 16_384, "512")
_STREAMS: Final = Whole(1, 1024, "16", "each is written to whenever there is news")
_REQUESTS: Final = Whole(0, 1_000_000_000, "600000", "0 is no limit")
_REPORTS: Final = Whole(0, 1_000_000_000, "60000", "0 is no limit")
_KINDS: Final = {
    "connections_per_uid": _CONNECTIONS,
    "waiting_per_uid": _WAITING,
    "streams_per_uid": _STREAMS,
    "requests_per_minute_per_uid": _REQUESTS,
    "reports_per_minute_per_uid": _REPORTS,
}
_PREFIX: Final = "USPS_LIMIT_"
VARIABLES: Final = tuple(f"{_PREFIX}{key.upper()}" for key in _KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLimits:
    """Bounds on each user. Beyond them a caller is answered `too_many_requests`."""

    connections_per_uid: int = 1024
    """Never more than half of what the process may open."""
    waiting_per_uid: int = 512
    """Requests whose answer is not there yet, or goes on."""
    streams_per_uid: int = 16
    requests_per_minute_per_uid: int = 600_000
    """On the workers' socket, from whomever, root and the broker's own user too: a loop that runs
    wild is the same under every uid, and orders go to the administrator's socket, which has no
    such limit. The shim asks once a minute and process, so it takes 600,000 workers to meet it; a
    curl for every label, hundreds a second on a large host, is far from it as well. A broker can
    answer about 50,000 a second, so four fifths are left for others. 0 is none."""
    reports_per_minute_per_uid: int = 60_000
    """`POST /v1/answers`, each of which is a request too. When a token dies everything under way
    reports it, at once: a thousand workers with twenty calls each come to 20,000. A report costs
    what ten reads cost. 0 is none."""


def read_limits(table: Table) -> UserLimits:
    """The table `limits`, of which every key may be left out."""
    standard = UserLimits()
    limits = UserLimits(
        **{key: table.take(key, kind, getattr(standard, key)) for key, kind in _KINDS.items()}
    )
    table.finish()
    return limits


def read_variables(table: Table) -> UserLimits:
    """The same from the environment, a variable for each key."""
    standard = UserLimits()
    return UserLimits(
        **{
            key: table.take(variable, _Digits(kind), getattr(standard, key))
            for variable, (key, kind) in zip(VARIABLES, _KINDS.items(), strict=True)
        }
    )


@dataclass(frozen=True, slots=True)
class _Digits:
    """A whole number as the environment can hold it: in digits."""

    kind: Whole

    @property
    def example(self) -> str:
        """A number that fits."""
        return self.kind.example

    def read(self, value: object) -> int | Unfit:
        """As a number."""
        digits = re.fullmatch(r"[0-9]{1,10}", str(value))
        return self.kind.read(int(digits[0]) if digits else value)
