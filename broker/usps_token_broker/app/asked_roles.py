"""Whether the roles that a program asks a payment token for are those that are configured.

The broker has one payment token for each slot, for the roles of the configuration. A program is
given it whatever else its roles say, but not where they name another account or another CRID: it
would buy labels at the cost of somebody whom it did not mean. USPS demands CRID and account of
who pays (160218, 160224 to 160226 of its list of errors), so we do as well: whoever knows neither
gets nothing. What is configured is never told in a refusal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Roles = Sequence[Mapping[str, Any]]

_WHO: Final = ("CRID", "accountType", "accountNumber", "permitNumber", "permitZIP")
"""The fields that say whose business and whose account it is."""
_ACCOUNT: Final = ("accountNumber", "permitNumber")


def mismatch(asked: Roles, configured: Roles) -> str | None:
    """What keeps the token of the configured roles from being what is asked for, or None."""
    for role in asked:
        name = str(role.get("roleName", ""))
        for field in _WHO:
            value = _text(role.get(field))
            if value and value not in _allowed(name, field, configured):
                return f"{field} of {name[:40] or 'a role'} is another than that of the broker"
    for name, field in _needed(configured):
        if not any(role.get("roleName") == name and _text(role.get(field)) for role in asked):
            return f"{name} requires {field}"
    return None


def _text(value: object) -> str:
    """Ids are strings; a program that sends a number means it as one."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, str) else "" if value is None else "?"


def _allowed(name: str, field: str, configured: Roles) -> set[str]:
    """What this field of this role may say: as that role has it, else as any of them has it."""
    own = {_text(role.get(field)) for role in configured if role.get("roleName") == name} - {""}
    return own or {_text(role.get(field)) for role in configured} - {""}


def _needed(configured: Roles) -> Iterable[tuple[str, str]]:
    """What must be named: the account, and the CRID of whose it is; else a CRID alone."""
    paying = [role for role in configured if any(_text(role.get(f)) for f in _ACCOUNT)]
    role = next(iter(paying or configured), {})
    name = str(role.get("roleName", ""))
    return [(name, f) for f in ("CRID", *_ACCOUNT) if _text(role.get(f))]
