"""What the simulator is made of, by name: its endpoints, its defaults, and requests that succeed.

Imports nothing heavy, so that a command line can show it without starting anything.
"""

import enum
from types import MappingProxyType
from typing import Final


class Api(enum.StrEnum):
    """The endpoints of USPS that are simulated; each has its own quota, faults and counters."""

    TOKEN = "token"  # noqa: S105 - the name of an endpoint
    PAYMENT = "payment-authorization"
    ADDRESSES = "addresses"
    LABELS = "labels"


EVERYWHERE: Final = "all"
"""The word for every endpoint that something can apply to."""

CONTROL_PATH: Final = "/sim/"

DEFAULT_CLIENT_ID: Final = "demo-client-id"
DEFAULT_CLIENT_SECRET: Final = "demo-client-secret"  # noqa: S105 - made up, and printed for all

NOMINAL_LIFE_SECONDS: Final = 28_800
"""Eight hours, the life of both tokens (USPS OAuth 3.1.4 and Payments 3.1.20)."""

DEFAULT_SCOPES: Final = (
    "addresses",
    "international-prices",
    "subscriptions",
    "payments",
    "pickup",
    "tracking",
    "labels",
    "scan-forms",
    "companies",
    "service-delivery-standards",
    "locations",
    "international-labels",
    "prices",
)
"""What the example answer of USPS's OAuth 3.1.4 grants."""

DEFAULT_QUOTAS: Final[MappingProxyType[Api, int | None]] = MappingProxyType(
    {Api.TOKEN: 60, Api.PAYMENT: 60, Api.ADDRESSES: None, Api.LABELS: None}
)
"""Calls an hour and app; None is no limit.

60 is what USPS gives each API of its default product. Payments has a figure of its own that is
not public. Addresses and labels are left open, so that workers in a demo do not run dry.
"""

PRODUCTION_ISSUER: Final = "https://keyc.usps.com/realms/USPS"

EXAMPLE_ROLES: Final = (
    {
        "roleName": "PAYER",
        "CRID": "12345678",
        "MID": "900012345",
        "manifestMID": "900012345",
        "accountType": "EPS",
        "accountNumber": "1000000001",
    },
    {
        "roleName": "LABEL_OWNER",
        "CRID": "12345678",
        "MID": "900012345",
        "manifestMID": "900012345",
    },
)
"""The least that payment-authorization grants a token for."""

EXAMPLE_LABEL: Final = MappingProxyType(
    {
        "toAddress": {
            "streetAddress": "1100 WYOMING ST",
            "city": "SAINT LOUIS",
            "state": "MO",
            "ZIPCode": "63118",
        },
        "fromAddress": {
            "streetAddress": "4120 BINGHAM AVE",
            "city": "SAINT LOUIS",
            "state": "MO",
            "ZIPCode": "63116",
        },
        "packageDescription": {"mailClass": "USPS_GROUND_ADVANTAGE", "weight": 0.5},
    }
)
"""The least that the labels endpoint takes."""
