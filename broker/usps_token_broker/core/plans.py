"""What is configured, as the core must know it."""

from dataclasses import dataclass

from usps_token_broker.core.budget import BudgetKey
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.values import AccountId, Endpoint, SlotId


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

    @property
    def account(self) -> AccountId:
        """What USPS knows it by."""
        return AccountId(self.host, self.client_id)


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """A slot as configured. `basis` is the fingerprint of a payment's roles."""

    id: SlotId
    basis: str = ""
    required: bool = False
    keep_active: bool = False
    """Whether it is renewed only while somebody asks for it."""
