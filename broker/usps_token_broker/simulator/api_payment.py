"""POST /payments/v3/payment-authorization (USPS Payments 3.1.20)."""

import math
from typing import Final

import msgspec

from usps_token_broker.core.values import PAYMENTS_SCOPE
from usps_token_broker.simulator import jwt
from usps_token_broker.simulator.desk import Desk, admit
from usps_token_broker.simulator.grants import Granted, Refusal, TokenKind
from usps_token_broker.simulator.messages import Answer
from usps_token_broker.simulator.names import EXAMPLE_ROLES, Api
from usps_token_broker.simulator.roles import Role, problems_of
from usps_token_broker.simulator.shapes import (
    VERSIONS,
    ErrorItem,
    api_error,
    as_json,
    bad_request,
    problem,
)
from usps_token_broker.simulator.twists import Twist

PAYMENT_HEADER: Final = "x-payment-authorization-token"

_ACCOUNT_STATES: Final = {
    "100001": "Could not find an EPS Account with number: 1000000001.",
    "100002": "Your EPS Account is not Active, please check your account and try again.",
    "100003": (
        "Your EPS Account does not have a Primary Payment Method, "
        "please check your account and try again."
    ),
    "100004": (
        "EPS Primary Payment Method is not Active, please check your payment method and try again."
    ),
    "100005": "We are having trouble validating your credit card, please try again later.",
    "100006": (
        "We are having trouble validating your credit card, "
        "please check your credit card details and try again."
    ),
    "100007": (
        "Your Trust balance has insufficient funds. Please fund your Trust balance and try again."
    ),
}
"""USPS's list of errors, sheet Payment (2025-10-30)."""


def authorize_payment(desk: Desk) -> Answer:
    """Grant a payment token for the roles, or say in the real shape why not."""
    bearer = admit(desk, PAYMENTS_SCOPE)
    if isinstance(bearer, Answer):
        return bearer
    try:
        body = desk.request.json()
    except ValueError:
        return bad_request(Api.PAYMENT, problem("The request body is not valid JSON.", "body"))
    if not isinstance(body, dict) or "roles" not in body:
        return bad_request(Api.PAYMENT, problem("roles is required", "roles"))
    roles: list[Role] = body["roles"]
    problems = problems_of(roles)
    if problems:
        return bad_request(Api.PAYMENT, *problems)
    return _grant(desk, bearer.client_id, roles)


def admit_payment(desk: Desk, bearer: Granted) -> Granted | Answer:
    """The payment token of a label call, or the refusal it gets.

    What USPS says to one that is missing or dead was never seen in public, neither status nor
    words; the status is a setting. That it has to be of the same app is a guess too.
    """
    shown = desk.request.headers.get(PAYMENT_HEADER, "").strip()
    judged = desk.grants.judge(shown, TokenKind.PAYMENT, desk.now)
    if isinstance(judged, Refusal):
        return _refuse(desk, judged, _WORDS[judged])
    if judged.client_id != bearer.client_id:
        return _refuse(desk, Refusal.OTHER_HOST, "was issued to another application.")
    return judged


def not_enrolled() -> Answer:
    """A 400 that is no ErrorMessage: it has no `error`, and a role of ours in it."""
    body = {"body": "CRID isn't enrolled in USPS Ship Outbound", "roles": [EXAMPLE_ROLES[1]]}
    return as_json(400, body, "not_enrolled")


def account_state(code: str) -> Answer:
    """A 400 about the account that should pay."""
    return bad_request(Api.PAYMENT, problem(_ACCOUNT_STATES[code], "roles", code))


_WORDS: Final = {
    Refusal.MISSING: "is missing.",
    Refusal.MALFORMED: "is malformed.",
    Refusal.EXPIRED: "has expired.",
    Refusal.REVOKED: "is not valid or has been revoked.",
    Refusal.OTHER_HOST: "was not issued by this host.",
}


def _refuse(desk: Desk, why: Refusal, words: str) -> Answer:
    status = desk.settings.payment_refusal_status
    item = ErrorItem(
        title="invalid_token",
        detail=f"The payment authorization token presented with the request {words}",
        source={"parameter": "Header: X-Payment-Authorization-Token"},
    )
    message = "Invalid payment authorization token."
    answer = api_error(VERSIONS[desk.api], status, message, (item,), f"payment_{why}")
    if status != 401:  # noqa: PLR2004 - the only status that has to name a scheme (RFC 9110)
        return answer
    return answer.with_headers(("WWW-Authenticate", "Bearer"))


def _grant(desk: Desk, client_id: str, roles: list[Role]) -> Answer:
    twist = desk.twist()
    about = msgspec.json.encode(roles, order="deterministic").decode()
    granted = None
    if twist.has("same_token"):
        granted = desk.grants.latest(TokenKind.PAYMENT, client_id, about)
    if granted is None:
        granted = _new(desk, client_id, roles, about, twist)
    body: dict[str, object] = {"paymentAuthorizationToken": granted.token, "roles": roles}
    if twist.has("no_token"):
        del body["paymentAuthorizationToken"]
    return as_json(200, body)


def _new(desk: Desk, client_id: str, roles: list[Role], about: str, twist: Twist) -> Granted:
    life = twist.life(desk.settings.payment_life)
    if twist.has("revoke_on_renewal"):
        desk.grants.revoke((TokenKind.PAYMENT,), desk.now, client_id)
    token = desk.grants.sign(_claims(desk, client_id, roles, life))
    granted = Granted(
        token=twist.token(token, desk.grants.opaque()),
        kind=TokenKind.PAYMENT,
        client_id=client_id,
        about=about,
        scopes=frozenset(),
        issued_at=desk.now,
        ends_at=math.floor(desk.now) + life,
        revoked_at=desk.now + twist.dies_after(),
    )
    desk.grants.add(granted)
    return granted


def _claims(desk: Desk, client_id: str, roles: list[Role], life: int) -> jwt.Claims:
    issued_at = math.floor(desk.written)
    return {
        "sub": "31415926",
        "aud": ["labels", "international-labels"],
        "azp": client_id,
        "roles": roles,
        "iss": desk.settings.issuer,
        "manifest_type": "MASTER_MID",
        "source": "API",
        "exp": issued_at + life,
        "iat": issued_at,
        "jti": desk.grants.opaque()[:36],
    }
