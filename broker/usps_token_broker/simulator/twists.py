"""What the standing faults do to a token that is about to be granted."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from usps_token_broker.simulator.faults import Fault


@dataclass(frozen=True, slots=True)
class Twist:
    """All faults of the grant stage that one call met, taken together."""

    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> "Twist":
        """These faults together; of two of one name the older decides."""
        return cls(tuple(faults))

    def has(self, name: str) -> bool:
        """Whether a fault of this name is among them."""
        return any(fault.name == name for fault in self.faults)

    def number(self, name: str) -> float | None:
        """The value of the fault of this name; None when it is not among them."""
        return next((fault.number for fault in self.faults if fault.name == name), None)

    def missing_scopes(self) -> frozenset[str]:
        """The scopes that are left out."""
        return frozenset(str(one.value) for one in self.faults if one.name == "missing_scope")

    def life(self, life_seconds: int) -> int:
        """The life that the token is granted, where it would have been this one."""
        past_end = self.number("past_end")
        if past_end is not None:
            return int(past_end)
        short = self.number("short_life")
        return life_seconds if short is None else int(short)

    def dies_after(self) -> float:
        """Seconds until the token is revoked, infinite where it is not."""
        early = self.number("revoked_early")
        return math.inf if early is None else early

    def token(self, token: str, opaque: str) -> str:
        """The token as it is handed out: as it was, this opaque one, or broken into lines."""
        chosen = opaque if self.has("opaque_token") else token
        if not self.has("line_breaks"):
            return chosen
        middle = len(chosen) // 2
        return f"{chosen[:middle]}\r\n{chosen[middle:]}"
