"""`[limits]`: what one user may take of the broker."""

from dataclasses import dataclass
from typing import Final

from usps_token_broker.config.kinds import Whole
from usps_token_broker.config.tables import Table

_CONNECTIONS: Final = Whole(2, 16_384, "1024")
_WAITING: Final = Whole(1, 16_384, "512")
_STREAMS: Final = Whole(1, 1024, "16", "each is written to whenever there is news")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLimits:
    """Bounds on each user. Beyond them a caller is answered `too_many_requests`."""

    connections_per_uid: int = 1024
    """Never more than half of what the process may open."""
    waiting_per_uid: int = 512
    """Requests whose answer is not there yet, or goes on."""
    streams_per_uid: int = 16


def read_limits(table: Table) -> UserLimits:
    """The table `limits`, of which every key may be left out."""
    standard = UserLimits()
    limits = UserLimits(
        connections_per_uid=table.take(
            "connections_per_uid", _CONNECTIONS, standard.connections_per_uid
        ),
        waiting_per_uid=table.take("waiting_per_uid", _WAITING, standard.waiting_per_uid),
        streams_per_uid=table.take("streams_per_uid", _STREAMS, standard.streams_per_uid),
    )
    table.finish()
    return limits
