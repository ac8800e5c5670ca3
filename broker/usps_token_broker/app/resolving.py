"""From what a request names to slots this peer may use. What it may not becomes a problem."""

import grp
import pwd
from collections.abc import Collection

from usps_token_broker.app import problems
from usps_token_broker.app.access import Access, Rule, explain
from usps_token_broker.app.queries import Query, payment_slot
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import BEARER, PAYMENT, SlotId
from usps_token_broker.wire.http import Reply


class Resolver:
    """Knows every configured slot and rule."""

    def __init__(self, slots: Collection[SlotId], rules: tuple[Rule, ...]) -> None:
        self._slots = frozenset(slots)
        self._rules = rules

    def slot(self, access: Access, query: Query, name: str) -> SlotId | Reply:
        """The slot of this name, in the app the query means."""
        app = access.app(query.app)
        if app is None:
            return problems.no_app(access, query.app)
        slot = SlotId(app, name)
        if slot in access.slots:
            return slot
        if slot in self._slots:
            return self.forbidden(access, (slot,))
        if name == PAYMENT:
            return problems.problem(
                Code.PAYMENT_NOT_CONFIGURED,
                f"app {app} has no payment roles configured",
                f"add [apps.{app}.payments.default] with `roles` to the configuration",
            )
        return problems.no_slot(access, app, name)

    def headers(self, access: Access, query: Query) -> tuple[SlotId, ...] | Reply:
        """The slots of a header set, bearer first."""
        bearer = self.slot(access, query, BEARER)
        if isinstance(bearer, Reply):
            return bearer
        if query.payment is None:
            return (bearer,)
        payment = self.slot(access, query, payment_slot(query.payment))
        return payment if isinstance(payment, Reply) else (bearer, payment)

    def forbidden(self, access: Access, slots: Collection[SlotId] = ()) -> Reply:
        """Who you are, what is open to whom, and the line to add."""
        rules = [rule for rule in self._rules if not slots or rule.slot in slots]
        shown = rules[:8]
        names = {f"uid:{access.uid}": _user(access.uid)}
        for rule in shown:
            names |= {f"uid:{uid}": _user(uid) for uid in rule.users}
            names |= {f"gid:{gid}": _group(gid) for gid in rule.groups}
        mine = ", ".join(sorted(_group(gid) for gid in access.groups)) or "none"
        target = shown[0].slot if shown else SlotId("default", BEARER)
        table = "bearer" if target.is_bearer else f"payments.{_payment_name(target.name)}"
        return problems.problem(
            Code.FORBIDDEN,
            f"user {_user(access.uid)} (groups: {mine}) may not use this; it is open: "
            f"{explain(shown, names)}",
            f'add users = ["{_user(access.uid)}"] or a group of yours to '
            f"[apps.{target.app}.{table}], then restart the broker",
        )


def _payment_name(slot_name: str) -> str:
    return slot_name.removeprefix(PAYMENT).removeprefix("-") or "default"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
