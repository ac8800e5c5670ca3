"""What is wrong with the roles of a payment authorization, in USPS's numbers and words.

Rules are those of Payments 3.1.20, numbers and texts those of USPS's list of errors (2025-10-30).
What the schema demands beyond that list (types, patterns, known names) carries no number.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from usps_token_broker.simulator.shapes import ErrorItem, problem

Role = dict[str, object]

_OWNERS: Final = frozenset({"LABEL_OWNER", "RETURN_LABEL_OWNER"})
_PAYING: Final = frozenset(
    {
        "PAYER",
        "RATE_HOLDER",
        "RETURN_LABEL_PAYER",
        "RETURN_LABEL_RATE_HOLDER",
        "LABEL_PROVIDER",
    }
)
_OTHERS: Final = frozenset({"SHIPPER", "MAIL_OWNER", "PLATFORM", "LOGISTICS_MANAGER"})
_KNOWN: Final = _OWNERS | _PAYING | _OTHERS
_ACCOUNT_TYPES: Final = frozenset({"EPS", "PERMIT", "METER", "OMAS"})
_PATTERNS: Final = {
    "CRID": (re.compile(r".{2,18}"), "2 to 18 characters"),
    "MID": (re.compile(r"\d{6}|\d{9}"), "6 or 9 digits"),
    "manifestMID": (re.compile(r"\d{6}|\d{9}"), "6 or 9 digits"),
    "permitZIP": (re.compile(r".{1,5}"), "at most 5 characters"),
}
_TEXTS: Final = ("CRID", "MID", "manifestMID", "accountNumber", "permitNumber", "permitZIP")


def problems_of(roles: object) -> list[ErrorItem]:
    """Everything that is wrong with the `roles` of a request; empty when a token is due."""
    if not isinstance(roles, list) or not all(isinstance(role, dict) for role in roles):
        return [problem("roles must be an array of objects", "roles")]
    return [*_among(roles), *(item for role in roles for item in _of_one(role))]


def _numbered(code: str, detail: str, parameter: str = "roles") -> ErrorItem:
    return problem(detail, parameter, code)


def _among(roles: list[Role]) -> Iterator[ErrorItem]:
    """What is wrong with the roles together."""
    names = Counter(str(role.get("roleName", "")) for role in roles)
    if any(count > 1 for name, count in names.items() if name):
        yield _numbered("160227", "no duplicate roles allowed")
    if "PAYER" not in names:
        yield _numbered("160228", "PAYER is required")
    if "LABEL_OWNER" not in names:
        yield _numbered("160229", "LABEL_OWNER is required")
    if "LOGISTICS_MANAGER" in names and "MAIL_OWNER" not in names:
        yield _numbered(
            "160254", "MAIL_OWNER role is required when LOGISTICS_MANAGER role is present"
        )


def _of_one(role: Role) -> Iterator[ErrorItem]:
    """What is wrong with one role."""
    name = role.get("roleName")
    if not name:
        yield _numbered("160219", "Cannot have a role without roleName")
        return
    if not isinstance(name, str) or name not in _KNOWN:
        yield problem(f"roleName must be one of {', '.join(sorted(_KNOWN))}", "roles.roleName")
        return
    if not role.get("CRID") and name != "LOGISTICS_MANAGER":
        yield _numbered("160218", f"{name} requires CRID")
    if name in _OWNERS:
        yield from _of_owner(role)
    if name in _PAYING:
        yield from _of_account(role)
    yield from _of_fields(role)


def _of_owner(role: Role) -> Iterator[ErrorItem]:
    for code, key in (("160221", "MID"), ("160222", "manifestMID")):
        if not role.get(key):
            yield _numbered(code, f"{role['roleName']} requires {key}")


def _of_account(role: Role) -> Iterator[ErrorItem]:
    name, kind = role["roleName"], role.get("accountType")
    if not kind:
        yield _numbered("160223", f"{name} requires accountType")
    elif not isinstance(kind, str) or kind not in _ACCOUNT_TYPES:
        yield _numbered("160390", f"{name} requires accountType of PERMIT, METER, OMAS, or EPS")
    elif name == "LABEL_PROVIDER" and kind != "EPS":
        yield _numbered(
            "160372", "LABEL_PROVIDER only supports the accountType of EPS", "accountType"
        )
    elif kind == "EPS" and not role.get("accountNumber"):
        yield _numbered("160224", f"{name} requires accountNumber when accountType is EPS")
    elif kind == "METER":
        yield from _of_meter(role)
    elif kind in ("PERMIT", "OMAS"):
        yield from _of_permit(role)


def _of_meter(role: Role) -> Iterator[ErrorItem]:
    if not role.get("accountNumber"):
        yield _numbered(
            "160289",
            "PAYER requires accountNumber when accountType is METER",
            "Payment Auth Token PAYER role",
        )
    yield _numbered(
        "160290",
        "Meter pricing is only available to PC Postage Providers",
        "Payment Auth Token accountType",
    )


def _of_permit(role: Role) -> Iterator[ErrorItem]:
    name, kind = role["roleName"], role["accountType"]
    if not role.get("permitNumber"):
        yield _numbered("160225", f"{name} requires permitNumber when accountType is {kind}")
    if not role.get("permitZIP"):
        yield _numbered("160226", f"{name} requires permitZipCode when accountType is {kind}")


def _of_fields(role: Role) -> Iterator[ErrorItem]:
    """What the schema says of fields that are there."""
    for key in _TEXTS:
        value = role.get(key)
        if value is None or value == "":
            continue
        pattern, words = _PATTERNS.get(key, (re.compile(".+"), "a text"))
        if not isinstance(value, str):
            yield problem(f"{key} must be a string", f"roles.{key}")
        elif pattern.fullmatch(value) is None:
            yield problem(f"{key} must be {words}", f"roles.{key}")
