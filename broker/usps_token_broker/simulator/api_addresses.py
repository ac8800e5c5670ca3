"""GET /addresses/v3/address (USPS Addresses 3.2.3): any address that is complete is found."""

from urllib.parse import parse_qsl

from usps_token_broker.simulator.desk import Desk, admit
from usps_token_broker.simulator.messages import Answer
from usps_token_broker.simulator.names import Api
from usps_token_broker.simulator.shapes import VERSIONS, ErrorItem, api_error, as_json

_NOTHING_GIVEN = (
    "streetAddressAbbreviation",
    "cityAbbreviation",
    "postalCode",
    "province",
    "urbanization",
    "country",
    "countryISOCode",
)


def standardize(desk: Desk) -> Answer:
    """The address in capitals, or a refusal."""
    bearer = admit(desk, "addresses")
    if isinstance(bearer, Answer):
        return bearer
    given = dict(parse_qsl(desk.request.query, errors="replace"))
    if not given.get("streetAddress"):
        return _bad("Street address is required.")
    if len(given.get("state", "")) != 2:  # noqa: PLR2004 - a state has two letters
        return _bad("Invalid State Code.")
    if not (given.get("city") or given.get("ZIPCode")):
        return _bad("A city or a ZIP Code is required.")
    return as_json(200, _found(given), "found")


def _bad(detail: str) -> Answer:
    item = ErrorItem(title="Bad request", detail=detail, source="API")
    return api_error(VERSIONS[Api.ADDRESSES] + "/", 400, detail, (item,), "bad_address")


def _found(given: dict[str, str]) -> dict[str, object]:
    address: dict[str, str | None] = dict.fromkeys(_NOTHING_GIVEN)
    address |= {
        "streetAddress": given["streetAddress"].upper(),
        "secondaryAddress": given.get("secondaryAddress", "").upper() or None,
        "city": given.get("city", "SAINT LOUIS").upper(),
        "state": given["state"].upper(),
        "ZIPCode": given.get("ZIPCode", "63118"),
        "ZIPPlus4": given.get("ZIPPlus4", "2628"),
    }
    return {
        "firm": given.get("firm"),
        "address": address,
        "additionalInfo": {
            "deliveryPoint": "20",
            "carrierRoute": "C036",
            "DPVConfirmation": "Y",
            "DPVCMRA": "N",
            "business": "Y",
            "centralDeliveryPoint": "N",
            "vacant": "N",
        },
        "corrections": [{"code": "", "text": ""}],
        "matches": [{"code": "31", "text": "Single Response - exact match"}],
    }
