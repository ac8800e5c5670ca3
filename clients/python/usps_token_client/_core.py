"""What a client can do, as steps for a driver: the same for threads and for asyncio."""

from __future__ import annotations

from . import _checking, _http
from ._errors import BrokerError, BrokerTimeout
from ._keeping import Holding
from ._obtaining import Terms, obtain
from ._questions import HeadersQuestion, TokenQuestion
from ._steps import LONGEST_PAUSE_SECONDS, Pause, asking
from ._typing import TYPE_CHECKING
from ._values import BEARER, DEFAULT, payment_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ._http import Answer
    from ._reporting import Report
    from ._steps import Flight, Steps
    from ._typing import V
    from ._values import Headers, Token, Verdict

_OK = 200
_UNAVAILABLE = 503
_CAUSE_SECONDS = 1.0
"""How much longer than the broker may wait a caller waits to be told why."""
_MOST_CAUSES = 8
"""Of how many tokens it is asked at a time: a host may have hundreds."""


class Core:
    """One app of one broker, and what is kept of it."""

    is_static = False

    def __init__(self, app: str | None, terms: Terms) -> None:
        self.app = app
        self.terms = terms
        self.bearer: Holding[Token] = Holding(TokenQuestion(BEARER, app))
        self.payments: dict[str, Holding[Token]] = {}
        self.header_sets: dict[bool | str, Holding[Headers]] = {}

    def payment(self, name: str) -> Holding[Token]:
        """The payment token of this name. Raises ValueError for one that no slot can have."""
        found = self.payments.get(name)
        if found is None:
            question = TokenQuestion(payment_slot(name), self.app)
            found = self.payments.setdefault(name, Holding(question))
        return found

    def headers(self, payment: bool | str) -> Holding[Headers]:  # noqa: FBT001 - the caller's word
        """The headers, with the payment token of this name or without one."""
        name = payment if isinstance(payment, str) else DEFAULT if payment else None
        if name is not None:
            payment_slot(name)
        holding = Holding(HeadersQuestion(name, self.app))
        found = self.header_sets.setdefault(name or False, holding)
        # True is another word for the default payment token.
        return self.header_sets.setdefault(payment, found)

    def obtain(self, holding: Holding[V], new_flight: Callable[[], Flight]) -> Steps[V]:
        """The value of a holding, from memory or from the broker."""
        return obtain(holding, self.terms, new_flight)

    def ask(
        self,
        path: str,
        query: Mapping[str, object],
        read: Callable[[Answer], V],
        *,
        accept: str = _http.JSON,
        seconds: float | None = None,
    ) -> Steps[V]:
        """One question of which nothing is kept, within `seconds` at most."""
        now = self.terms.now
        most = self.terms.timeout if seconds is None else min(seconds, self.terms.timeout)
        message = _http.message("GET", _http.target(path, query), accept=accept)
        return asking(
            message, lambda answer, _sent_at: read(answer), deadline=now() + most, now=now
        )

    def report(self, report: Report) -> Steps[Verdict]:
        """Tell of a refused call; a token that was replaced is forgotten here too."""
        terms = self.terms
        verdict = yield from asking(
            report.message(self.app, terms.wait_within(terms.timeout)),
            report.read,
            deadline=terms.now() + terms.timeout,
            now=terms.now,
        )
        if verdict.retry:
            self._forget(report, verdict)
        return verdict

    def forget(self) -> None:
        """Drop every answer that is kept."""
        for holding in self._holdings():
            holding.drop()

    def _holdings(self) -> list[Holding[Any]]:
        return [self.bearer, *self.payments.values(), *self.header_sets.values()]

    def _forget(self, report: Report, verdict: Verdict) -> None:
        for holding in self._holdings():
            entry = holding.entry
            if entry is not None and report.tells_against(entry.value, verdict):
                holding.drop()

    def status(self) -> Steps[dict[str, Any]]:
        """`GET /v1/status`."""
        return self.ask("/v1/status", {"app": self.app}, _document)

    def unready(
        self, slots: tuple[str, ...], min_valid: float | None, seconds: float | None = None
    ) -> Steps[list[str]]:
        """The tokens that are not ready, as `APP/SLOT`; none when all is well."""
        # Without a slot the broker looks at all that it requires, of every app.
        least = None if min_valid is None else f"{min_valid:g}"
        for slot in slots or ((None,) if self.app is None else (BEARER,)):
            query = {"app": self.app if slot else None, "slot": slot, "min_valid": least}
            names = yield from self.ask("/readyz", query, _unready, seconds=seconds)
            if names:
                return names
        return []

    def until_ready(
        self, seconds: float, slots: tuple[str, ...], min_valid: float | None
    ) -> Steps[None]:
        """Wait until all is ready. Raises BrokerTimeout with the last reason.

        What only a person can mend, at the broker or at USPS, is raised at once.
        """
        now = self.terms.now
        deadline = now() + seconds
        pause = LONGEST_PAUSE_SECONDS / 8
        reason = ""
        while True:
            try:
                names = yield from self.unready(slots, min_valid, deadline - now())
                if not names:
                    return
                cause = yield from self._cause(names, deadline)
                reason = cause or f"no good token for {', '.join(names)}"
            except BrokerError as error:
                if error.permanent:
                    raise
                # What our own deadline cut short says less than what was heard before.
                if not (reason and isinstance(error, BrokerTimeout)):
                    reason = str(error)
            if now() + pause >= deadline:
                raise BrokerTimeout(
                    f"not ready after {seconds:g} s: {reason}",
                    fix="`usps-token status` shows every token and its last trouble",
                )
            yield Pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _cause(self, names: list[str], deadline: float) -> Steps[str | None]:
        """Why the first of these is not ready that the broker has a word on.

        The broker waits for what USPS is being asked: before that only the last refusal could be
        told, and a person may just have mended what it was about. Raises BrokerError when one of
        them needs a person.
        """
        told = None
        for name in names[:_MOST_CAUSES]:
            app, slash, slot = name.rpartition("/")
            if not slash:
                continue
            wait = max(0.0, self.terms.wait_within(deadline - self.terms.now()))
            path = f"/v1/tokens/{_http.quoted(slot)}"
            query = {"app": app, "wait": f"{wait:g}"}
            try:
                yield from self.ask(path, query, _document, seconds=wait + _CAUSE_SECONDS)
            except BrokerError as error:
                if error.permanent:
                    raise
                told = told or str(error)
        return told


def _document(answer: Answer) -> dict[str, Any]:
    if answer.status != _OK:
        raise _checking.problem(answer)
    return _checking.document(answer)


def _unready(answer: Answer) -> list[str]:
    if answer.status == _OK:
        return []
    data = _checking.document(answer) if answer.status == _UNAVAILABLE else {}
    if answer.status != _UNAVAILABLE or "code" in data:
        raise _checking.problem(answer)
    names = data.get("not_ready")
    # A broker does not name what this user may not know of.
    return [str(name) for name in names] if isinstance(names, list) and names else ["a token"]
