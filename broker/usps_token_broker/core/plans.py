"""What is configured, as the core must know it."""

from dataclasses import dataclass

from usps_token_broker.core.budget import BudgetKey
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import Endpoint, SlotId


@dataclass(frozen=True, slots=True)
class AppPlan:
    """An app: whose quota its calls count against, and the spans of its tokens."""

    name: str
    host: str
    client_id: str
    policy: LifePolicy
    calls_per_hour: int = 30

    def key(self, endpoint: Endpoint) -> BudgetKey:
        """Whose quota a call to this endpoint counts against."""
        return BudgetKey(self.host, self.client_id, endpoint)

    def is_same_account(self, other: "AppPlan") -> bool:
        """Whether USPS takes both for one application: names are ours alone."""
        return (self.host, self.client_id) == (other.host, other.client_id)


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """A slot as configured. `basis` is the fingerprint of a payment's roles."""

    id: SlotId
    basis: str = ""
    required: bool = False
    keep_active: bool = False
    """Whether it is renewed only while somebody asks for it."""
