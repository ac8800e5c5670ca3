"""Users and groups, by name or number, as the ids that the kernel reports of a peer."""

import grp
import pwd
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from usps_token_broker.config.kinds import Unfit, unfit
from usps_token_broker.config.problems import quoted, shown

OVERFLOW_ID: Final = 65_534
"""What the kernel reports for ids it cannot express (user_namespaces(7)): anybody's."""
_HIGHEST_ID: Final = 2**32 - 2
"""The id above it stands for "no change" in chown(2)."""


@dataclass(frozen=True, slots=True)
class Member:
    """A user, or a group: its name is looked up when the configuration is read."""

    noun: str
    find: Callable[[str], int]
    create: str
    """The command that makes it."""
    example: str

    def read(self, value: object) -> int | Unfit:
        """The id. A string of digits that is no name is a number."""
        expected = f"the name or number of a {self.noun}"
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            return unfit(expected, shown(value))
        found = self._id(value) if isinstance(value, str) else value
        if found is None:
            return unfit(
                f"a {self.noun} that exists",
                f"{quoted(str(value))}, which does not",
                f"check the spelling, or make it: {self.create} {shlex.quote(str(value))}",
            )
        if found == OVERFLOW_ID:
            return unfit(
                expected,
                f"{shown(value)}, which stands for anybody whose id is not known ({OVERFLOW_ID})",
                f"name the {self.noun} that the workers run as",
            )
        if not 0 <= found <= _HIGHEST_ID:
            return unfit(f"a number from 0 to {_HIGHEST_ID}", shown(value))
        return found

    def _id(self, name: str) -> int | None:
        try:
            return self.find(name)
        except (KeyError, ValueError, OSError):
            # ValueError: a NUL or a lone surrogate. OSError: the name service is away.
            return int(name) if re.fullmatch(r"[0-9]{1,10}", name) else None


USER: Final = Member(
    "user", lambda name: pwd.getpwnam(name).pw_uid, "sudo useradd --system", '"shop"'
)
GROUP: Final = Member(
    "group", lambda name: grp.getgrnam(name).gr_gid, "sudo groupadd --system", '"shop"'
)
