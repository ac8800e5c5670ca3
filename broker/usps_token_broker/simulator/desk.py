"""What every endpoint works with while it answers one call."""

from dataclasses import dataclass

from usps_token_broker.simulator.calls import Call
from usps_token_broker.simulator.fault_table import Stage
from usps_token_broker.simulator.grants import Granted, Grants, Refusal, TokenKind
from usps_token_broker.simulator.messages import Answer, Request
from usps_token_broker.simulator.names import Api
from usps_token_broker.simulator.settings import Settings
from usps_token_broker.simulator.shapes import VERSIONS, ErrorItem, api_error
from usps_token_broker.simulator.standing import StandingFaults, names_of
from usps_token_broker.simulator.twists import Twist


@dataclass(frozen=True, slots=True)
class Desk:
    """One call at one endpoint: the request, and the state of USPS at this moment."""

    call: Call
    request: Request
    settings: Settings
    grants: Grants
    faults: StandingFaults
    now: float
    """The simulator's time, which lives are counted on."""
    written: float
    """The time that USPS writes into its answers; differs when its clock is wrong."""

    @property
    def api(self) -> Api:
        """The endpoint that is called."""
        return self.call.api

    def twist(self) -> Twist:
        """The faults that the token about to be granted has; each has shown once more."""
        taken = self.faults.take(self.api, Stage.GRANT, self.now)
        self.call.faults += names_of(taken)
        return Twist.of(one.fault for one in taken)


def admit(desk: Desk, scope: str) -> Granted | Answer:
    """The bearer of a call to a resource API, or the 401 it gets."""
    judged = desk.grants.judge(bearer_of(desk.request), TokenKind.BEARER, desk.now)
    if isinstance(judged, Refusal):
        return unauthorized(desk.api, judged)
    if scope not in judged.scopes:
        return unauthorized(desk.api, "insufficient_scope")
    return judged


def bearer_of(request: Request) -> str:
    """The token of the Authorization header; empty when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def unauthorized(api: Api, why: str) -> Answer:
    """The 401 of a resource API.

    Seen in public are the words for a token that is missing or malformed, for a missing scope,
    for a product that was not granted, and the empty message for a token of another host. Those
    for `expired` and `revoked` are made up in their style.
    """
    message, title, detail = _WORDS[why]
    items = (ErrorItem(title=title, detail=detail, source="Access Token"),) if message else ()
    answer = api_error(VERSIONS[api] + "/", 401, message, items, f"bearer_{why}")
    return answer.with_headers(("WWW-Authenticate", "Bearer"))


_MISSING = (
    "Missing or malformed access token.",
    "invalid_token",
    "The access token presented with the request is missing or malformed (not a JWT).",
)
_WORDS = {
    "missing": _MISSING,
    "malformed": _MISSING,
    "expired": (
        "Access token expired.",
        "invalid_token",
        "The access token presented with the request has expired.",
    ),
    "revoked": (
        "Invalid access token.",
        "invalid_token",
        "The access token presented with the request is not valid or has been revoked.",
    ),
    "other_host": ("", "", ""),
    "insufficient_scope": (
        "Insufficient OAuth scope.",
        "insufficient_scope",
        "Insufficient OAuth scope: the access token does not grant access to this resource.",
    ),
    "product": (
        "The client application identifier is invalid.",
        "invalid_client",
        "The client application is not approved for access to this API product.",
    ),
}
