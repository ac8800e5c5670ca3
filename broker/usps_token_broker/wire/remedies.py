"""Which row of the catalogue an error of USPS is, by its own codes and words."""

import re
from typing import Final, NamedTuple

from usps_token_broker import catalogue
from usps_token_broker.catalogue import Row, of_accounts
from usps_token_broker.wire.usps import UspsError


class _Sign(NamedTuple):
    """The row that a pattern in the code or the words of an error, in lower case, stands for."""

    pattern: re.Pattern[str]
    row: Row


def _sign(pattern: str, code: str) -> _Sign:
    return _Sign(re.compile(pattern), catalogue.row(code))


_CREDENTIALS: Final = (
    # The descriptions are those of USPS OAuth 3.1.4; `oauth.v2.…` are Apigee's fault codes.
    _sign(r"client authentication failed", "client_secret_wrong"),
    _sign(r"invalidapikeyforgivenresource", "oauth_product_missing"),
    _sign(r"unsupported_grant_type|unauthorized_client", "grant_not_allowed"),
    _sign(r"raisefault|accesscontrol|access.?denied", "token_access_denied"),
    _sign(r"invalid ?apikey|not approved", "client_unknown"),
    _sign(r"invalid_request|invalid_scope|unsupported_media_type", "token_request_malformed"),
)

PAYMENT_CODES: Final = frozenset(row.code for row in of_accounts.ROWS)
"""Those of USPS's that are about roles, account or enrolment (USPS API Error Consolidated List of
2025-10-30, sheets Payment, Domestic Labels Outbound and Returns, International Labels)."""

_ENROLMENT: Final = re.compile(r"enroll?ed in usps ship")


def credentials_row(error: UspsError) -> Row:
    """Why the token endpoint refuses."""
    return next(
        (sign.row for sign in _CREDENTIALS if sign.pattern.search(error.text)),
        catalogue.row("credentials_refused"),
    )


def payment_code(error: UspsError) -> str | None:
    """The code of what is wrong with roles, account or enrolment, if USPS names one we know."""
    return next((code for code in error.sub_codes if code in PAYMENT_CODES), None)


def is_about_payment(error: UspsError) -> bool:
    """Whether roles, account or enrolment are what is wrong, by a known code or by its words."""
    return payment_code(error) is not None or _ENROLMENT.search(error.text) is not None


def payment_row(error: UspsError, other: str = "payment_refused") -> Row:
    """Why USPS refuses roles, account or enrolment; `other` where neither code nor words tell."""
    code = payment_code(error)
    if code is None:
        code = of_accounts.ENROLMENT.code if is_about_payment(error) else other
    return catalogue.row(code)
