"""What USPS finds wrong with the roles of a payment authorization, in its numbers and words.

Rules are those of Payments 3.1.20, numbers and texts those of USPS's list of errors (2025-10-30).
What the schema demands beyond that list (types, patterns, known names) carries no number.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Role = Mapping[str, object]

MALFORMED: Final = "role_malformed"
"""The row of the catalogue for what carries no number."""

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
_DIGITS: Final = (re.compile(r"[0-9]{6}|[0-9]{9}"), "6 or 9 digits")
_PATTERNS: Final = {
    "CRID": (re.compile(r".{2,18}"), "2 to 18 characters"),
    "MID": _DIGITS,
    "manifestMID": _DIGITS,
    "permitZIP": (re.compile(r".{1,5}"), "at most 5 characters"),
}
_TEXTS: Final = ("CRID", "MID", "manifestMID", "accountNumber", "permitNumber", "permitZIP")
ROLE_NAMES: Final = tuple(sorted(_KNOWN))
FIELDS: Final = ("roleName", "accountType", *_TEXTS)
"""Of a role."""


@dataclass(frozen=True, slots=True)
class RoleFault:
    """One thing that USPS would refuse roles for. Quotes no value of theirs but a role's name."""

    detail: str
    """USPS's words where it has some."""
    parameter: str
    code: str = ""
    """USPS's number; empty where it has none."""
    index: int | None = None
    """Which role it is about; None for all of them together."""
    depends: bool = False
    """Whether it is right for some: PC Postage providers, or a role that USPS added since."""

    @property
    def row(self) -> str:
        """Its row of the catalogue."""
        return self.code or MALFORMED


def role_faults(roles: Sequence[Role]) -> list[RoleFault]:
    """Everything that is wrong with these roles; empty when USPS would grant a token for them."""
    faults = [*_among(roles)]
    for index, role in enumerate(roles):
        faults += _of_one(index, role)
    return faults


def _among(roles: Sequence[Role]) -> Iterator[RoleFault]:
    """What is wrong with the roles together."""
    names = Counter(str(role.get("roleName", "")) for role in roles)
    if any(count > 1 for name, count in names.items() if name):
        yield RoleFault("no duplicate roles allowed", "roles", "160227")
    if "PAYER" not in names:
        yield RoleFault("PAYER is required", "roles", "160228", depends=True)
    if "LABEL_OWNER" not in names:
        yield RoleFault("LABEL_OWNER is required", "roles", "160229", depends=True)
    if "LOGISTICS_MANAGER" in names and "MAIL_OWNER" not in names:
        yield RoleFault(
            "MAIL_OWNER role is required when LOGISTICS_MANAGER role is present", "roles", "160254"
        )


def _of_one(index: int, role: Role) -> Iterator[RoleFault]:
    """What is wrong with one role."""
    name = role.get("roleName")
    if not name:
        yield RoleFault("Cannot have a role without roleName", "roles", "160219", index)
        return
    if not isinstance(name, str) or name not in _KNOWN:
        told = f"roleName must be one of {', '.join(ROLE_NAMES)}"
        yield RoleFault(told, "roles.roleName", index=index, depends=isinstance(name, str))
        yield from _of_fields(index, role)
        return
    if not role.get("CRID") and name != "LOGISTICS_MANAGER":
        yield RoleFault(f"{name} requires CRID", "roles", "160218", index)
    if name in _OWNERS:
        yield from _of_owner(index, name, role)
    if name in _PAYING:
        yield from _of_account(index, name, role)
    yield from _of_fields(index, role)


def _of_owner(index: int, name: str, role: Role) -> Iterator[RoleFault]:
    for code, key in (("160221", "MID"), ("160222", "manifestMID")):
        if not role.get(key):
            yield RoleFault(f"{name} requires {key}", "roles", code, index)


def _of_account(index: int, name: str, role: Role) -> Iterator[RoleFault]:
    kind = role.get("accountType")
    if not kind:
        yield RoleFault(f"{name} requires accountType", "roles", "160223", index)
    elif not isinstance(kind, str) or kind not in _ACCOUNT_TYPES:
        told = f"{name} requires accountType of PERMIT, METER, OMAS, or EPS"
        yield RoleFault(told, "roles", "160390", index)
    elif name == "LABEL_PROVIDER" and kind != "EPS":
        told = "LABEL_PROVIDER only supports the accountType of EPS"
        yield RoleFault(told, "accountType", "160372", index)
    elif kind == "EPS" and not role.get("accountNumber"):
        told = f"{name} requires accountNumber when accountType is EPS"
        yield RoleFault(told, "roles", "160224", index)
    elif kind == "METER":
        yield from _of_meter(index, role)
    elif kind in ("PERMIT", "OMAS"):
        yield from _of_permit(index, name, kind, role)


def _of_meter(index: int, role: Role) -> Iterator[RoleFault]:
    if not role.get("accountNumber"):
        yield RoleFault(
            "PAYER requires accountNumber when accountType is METER",
            "Payment Auth Token PAYER role",
            "160289",
            index,
        )
    yield RoleFault(
        "Meter pricing is only available to PC Postage Providers",
        "Payment Auth Token accountType",
        "160290",
        index,
        depends=True,
    )


def _of_permit(index: int, name: str, kind: str, role: Role) -> Iterator[RoleFault]:
    when = f"when accountType is {kind}"
    if not role.get("permitNumber"):
        yield RoleFault(f"{name} requires permitNumber {when}", "roles", "160225", index)
    if not role.get("permitZIP"):
        yield RoleFault(f"{name} requires permitZipCode {when}", "roles", "160226", index)


def _of_fields(index: int, role: Role) -> Iterator[RoleFault]:
    """What the schema says of fields that are there."""
    for key in _TEXTS:
        value = role.get(key)
        if value is None or value == "":
            continue
        pattern, words = _PATTERNS.get(key, (re.compile(".+", re.DOTALL), "a text"))
        if not isinstance(value, str):
            yield RoleFault(f"{key} must be a string", f"roles.{key}", index=index)
        elif pattern.fullmatch(value) is None:
            yield RoleFault(f"{key} must be {words}", f"roles.{key}", index=index)
