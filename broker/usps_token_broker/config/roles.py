"""Payment roles: passed on to USPS unchanged, so only what no JSON of theirs allows is refused."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from usps_token_broker.config.kinds import Fault, Unfit, unfit
from usps_token_broker.config.problems import kind_of, quoted, shown

_DEEPEST: Final = 16
"""USPS's roles are flat; this only keeps recursion within bounds."""

Roles = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class RolesKind:
    """A list of tables, each with a roleName; every value a string (USPS Payments 3.1.20)."""

    assign: str = "{} = {}"
    """How a key and its value are written."""
    example: str = '[{ roleName = "PAYER", CRID = "12345678", … }, { roleName = "LABEL_OWNER", … }]'

    def read(self, value: object) -> Roles | Unfit:
        """As it is."""
        if not isinstance(value, list):
            return unfit("a list of tables", kind_of(value))
        if not value:
            return unfit("at least one role (labels need PAYER and LABEL_OWNER)", "an empty list")
        faults = tuple(
            fault for n, role in enumerate(value) for fault in _role_faults(n, role, self.assign)
        )
        return Unfit(faults) if faults else tuple(value)


def _role_faults(index: int, role: object, assign: str) -> Iterator[Fault]:
    if not isinstance(role, dict):
        yield Fault("a table", kind_of(role), 'write: { roleName = "…", CRID = "…" }', (index,))
        return
    if "roleName" not in role:
        near = next((key for key in role if key.lower() in {"rolename", "role_name", "role"}), None)
        fix = f'write roleName, not {near}: roleName = "…"' if near else 'write: roleName = "PAYER"'
        yield Fault("a roleName", "none", fix, (index,))
    elif role["roleName"] == "":
        yield Fault("a role", "an empty string", 'write: roleName = "PAYER"', (index, "roleName"))
    for key, value in role.items():
        yield from _value_faults((index, key), value, assign)


def _value_faults(way: tuple[str | int, ...], value: object, assign: str) -> Iterator[Fault]:
    if len(way) > _DEEPEST:
        yield Fault("at most 16 levels", "more", "USPS roles are flat tables", way[:3])
    elif isinstance(value, dict) and way[1:] != ("roleName",):
        for key, inner in value.items():
            yield from _value_faults((*way, key), inner, assign)
    elif isinstance(value, list) and way[1:] != ("roleName",):
        for index, inner in enumerate(value):
            yield from _value_faults((*way, index), inner, assign)
    elif not isinstance(value, str):
        yield Fault("a string", shown(value), _as_string(way, value, assign), way)
    elif not _is_text(value):
        yield Fault("text", "characters that UTF-8 does not have", "copy the value anew", way)


def _as_string(way: tuple[str | int, ...], value: object, assign: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return "USPS takes strings only: put it in quotes"
    name, text = way[-1], quoted(str(value))
    return f"put it in quotes: {text if isinstance(name, int) else assign.format(name, text)}"


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def fingerprint(roles: Roles) -> str:
    """A one-way name of what USPS is asked with. The order of roles counts, that of keys not."""
    text = json.dumps(roles, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:24]
