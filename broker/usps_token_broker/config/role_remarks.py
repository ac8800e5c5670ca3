"""What USPS would refuse of an app's payment roles, told before it is asked.

Warnings and no errors: USPS has the last word, and it may have other rules for this account.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from usps_token_broker.catalogue import row
from usps_token_broker.config.settings import AppSettings
from usps_token_broker.wire.payment_roles import RoleFault, role_faults

_MOST_TOLD: Final = 20
"""Of an app: a platform's hundreds of merchants may all have the same fault."""


def remarks(app: AppSettings) -> Iterator[str]:
    """A warning for each fault, with USPS's number where it has one, and what to write."""
    faults = [(slot.name, fault) for slot in app.payments for fault in role_faults(slot.roles)]
    for name, fault in islice(faults, _MOST_TOLD):
        yield f"app {app.name}, {name}: {told(fault)}; {row(fault.row).fix}"
    if len(faults) > _MOST_TOLD:
        yield f"app {app.name}: {len(faults) - _MOST_TOLD} more such faults of payment roles"


def told(fault: RoleFault) -> str:
    """The fault in words: which role, what, and as what USPS refuses it."""
    where = "" if fault.index is None else f"roles[{fault.index}]: "
    number = f" with {fault.code}" if fault.code else ""
    unless = ", unless it has set this account up so" if fault.depends else ""
    return f"{where}{fault.detail}: USPS would refuse it{number}{unless}"
