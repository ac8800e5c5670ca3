"""Roles as a shop configures them."""

from typing import Final

PAYER: Final = {
    "roleName": "PAYER",
    "CRID": "12345678",
    "MID": "900012345",
    "accountType": "EPS",
    "accountNumber": "1000000001",
}
OWNER: Final = {"roleName": "LABEL_OWNER", "CRID": "12345678", "MID": "900012345"}
