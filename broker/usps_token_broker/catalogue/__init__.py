"""Every error by its name: symptom, cause, fix, who can fix it, and where that is known from.

The one source for problem bodies, troubles in the status, verdicts on answers of USPS, `doctor`,
`explain` and the table in the README.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from usps_token_broker.catalogue import (
    of_accounts,
    of_broker,
    of_calls,
    of_clients,
    of_hosts,
    of_tokens,
)
from usps_token_broker.catalogue.rows import PORTAL, SUPPORT, WAIT, Row, Who

GROUPS: Final[Mapping[str, tuple[Row, ...]]] = MappingProxyType(
    {
        "What USPS answers a worker": of_calls.ROWS,
        "Credentials": of_tokens.CREDENTIALS,
        "Payment authorization": (*of_tokens.PAYMENT, of_accounts.ENROLMENT),
        "USPS's own codes of roles, accounts and enrolment": of_accounts.ROWS,
        "The way to USPS": of_tokens.WAY,
        "What the broker refuses": of_broker.ROWS,
        "What keeps a client from the broker": of_clients.ROWS,
        "The host": of_hosts.ROWS,
    }
)
"""For people, in the order in which they are likely to need them."""

CATALOGUE: Final[Mapping[str, Row]] = MappingProxyType(
    {row.code: row for rows in GROUPS.values() for row in rows}
)
"""Every row by its code."""


def row(code: str) -> Row:
    """The row of this code. Raises KeyError: codes of rows stand in this program alone."""
    return CATALOGUE[code]


__all__ = ["CATALOGUE", "GROUPS", "PORTAL", "SUPPORT", "WAIT", "Row", "Who", "row"]
