"""`POST /v1/answers`: what USPS told a worker, what it means, and what to do about it."""

from collections.abc import Awaitable, Callable
from typing import TypedDict

from usps_token_broker.app import problems
from usps_token_broker.app.access import Access
from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.loop import Loop, Question
from usps_token_broker.app.queries import Query, payment_slot
from usps_token_broker.app.resolving import Refused, Resolver
from usps_token_broker.app.shelf import Shelf
from usps_token_broker.app.tally import Tally
from usps_token_broker.app.unrecognised import Unrecognised
from usps_token_broker.core.commands import Outcome
from usps_token_broker.core.outcomes import Code
from usps_token_broker.core.values import BEARER, SlotId
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.messages import AnswerReport, VerdictMessage, decode_report
from usps_token_broker.wire.problems import BadRequestError
from usps_token_broker.wire.replies import Reply, json_reply
from usps_token_broker.wire.verdict_rules import VerdictCode
from usps_token_broker.wire.verdicts import Answered, Blames, Verdict, judge

_RETRY = {Outcome.SUPERSEDED, Outcome.RENEWED}

Refuse = Callable[[Access, tuple[SlotId, ...]], Refused | None]
"""Why an identity may not have these tokens under the configuration in force, or None."""


class Blamed(TypedDict):
    """The tokens that a report says are dead."""

    bearer_serial: int | None
    payment: SlotId | None
    payment_serial: int | None


class Answers:
    """Takes reports in and says what came of them."""

    def __init__(
        self,
        loop: Loop,
        shelf: Shelf,
        resolver: Resolver,
        tally: Tally,
        unrecognised: Unrecognised,
    ) -> None:
        self._loop = loop
        self._shelf = shelf
        self._resolver = resolver
        self._tally = tally
        self._unrecognised = unrecognised
        self._refuse: Refuse | None = None

    def retire(self, refuse: Refuse) -> None:
        """Another configuration is in force: who waits here may get headers by that one alone."""
        self._refuse = refuse

    def take(self, call: Call) -> Handled:
        """The verdict at once, or after the renewal it causes. Raises BadRequestError."""
        query, access = call.query, call.access
        try:
            report = decode_report(call.request.body)
        except ValueError as error:
            raise BadRequestError(
                f"the body is not a report: {error}",
                'send JSON like {"status": 401, "headers": {}, "body": "…", '
                '"path": "/labels/v3/label", "serials": {"bearer": 1}}',
            ) from None
        bearer = self._resolver.slot(access, query, BEARER)
        if not isinstance(bearer, SlotId):
            return bearer
        payment = self._payment(report, query, access)
        if not isinstance(payment, SlotId | None):
            return payment
        verdict = judge(self._answered(report, bearer.app))
        if verdict.code is VerdictCode.NOT_RECOGNISED:
            at = self._shelf.clock().wall
            self._unrecognised.note(report.status, report.path, report.body, at)
        slots = (bearer,) if payment is None else (bearer, payment)
        if verdict.blames is Blames.NOTHING:
            return self._reply(verdict, slots, Question(outcome=Outcome.NOT_THE_TOKEN))
        if report.serials.get("bearer") is None:
            return problems.problem(
                Code.BAD_REQUEST,
                "the report names no bearer serial, so the broker cannot tell which token it means",
                'add "serials": {"bearer": N} as it came with the token',
            )
        return self._settle(report, verdict, slots, call)

    def _payment(
        self, report: AnswerReport, query: Query, access: Access
    ) -> SlotId | Refused | None:
        if report.serials.get("payment") is None:
            return None
        return self._resolver.slot(access, query, payment_slot(report.payment))

    def _answered(self, report: AnswerReport, app: str) -> Answered:
        return Answered(
            status=report.status,
            headers=report.headers,
            body=report.body,
            path=report.path,
            host=report.host,
            app_host=self._shelf.apps[app].host,
            payment_sent=report.serials.get("payment") is not None,
        )

    def _settle(
        self, report: AnswerReport, verdict: Verdict, slots: tuple[SlotId, ...], call: Call
    ) -> Handled:
        """At once, where the token was replaced: so it is for all but the first of a crowd."""
        on_label = verdict.blames is Blames.BEARER_THEN_PAYMENT and len(slots) > 1
        blamed = Blamed(
            bearer_serial=report.serials.get("bearer"),
            payment=slots[1] if on_label else None,
            payment_serial=report.serials.get("payment") if on_label else None,
        )
        if self._loop.is_superseded(slots[0].app, **blamed):
            return self._reply(verdict, slots, Question(outcome=Outcome.SUPERSEDED))
        return self._settle_later(blamed, verdict, slots, call)

    async def _settle_later(
        self, blamed: Blamed, verdict: Verdict, slots: tuple[SlotId, ...], call: Call
    ) -> Reply:
        question = await self._loop.report(slots[0].app, call.query.wait, **blamed)
        refused = self._refuse(call.access, slots) if self._refuse is not None else None
        if refused is not None:
            return await refused if isinstance(refused, Awaitable) else refused
        return self._reply(verdict, slots, question)

    def _reply(self, verdict: Verdict, slots: tuple[SlotId, ...], question: Question) -> Reply:
        outcome = question.outcome or Outcome.FAILED
        self._tally.reports[slots[0].app, outcome] += 1
        denial = question.denial
        current = self._shelf.header_set(slots)
        headers, serials = current if current is not None else (None, None)
        return json_reply(
            200,
            to_json(
                VerdictMessage(
                    code=verdict.code.value,
                    detail=f"{denial.detail}; {verdict.detail}" if denial else verdict.detail,
                    fix=denial.fix if denial else verdict.fix,
                    retry=outcome in _RETRY and headers is not None,
                    outcome=outcome.value,
                    headers=headers,
                    serials=serials,
                    retry_after=denial.retry_after_seconds if denial else None,
                    next_attempt_at=denial.next_attempt_at if denial else None,
                    reason=(denial.reason or denial.code.value) if denial else verdict.reason,
                )
            ),
            tokens=tuple(map(str, slots)) if headers is not None else (),
        )
