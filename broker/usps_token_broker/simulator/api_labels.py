"""POST /labels/v3/label and DELETE /labels/v3/label/{trackingNumber} (USPS Labels 3.9.13)."""

import base64
from collections import OrderedDict
from typing import Final

import msgspec

from usps_token_broker.simulator.api_payment import admit_payment
from usps_token_broker.simulator.desk import Desk, admit
from usps_token_broker.simulator.messages import Answer
from usps_token_broker.simulator.names import Api
from usps_token_broker.simulator.shapes import as_json, bad_request, problem

LABELS_PATH: Final = "/labels/v3/label"
REMEMBERED: Final = 10_000
"""Labels that can still be canceled."""

_VENDOR_JSON: Final = "application/vnd.usps.labels+json"
_BOUNDARY: Final = "Ah2SYTymfbGnSStJLSpLScnK"
_REQUIRED: Final = ("fromAddress", "toAddress", "packageDescription")
_IMAGE: Final = base64.b64encode(b"%PDF-1.4\n% a label of the USPS simulator\n%%EOF\n").decode()

_REFUSALS: Final = {
    "160302": "Must be enrolled in USPS Ship Outbound in order to create labels",
    "160303": "Must be enrolled in USPS Ship Returns in order to create labels with return labels",
    "160369": "PAYER role required",
    "160259": (
        "PC Postage Provider is not configured. Please work with your USPS support contact."
    ),
}
"""USPS's list of errors, sheet Domestic Labels Outbound (2025-10-30)."""


class Labels:
    """The labels that were made and not yet canceled, the oldest forgotten first."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, None] = OrderedDict()
        self._count = 0

    def make(self) -> str:
        """The tracking number of a new label."""
        self._count += 1
        number = f"9205590{self._count:014d}"
        number += _check_digit(number)
        self._made[number] = None
        if len(self._made) > REMEMBERED:
            self._made.popitem(last=False)
        return number

    def cancel(self, number: str) -> bool:
        """Forget a label; False when there is none of this number."""
        if number not in self._made:
            return False
        del self._made[number]
        return True


def create_label(desk: Desk, labels: Labels) -> Answer:
    """A label for any parcel whose description is complete, or a refusal."""
    refusal = _refusal(desk)
    if refusal is not None:
        return refusal
    try:
        body = desk.request.json()
    except ValueError:
        return bad_request(Api.LABELS, problem("The request body is not valid JSON.", "body"))
    if not isinstance(body, dict):
        return bad_request(Api.LABELS, problem("The request body is no object.", "body"))
    missing = [problem(f"{key} is required", key) for key in _REQUIRED if key not in body]
    if missing:
        return bad_request(Api.LABELS, *missing)
    metadata = _metadata(labels.make(), body["toAddress"])
    if _VENDOR_JSON in desk.request.headers.get("accept", ""):
        return as_json(200, {"labelMetadata": metadata, "labelImage": _IMAGE}, "label_made")
    return _multipart(metadata)


def cancel_label(desk: Desk, labels: Labels) -> Answer:
    """Cancel a label that this simulator made."""
    refusal = _refusal(desk)
    if refusal is not None:
        return refusal
    number = desk.request.path.rpartition("/")[2]
    if not labels.cancel(number):
        return bad_request(Api.LABELS, problem("Order not found", "trackingNumber", "00000XX"))
    return as_json(200, {"trackingNumber": number, "status": "CANCELED"}, "label_canceled")


def refuse_label(code: str) -> Answer:
    """A 400 of USPS's list of errors that blames a token, though no new one would mend it."""
    blamed = "OAuthToken" if code == "160259" else "Header: X-Payment-Authorization-Token"
    return bad_request(Api.LABELS, problem(_REFUSALS[code], blamed, code))


def _refusal(desk: Desk) -> Answer | None:
    """What is wrong with the two tokens of a call; None when both are good."""
    bearer = admit(desk, "labels")
    if isinstance(bearer, Answer):
        return bearer
    payment = admit_payment(desk, bearer)
    return payment if isinstance(payment, Answer) else None


def _metadata(number: str, address: object) -> dict[str, object]:
    return {
        "labelAddress": address,
        "routingInformation": "420631182628",
        "trackingNumber": number,
        "postage": 7.99,
        "extraServices": [{"name": "USPS Tracking", "price": 0.0, "SKU": "DXTU0EXXXCX0000"}],
        "zone": "01",
        "commitment": {"name": "2 Days", "scheduleDeliveryDate": "2025-05-29"},
        "weightUOM": "LB",
        "weight": 0.5,
        "dimensionalWeight": 0.0,
        "fees": [],
        "bannerText": "USPS TRACKING # USPS Ship",
        "retailDistributionCode": "03",
        "serviceTypeCode": "055",
        "constructCode": "C01",
        "SKU": "DPXX0XXXXC01005",
        "links": [
            {
                "rel": ["Tracking URL"],
                "href": f"https://tools.usps.com/go/TrackConfirmAction_input?origTrackNum={number}",
                "method": "GET",
            }
        ],
    }


def _multipart(metadata: dict[str, object]) -> Answer:
    """The answer that USPS gives unless its own JSON type is asked for."""
    lines = (
        f"--{_BOUNDARY}",
        "Content-Type: application/json",
        'Content-Disposition: form-data; name="labelMetadata"',
        "",
        msgspec.json.encode(metadata).decode(),
        f"--{_BOUNDARY}",
        "Content-Type: application/pdf",
        'Content-Disposition: form-data; filename="labelImage.pdf"; name="labelImage"',
        "",
        _IMAGE,
        f"--{_BOUNDARY}--",
        "",
    )
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    return Answer(200, "\r\n".join(lines).encode(), code="label_made", content_type=kind)


def _check_digit(number: str) -> str:
    """The last digit of a tracking number: modulo 10, every other digit from the right thrice."""
    odd = sum(int(digit) for digit in number[-1::-2])
    even = sum(int(digit) for digit in number[-2::-2])
    return str(-(odd * 3 + even) % 10)
