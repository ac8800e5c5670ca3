"""From what a request names to slots this peer may use. What it may not becomes a problem."""

from collections.abc import Awaitable, Collection

from usps_token_broker.app import problems
from usps_token_broker.app.access import Access, Rule
from usps_token_broker.app.forbidding import Forbidding
from usps_token_broker.app.queries import Query, payment_slot
from usps_token_broker.config.problems import key_path
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import BEARER, PAYMENT, SlotId
from usps_token_broker.wire.replies import Reply

Refused = Reply | Awaitable[Reply]
"""Why not; a promise where names of people must be looked up first."""


class Resolver:
    """Knows every configured slot and rule."""

    def __init__(self, rules: Collection[Rule], forbidding: Forbidding) -> None:
        self._slots = frozenset(rule.slot for rule in rules)
        self._forbidding = forbidding

    def slot(self, access: Access, query: Query, name: str) -> SlotId | Refused:
        """The slot of this name, in the app the query means."""
        app = access.app(query.app)
        if app is None:
            return problems.no_app(access, query.app)
        slot = SlotId(app, name)
        if slot in access.slots:
            return slot
        if slot in self._slots:
            return self._forbidding.reply(access, slot)
        if name == PAYMENT:
            return problems.problem(
                Code.PAYMENT_NOT_CONFIGURED,
                f"app {app} has no payment roles configured",
                f"add [{key_path('apps', app, 'payments', 'default')}] with `roles` to the "
                "configuration, then `usps-token-broker reload`",
            )
        return problems.no_slot(access, app, name)

    def headers(self, access: Access, query: Query) -> tuple[SlotId, ...] | Refused:
        """The slots of a header set, bearer first."""
        bearer = self.slot(access, query, BEARER)
        if not isinstance(bearer, SlotId):
            return bearer
        if query.payment is None:
            return (bearer,)
        payment = self.slot(access, query, payment_slot(query.payment))
        return (bearer, payment) if isinstance(payment, SlotId) else payment
