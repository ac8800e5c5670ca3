"""The simulated USPS as a whole, and what can be done to it from outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from usps_token_broker.simulator.api_labels import Labels
from usps_token_broker.simulator.calls import Calls
from usps_token_broker.simulator.clock import Clock
from usps_token_broker.simulator.faults import Fault
from usps_token_broker.simulator.grants import Grants, TokenKind
from usps_token_broker.simulator.names import EVERYWHERE
from usps_token_broker.simulator.quotas import Quotas
from usps_token_broker.simulator.settings import Settings
from usps_token_broker.simulator.standing import Injected, StandingFaults

REVOCABLE: Final[Mapping[str, tuple[TokenKind, ...]]] = {
    "bearer": (TokenKind.BEARER,),
    "payment": (TokenKind.PAYMENT,),
    EVERYWHERE: tuple(TokenKind),
}
"""What can be revoked, by the word for it."""


@dataclass(slots=True)
class State:
    """Settings, clock, tokens, faults, quotas, labels and counters of one USPS."""

    settings: Settings
    clock: Clock
    grants: Grants
    faults: StandingFaults = field(default_factory=StandingFaults)
    quotas: Quotas = field(default_factory=Quotas)
    calls: Calls = field(default_factory=Calls)
    labels: Labels = field(default_factory=Labels)

    def inject(self, fault: Fault) -> Injected:
        """Let calls meet this fault from now on."""
        return self.faults.inject(fault, self.clock.now())

    def clear_faults(self) -> int:
        """Take all faults away and say how many stood."""
        return self.faults.clear(self.clock.now())

    def revoke(self, what: str, client_id: str | None = None) -> int:
        """Let all live tokens of this kind die, of one app or of all, and say how many did.

        Raises:
            ValueError: `what` is not `bearer`, `payment` or `all`.
        """
        kinds = REVOCABLE.get(what)
        if kinds is None:
            raise ValueError(f"{what!r} cannot be revoked; what can be: {', '.join(REVOCABLE)}")
        return self.grants.revoke(kinds, self.clock.now(), client_id)

    def configure(self, changes: Mapping[str, object]) -> Settings:
        """Change settings while USPS runs; tokens granted before stay as they are.

        Raises:
            SettingsError: A name is unknown or a value does not fit; nothing is changed then.
        """
        self.settings = self.settings.changed(changes)
        return self.settings

    def reset(self) -> None:
        """Forget calls and open every quota anew; tokens, faults and settings stay."""
        self.calls.reset()
        self.quotas.reset()
