"""What to do about what USPS says: the texts for people, chosen by USPS's own codes and words."""

import re
from typing import Final, NamedTuple

from usps_token_broker.wire.usps import UspsError

SUPPORT: Final = "service request at emailus.usps.com, topic USPS APIs"
PORTAL: Final = "the Cloud business portal at cop.usps.com"

WAIT: Final = "nothing to do: the broker asks again by itself"
LOOK_BETWEEN: Final = (
    "look at what stands between this host and USPS (proxy, firewall, the CDN of USPS), and at "
    "base_url; the broker asks again by itself"
)
BASE_URL: Final = (
    "check base_url: https://apis.usps.com, or https://apis-tem.usps.com for the test environment, "
    "without a path"
)
ASK_FOR_LABELS: Final = (
    f"ask USPS for access to the Labels and Payments APIs for this application ({SUPPORT}); it is "
    "looked at again with the next bearer token"
)
BEARER_REFUSED: Final = (
    "nothing to do yet: the broker renews the bearer token and tries again, once; if USPS refuses "
    "that one too, ask it whether the application may use the Payments API "
    f"({SUPPORT})"
)
PAYMENT_FORBIDDEN: Final = (
    "ask USPS what the application lacks for the Payments API, and name CRID, application and "
    f"this answer ({SUPPORT})"
)
UNEXPECTED: Final = (
    "see whether a newer version of the broker is out; if there is none, report this answer to "
    "its makers"
)
UNUSABLE: Final = (
    "nothing to do: the broker asks again by itself and keeps the token it has; if it lasts, see "
    "that base_url leads to USPS and nothing in between changes its answers"
)
RATE_LIMITED: Final = (
    "nothing to do: the broker waits as long as USPS says; see whether something else asks for "
    "tokens with the same client_id, since USPS counts the calls of an application together"
)


class Remedy(NamedTuple):
    """What to do when a pattern is found in the code or the words of an error."""

    pattern: re.Pattern[str]
    fix: str


def _when(pattern: str, fix: str) -> Remedy:
    return Remedy(re.compile(pattern, re.IGNORECASE), fix)


_CREDENTIALS: Final = (
    # The descriptions are those of USPS OAuth 3.1.4; `oauth.v2.…` are Apigee's fault codes.
    _when(
        r"client authentication failed",
        "check the client secret: USPS knows the client_id, and the secret is not its own (the "
        f"Consumer Secret of the app in {PORTAL})",
    ),
    _when(
        r"InvalidApiKeyForGivenResource",
        "check that base_url has no path and that the application has the OAuth product in "
        f"{PORTAL}; keys of the old platform at api.usps.com are not valid at apis.usps.com",
    ),
    _when(
        r"unsupported_grant_type|unauthorized_client",
        f"the application may not use the client_credentials grant; have it allowed ({SUPPORT})",
    ),
    _when(
        r"RaiseFault|AccessControl|access.?denied",
        f"check in {PORTAL} that the application is approved and has the OAuth product; if it "
        f"has, ask USPS ({SUPPORT})",
    ),
)
_OTHER_CREDENTIALS: Final = (
    "check client_id (the Consumer Key) and client_secret, and that the application is approved "
    f"in {PORTAL}; keys of the old platform at api.usps.com are not valid at apis.usps.com"
)


def credentials_fix(error: UspsError) -> str:
    """What to do when the token endpoint refuses."""
    return next((r.fix for r in _CREDENTIALS if r.pattern.search(error.text)), _OTHER_CREDENTIALS)


_IDS: Final = "add what USPS names (CRID, MID or manifestMID) to that role in the configuration"
_ACCOUNT_TYPE: Final = (
    "give that role in the configuration an accountType: EPS, PERMIT, METER or OMAS"
)
_PERMIT: Final = "a role with accountType PERMIT needs permitNumber and permitZIP; add them"
_PAYMENT_METHOD: Final = (
    "set up an active primary payment method for the EPS account, in USPS's Enterprise Payment "
    "System"
)
_SHIP: Final = (
    "have CRID and MID of the role LABEL_OWNER enrolled in USPS Ship (Outbound, or Returns for "
    f"return labels; {SUPPORT}), and check both in the configuration"
)

_METER: Final = (
    "accountType METER is for PC Postage providers only and needs an accountNumber; others write "
    "EPS or PERMIT"
)

PAYMENT_FIXES: Final = {
    "100001": "check accountNumber and CRID of the role in the configuration: USPS does not know "
    "the account",
    "100002": "have the EPS account activated, in USPS's Enterprise Payment System",
    "100003": _PAYMENT_METHOD,
    "100004": _PAYMENT_METHOD,
    "100005": "wait: USPS cannot check the card of the EPS account at the moment; if it lasts, "
    "check the card in the Enterprise Payment System",
    "100006": "check the card of the EPS account, in USPS's Enterprise Payment System",
    "100007": "fund the Trust balance of the EPS account, in USPS's Enterprise Payment System",
    "160218": _IDS,
    "160219": "give every role in the configuration a roleName",
    "160220": _ACCOUNT_TYPE,
    "160221": _IDS,
    "160222": _IDS,
    "160223": _ACCOUNT_TYPE,
    "160224": "a role with accountType EPS needs an accountNumber; add it",
    "160225": _PERMIT,
    "160226": _PERMIT,
    "160227": "name each role once in the configuration",
    "160228": "add the role PAYER to the configuration",
    "160229": "add the role LABEL_OWNER to the configuration",
    "160254": "add the role MAIL_OWNER, which LOGISTICS_MANAGER needs",
    "160259": f"have USPS set this application up as a PC Postage provider ({SUPPORT}), or, if it "
    "is none, check the roles in the configuration",
    "160289": _METER,
    "160290": _METER,
    "160302": _SHIP,
    "160303": _SHIP,
    "160304": _SHIP,
    "160305": _SHIP,
    "160369": "add the role PAYER to the configuration: this call needs it",
    "160372": "the role LABEL_PROVIDER needs accountType EPS",
    "160390": _ACCOUNT_TYPE,
}
"""By code (USPS API Error Consolidated List of 2025-10-30, sheets Payment, Domestic Labels
Outbound, Domestic Labels Returns and International Labels)."""

_ENROLMENT: Final = re.compile(r"enroll?ed in USPS Ship", re.IGNORECASE)
_OTHER_PAYMENT: Final = (
    "compare the roles in the configuration with what USPS has on record for the account; if they "
    f"are right, ask USPS ({SUPPORT})"
)


def payment_code(error: UspsError) -> str | None:
    """The code of what is wrong with roles, account or enrolment, if USPS names one we know."""
    return next((code for code in error.sub_codes if code in PAYMENT_FIXES), None)


def is_about_payment(error: UspsError) -> bool:
    """Whether roles, account or enrolment are what is wrong, by a known code or by its words."""
    return payment_code(error) is not None or _ENROLMENT.search(error.text) is not None


def payment_fix(error: UspsError) -> str:
    """What to do when USPS refuses roles, account or enrolment."""
    code = payment_code(error)
    if code is not None:
        return PAYMENT_FIXES[code]
    return _SHIP if is_about_payment(error) else _OTHER_PAYMENT
