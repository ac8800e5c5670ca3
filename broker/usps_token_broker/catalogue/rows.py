"""What a row of the catalogue is, and the names that its texts share."""

import enum
from dataclasses import dataclass
from typing import Final

SUPPORT: Final = "service request at emailus.usps.com, topic USPS APIs"
PORTAL: Final = "the Cloud business portal at cop.usps.com"
WAIT: Final = "nothing to do: the broker asks again by itself"


class Who(enum.StrEnum):
    """Who can put it right."""

    WORKER = "whoever writes the worker"
    HOST = "whoever runs the broker"
    ACCOUNT = "whoever holds the USPS account"
    USPS = "USPS, when asked"
    NOBODY = "nobody: it passes"
    MAKERS = "the makers of the broker"


@dataclass(frozen=True, slots=True)
class Row:
    """One error: its stable name, what is seen of it, why, and what to do."""

    code: str
    """Lower case with underscores, or USPS's own number."""
    symptom: str
    """What a person sees before anybody explains it."""
    cause: str
    """Why, as a phrase that can follow a colon."""
    fix: str
    """What to do, as a phrase."""
    who: Who
    source: str
    """Where this is known from."""


OAUTH: Final = "USPS OAuth 3.1.4"
PAYMENTS: Final = "USPS Payments 3.1.20"
LABELS: Final = "USPS Labels 3.9.13"
LIST: Final = "USPS API Error Consolidated List, 2025-10-30"
GATEWAY: Final = "faults of Apigee, USPS's gateway, as they leak through"
OURS: Final = "the broker itself"


def issues(*numbers: int) -> str:
    """Issues of USPS's repository of examples as a source."""
    return "USPS/api-examples " + ", ".join(f"#{number}" for number in numbers)
