"""What a program asks USPS for, in the words of usps-v3."""

from typing import Any, Final

ROLES: Final = {
    "crid": "12345678",
    "master_mid": "900012345",
    "label_mid": "900012345",
    "epa_account": "1000000001",
}
ADDRESS: Final = {"street_address": "475 LENFANT PLZ SW", "city": "WASHINGTON", "state": "DC"}
_PLACE: Final = {
    "firstName": "A",
    "lastName": "B",
    "streetAddress": "475 LENFANT PLZ SW",
    "city": "WASHINGTON",
    "state": "DC",
    "ZIPCode": "20260",
}
LABEL: Final[dict[str, Any]] = {
    "from_address": _PLACE,
    "to_address": _PLACE,
    "mail_class": "USPS_GROUND_ADVANTAGE",
    "weight": 1.0,
}
