"""What USPS would refuse of an app's payment roles, told before it is asked.

Warnings and no errors: USPS has the last word, and it may have other rules for this account.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from usps_token_broker.catalogue import row
from usps_token_broker.config.problems import quoted
from usps_token_broker.config.roles import Roles
from usps_token_broker.config.settings import AppSettings
from usps_token_broker.wire.payment_roles import FIELDS, ROLE_NAMES, RoleFault, role_faults

_MOST_TOLD: Final = 20
"""Of an app: a platform's hundreds of merchants may all have the same fault."""
_MOST_CHARS: Final = 40
"""Of a name that is compared: nothing longer is near one of USPS's."""
_NEAR: Final = 0.8
"""permitZIPCode is as near to permitZIP, and nothing else of USPS's to another."""


def remarks(app: AppSettings) -> Iterator[str]:
    """A warning for each fault, with USPS's number where it has one, and what to write."""
    said = [f"{slot.name}: {text}" for slot in app.payments for text in _of_roles(slot.roles)]
    for text in islice(said, _MOST_TOLD):
        yield f"app {app.name}, {text}"
    if len(said) > _MOST_TOLD:
        yield f"app {app.name}: {len(said) - _MOST_TOLD} more such faults of payment roles"


def _of_roles(roles: Roles) -> Iterator[str]:
    for index, role in enumerate(roles):
        yield from (f"roles[{index}]: {slip}" for slip in _slips(role))
    yield from (f"{told(fault)}; {row(fault.row).fix}" for fault in role_faults(roles))


def _slips(role: Mapping[str, Any]) -> Iterator[str]:
    """What was probably meant, where something is nearly right. Quotes no value."""
    for key in role:
        meant = None if key in FIELDS else _near(key, FIELDS)
        if meant is not None and meant not in role:
            yield f"USPS knows no {quoted(key)}; write {meant}"
    name = role.get("roleName")
    if isinstance(name, str) and name not in ROLE_NAMES:
        meant = _near(name, ROLE_NAMES)
        if meant is not None:
            yield f'roleName is nearly right; write roleName = "{meant}"'
    for key in FIELDS[1:]:
        value = role.get(key)
        if isinstance(value, str) and value and value.split() != [value]:
            yield f"{key} has blanks in it; write it without"


def _near(word: str, known: Sequence[str]) -> str | None:
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower()[:_MOST_CHARS], by_lower, n=1, cutoff=_NEAR)
    return by_lower[near[0]] if near else None


def told(fault: RoleFault) -> str:
    """The fault in words: which role, what, and as what USPS refuses it."""
    where = "" if fault.index is None else f"roles[{fault.index}]: "
    number = f" with {fault.code}" if fault.code else ""
    unless = ", unless it has set this account up so" if fault.depends else ""
    return f"{where}{fault.detail}: USPS would refuse it{number}{unless}"
