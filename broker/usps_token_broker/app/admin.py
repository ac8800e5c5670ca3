"""What only an administrator may order: another token now, or none of those there are."""

from collections.abc import Iterable

from usps_token_broker.app import problems
from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.ports import Clock
from usps_token_broker.app.resolving import Resolver
from usps_token_broker.core.commands import Outcome
from usps_token_broker.core.events import Forgotten
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import SlotId
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.orders import ForgottenMessage, ForgottenSlot, RenewalMessage
from usps_token_broker.wire.replies import Reply, json_reply


class Admin:
    """Takes orders, under one configuration."""

    def __init__(self, loop: Loop, resolver: Resolver, clock: Clock) -> None:
        self._loop = loop
        self._resolver = resolver
        self._clock = clock

    def renew(self, call: Call) -> Handled:
        """`POST /v1/tokens/{slot}/renewals`."""
        slot = self._resolver.slot(call.access, call.query, call.slot)
        if not isinstance(slot, SlotId):
            return slot
        return self._renew(slot, call.query.wait)

    async def _renew(self, slot: SlotId, wait_seconds: float) -> Reply:
        question = await self._loop.renew(slot, wait_seconds)
        serving = self._loop.broker.serving(slot, self._clock())
        if question.denial is not None:
            return problems.denied(question.denial)
        if question.outcome is not Outcome.RENEWED or serving is None:
            return problems.problem(
                Code.NOT_READY, "the new token is past its life already", "order another one"
            )
        message = RenewalMessage(
            app=slot.app,
            slot=slot.name,
            outcome=question.outcome.value,
            serial=serving.token.serial,
            expires_at=round(serving.expires_at, 3),
            expires_in=round(serving.expires_boot_at - self._clock().boot, 3),
        )
        return json_reply(200, to_json(message))

    def forget(self, call: Call) -> Handled:
        """`POST /v1/forget`: one slot, all of an app, or all there are."""
        access, query = call.access, call.query
        if query.slot is not None:
            slot = self._resolver.slot(access, query, query.slot)
            return self._forget([slot]) if isinstance(slot, SlotId) else slot
        if query.app is not None and access.app(query.app) is None:
            return problems.no_app(access, query.app)
        return self._forget(s for s in access.slots if query.app in {None, s.app})

    def _forget(self, slots: Iterable[SlotId]) -> Reply:
        chosen = tuple(sorted(slots))
        self._loop.post(Forgotten(chosen))
        gone = [ForgottenSlot(slot.app, slot.name) for slot in chosen]
        return json_reply(200, to_json(ForgottenMessage(gone)))
