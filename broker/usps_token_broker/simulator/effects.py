"""What the faults do that answer in place of USPS, or change how its answer is sent."""

import dataclasses
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from usps_token_broker.simulator.api_labels import refuse_label
from usps_token_broker.simulator.api_payment import account_state, not_enrolled
from usps_token_broker.simulator.api_token import refuse_client
from usps_token_broker.simulator.desk import unauthorized
from usps_token_broker.simulator.fault_values import NO_VALUE
from usps_token_broker.simulator.faults import Fault
from usps_token_broker.simulator.messages import Answer, Transfer
from usps_token_broker.simulator.names import Api
from usps_token_broker.simulator.shapes import (
    VERSIONS,
    ErrorItem,
    api_error,
    apigee_fault,
    gateway_error,
    page,
    too_many_requests,
    unavailable,
    whole_seconds,
)

_MEGABYTE: Final = 1_000_000
_CONTRACT: Final = "The requested contract information is not authorized to access"


def replacement(fault: Fault, api: Api, written: float) -> Answer:
    """The answer that a fault of the stage INSTEAD gives; `written` is USPS's time."""
    return REPLACEMENTS[fault.name](fault, api, written)


def sent_with(fault: Fault, answer: Answer) -> Answer:
    """The answer as a fault of the stage SENDING lets it be sent."""
    if fault.name == "cut_body":
        return dataclasses.replace(answer, transfer=Transfer.CUT)
    return dataclasses.replace(answer, transfer=Transfer.DRIP, pause_seconds=fault.number)


def _retry_after(fault: Fault) -> str | None:
    return None if fault.value == NO_VALUE else whole_seconds(fault.number)


def _rate_limited_until(fault: Fault, api: Api, written: float) -> Answer:
    return too_many_requests(api, formatdate(written + fault.number, usegmt=True))


def _blocked(_fault: Fault, _api: Api, _written: float) -> Answer:
    text = "You don't have permission to access this resource on this server.<P>\nReference #18.0"
    return dataclasses.replace(page(403, "Access Denied", text), code="blocked")


def _redirect(fault: Fault, status: int) -> Answer:
    answer = dataclasses.replace(page(status, "Moved", "Elsewhere."), code="redirect")
    return answer.with_headers(("Location", str(fault.value)))


def _huge(fault: Fault, api: Api, _written: float) -> Answer:
    start = b'{"access_token": "' if api is Api.TOKEN else b'{"paymentAuthorizationToken": "'
    size = int(fault.number * _MEGABYTE)
    return Answer(200, start, code="huge_body", filler_bytes=max(size - len(start), 0))


def _contract_refused(_fault: Fault, api: Api, _written: float) -> Answer:
    message = f"{_CONTRACT}, {VERSIONS[api]}."
    item = ErrorItem(title=message, detail="")
    return api_error(VERSIONS[api], 403, message, (item,), "contract_refused")


def _server_error(fault: Fault, api: Api, _written: float) -> Answer:
    return gateway_error(api, int(fault.number), "An unexpected error has occurred.")


REPLACEMENTS: Final[dict[str, Callable[[Fault, Api, float], Answer]]] = {
    "server_error": _server_error,
    "unavailable": lambda fault, api, _: unavailable(api, _retry_after(fault)),
    "rate_limited": lambda fault, api, _: too_many_requests(api, _retry_after(fault)),
    "rate_limited_until": _rate_limited_until,
    "html": lambda fault, _api, _: page(
        int(fault.number), "USPS", "The page you requested is not available."
    ),
    "blocked": _blocked,
    "not_json": lambda _fault, _api, _: Answer(200, b'{"access_token": "eyJ', code="not_json"),
    "empty_body": lambda fault, _api, _: Answer(int(fault.number), code="empty_body"),
    "gateway_fault": lambda fault, _api, _: apigee_fault(int(fault.number)),
    "redirect": lambda fault, _api, _: _redirect(fault, 302),
    "redirect_307": lambda fault, _api, _: _redirect(fault, 307),
    "huge_body": _huge,
    "invalid_client": lambda fault, _api, _: refuse_client(str(fault.value)),
    "unauthorized": lambda fault, api, _: unauthorized(api, str(fault.value)),
    "contract_refused": _contract_refused,
    "not_enrolled": lambda _fault, _api, _: not_enrolled(),
    "account_state": lambda fault, _api, _: account_state(str(fault.value)),
    "label_refused": lambda fault, _api, _: refuse_label(str(fault.value)),
}
"""By the name of the fault; a test holds it complete."""
