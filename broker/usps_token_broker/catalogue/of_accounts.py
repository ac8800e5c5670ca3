"""USPS's own codes for what is wrong with payment roles, accounts and enrolment."""

from typing import Final

from usps_token_broker.catalogue.rows import LIST, PAYMENTS, SUPPORT, Row, Who, issues

_SYSTEM: Final = "USPS's Enterprise Payment System"
_IDS: Final = "add what USPS names (CRID, MID or manifestMID) to that role in the configuration"
_ACCOUNT_TYPE: Final = (
    "give that role in the configuration an accountType: EPS, PERMIT, METER or OMAS"
)
_PERMIT: Final = "a role with accountType PERMIT or OMAS needs permitNumber and permitZIP; add them"
_PAYMENT_METHOD: Final = (
    f"set up an active primary payment method for the EPS account, in {_SYSTEM}"
)
_METER: Final = (
    "accountType METER is for PC Postage providers only and needs an accountNumber; others write "
    "EPS or PERMIT"
)
_SHIP: Final = (
    "have CRID and MID of the role LABEL_OWNER enrolled in USPS Ship (Outbound, or Returns for "
    f"return labels; {SUPPORT}), and check both in the configuration"
)

_THEN: Final = {
    Who.ACCOUNT: "; then `usps-token-broker renew payment` asks at once",
    Who.HOST: "; then `usps-token-broker reload`",
}
"""What makes the broker ask again, after a change at USPS and after one of the configuration."""


def _account(code: str, cause: str, fix: str, who: Who = Who.ACCOUNT) -> Row:
    fix += _THEN.get(who, "")
    return Row(code, f"no payment token: USPS answers 400 with {code}", cause, fix, who, LIST)


def _role(code: str, cause: str, fix: str) -> Row:
    return _account(code, cause, fix, Who.HOST)


def _ship(code: str, cause: str) -> Row:
    return Row(code, f"labels are refused with {code}", cause, _SHIP, Who.USPS, LIST)


ENROLMENT: Final = Row(
    "not_enrolled",
    "400: CRID isn't enrolled in USPS Ship Outbound",
    "USPS has not enrolled CRID or MID in USPS Ship; there is no API to do it",
    _SHIP,
    Who.USPS,
    issues(20, 21, 54),
)

ROWS: Final = (
    _account(
        "100001",
        "USPS does not know the EPS account",
        "check accountNumber and CRID of the role in the configuration: USPS does not know the "
        "account",
        Who.HOST,
    ),
    _account(
        "100002", "the EPS account is not active", f"have the EPS account activated, in {_SYSTEM}"
    ),
    _account("100003", "the EPS account has no primary payment method", _PAYMENT_METHOD),
    _account("100004", "its primary payment method is not active", _PAYMENT_METHOD),
    _account(
        "100005",
        "USPS cannot check the card of the EPS account at the moment",
        "wait: USPS cannot check the card of the EPS account at the moment; if it lasts, "
        "check the card in the Enterprise Payment System",
        Who.NOBODY,
    ),
    _account(
        "100006",
        "the card of the EPS account is refused",
        f"check the card of the EPS account, in {_SYSTEM}",
    ),
    _account(
        "100007",
        "the Trust balance of the EPS account is too low",
        f"fund the Trust balance of the EPS account, in {_SYSTEM}",
    ),
    _role("160218", "a role lacks its CRID", _IDS),
    _role("160219", "a role has no roleName", "give every role in the configuration a roleName"),
    _role("160220", "a role lacks its accountType", _ACCOUNT_TYPE),
    _role("160221", "an owner of labels lacks its MID", _IDS),
    _role("160222", "an owner of labels lacks its manifestMID", _IDS),
    _role("160223", "a role that pays lacks its accountType", _ACCOUNT_TYPE),
    _role(
        "160224",
        "a role with accountType EPS has no accountNumber",
        "a role with accountType EPS needs an accountNumber; add it",
    ),
    _role("160225", "a role with accountType PERMIT lacks its permitNumber", _PERMIT),
    _role("160226", "a role with accountType PERMIT lacks its permitZIP", _PERMIT),
    _role("160227", "a role is named twice", "name each role once in the configuration"),
    _role("160228", "the role PAYER is missing", "add the role PAYER to the configuration"),
    _role(
        "160229", "the role LABEL_OWNER is missing", "add the role LABEL_OWNER to the configuration"
    ),
    _role(
        "160254",
        "LOGISTICS_MANAGER is there without MAIL_OWNER",
        "add the role MAIL_OWNER, which LOGISTICS_MANAGER needs",
    ),
    Row(
        "160259",
        "labels are refused with 160259",
        "the roles are those of a PC Postage provider, and the application is none",
        f"have USPS set this application up as a PC Postage provider ({SUPPORT}), or, if it "
        "is none, check the roles in the configuration",
        Who.USPS,
        LIST,
    ),
    _role("160289", "a role with accountType METER lacks its accountNumber", _METER),
    _role("160290", "accountType METER is for PC Postage providers alone", _METER),
    _ship("160302", "CRID or MID are not enrolled in USPS Ship Outbound"),
    _ship("160303", "CRID or MID are not enrolled in USPS Ship Returns"),
    _ship("160304", "CRID or MID are not enrolled in USPS Ship"),
    _ship("160305", "CRID or MID are not enrolled in USPS Ship"),
    Row(
        "160369",
        "labels are refused with 160369",
        "the payment token was made without the role PAYER",
        "add the role PAYER to the configuration: this call needs it; then "
        "`usps-token-broker reload`",
        Who.HOST,
        LIST,
    ),
    _role(
        "160372",
        "LABEL_PROVIDER has another accountType than EPS",
        "the role LABEL_PROVIDER needs accountType EPS",
    ),
    _role("160390", "an accountType is none that USPS knows", _ACCOUNT_TYPE),
    Row(
        "role_malformed",
        "no payment token: USPS answers 400 without a number",
        "a role has a name or a value that USPS's schema does not have",
        "write it as USPS gave it to you: CRID of 2 to 18 characters, MID and manifestMID of 6 or "
        "9 digits, permitZIP of at most 5 characters, roleName in capitals such as PAYER; then "
        "`usps-token-broker reload`",
        Who.HOST,
        PAYMENTS,
    ),
)
