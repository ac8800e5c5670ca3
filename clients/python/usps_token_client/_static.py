"""Tokens from the environment or from the caller, for machines without a broker.

Nobody renews them; they are for a developer's machine and for tests.
"""
# ruff: noqa: ARG002 - a core that asks nobody has no use for what the others need to ask

from __future__ import annotations

import os

from . import _checking
from ._clock import now
from ._core import Core
from ._errors import ProtocolMismatch, TokenDenied, bare
from ._keeping import Entry
from ._obtaining import Terms
from ._questions import TokenQuestion
from ._settings import PRODUCTION
from ._settings import STATIC_VARIABLE as VARIABLE
from ._typing import TYPE_CHECKING
from ._values import (
    AUTHORIZATION,
    BEARER,
    DEFAULT,
    PAYMENT_HEADER,
    Headers,
    Token,
    Verdict,
    payment_slot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ._keeping import Holding
    from ._reporting import Report
    from ._steps import Flight, Steps
    from ._typing import V

    Payments = str | Mapping[str, str] | None

APP = "static"
_FOREVER = float("inf")
_SERIAL = 0


class StaticCore(Core):
    """Hands out what it was given, for ever, and asks nobody."""

    is_static = True

    def __init__(self, bearer: str, payment: Payments, base_url: str) -> None:
        super().__init__(APP, Terms(now=now, timeout=1.0, wait=0.0, check_after=None))
        self._base_url = base_url
        self._tokens = {BEARER: _token(BEARER, bearer)}
        payments = {DEFAULT: payment} if isinstance(payment, str) else payment or {}
        for name, value in payments.items():
            slot = payment_slot(name)
            self._tokens[slot] = _token(slot, value)

    def obtain(self, holding: Holding[V], new_flight: Callable[[], Flight]) -> Steps[V]:
        """The value that was given. Raises TokenDenied for one that was not."""
        question: Any = holding.question
        if isinstance(question, TokenQuestion):
            value: Any = self._token(question.slot)
        else:
            value = self._header_set(question.payment)
        holding.keep(_kept(value))
        kept: V = value
        return kept
        yield

    def _token(self, slot: str) -> Token:
        found = self._tokens.get(slot)
        if found is None:
            raise TokenDenied(
                f"there is no static token for {slot}; there is: {', '.join(self._tokens)}",
                fix=f'give it too ({VARIABLE}={{"bearer": "…", "payment": "…"}}), or run a broker',
                code="payment_not_configured",
                permanent=True,
            )
        return found

    def _header_set(self, payment: str | None) -> Headers:
        values = {AUTHORIZATION: f"Bearer {self._token(BEARER).value}"}
        serials = {BEARER: _SERIAL}
        if payment is not None:
            values[PAYMENT_HEADER] = self._token(payment_slot(payment)).value
            serials["payment"] = _SERIAL
        return Headers(values, serials=serials, app=APP, base_url=self._base_url, payment=payment)

    def report(self, report: Report) -> Steps[Verdict]:
        """There is nothing newer to be had."""
        return Verdict(
            code=APP,
            detail=f"USPS answered {report.status}, and a static token is not renewed",
            fix=f"put a new token into {VARIABLE}, or run a broker",
            retry=False,
            outcome="failed",
        )
        yield

    def status(self) -> Steps[dict[str, Any]]:
        """Which tokens were given."""
        return {"static": True, "slots": list(self._tokens)}
        yield

    def unready(
        self, slots: tuple[str, ...], min_valid: float | None, seconds: float | None = None
    ) -> Steps[list[str]]:
        """Those of them that were not given."""
        return [slot for slot in slots if slot not in self._tokens]
        yield

    def until_ready(
        self, seconds: float, slots: tuple[str, ...], min_valid: float | None
    ) -> Steps[None]:
        """Nobody will ever bring one that was not given. Raises TokenDenied for it."""
        for slot in slots:
            self._token(slot)
        return
        yield


def _token(slot: str, value: str) -> Token:
    try:
        checked = _checking.secret(value, slot)
    except ProtocolMismatch:
        checked = ""
    if not checked or " " in checked:
        raise ValueError(f"the static token for {slot} is empty or has a character no token has")
    return Token(checked, serial=_SERIAL, expires_at=_FOREVER, slot=slot, app=APP)


def _kept(value: V) -> Entry[V]:
    return Entry(
        value,
        etag="",
        check_after=_FOREVER,
        check_at=_FOREVER,
        late_at=_FOREVER,
        spent_at=_FOREVER,
    )


def of_environment() -> StaticCore:
    """The core of what USPS_TOKEN_STATIC says. Raises ValueError, which does not quote it."""
    try:
        return StaticCore(*parse(os.environ[VARIABLE]))
    except ValueError as error:
        raise bare(error) from None


def parse(text: str) -> tuple[str, Payments, str]:
    """Bearer, payments and base URL of USPS_TOKEN_STATIC: a bare token, or JSON.

    Raises ValueError, which does not quote the value.
    """
    text = text.strip()
    if not text.startswith("{"):
        return text, None, PRODUCTION
    from json import loads  # noqa: PLC0415 - as in `_checking.document`

    try:
        data = loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{VARIABLE} begins like JSON but is none") from None
    payment = data.get("payment")
    texts = [data.get("bearer"), data.get("base_url", PRODUCTION)]
    if payment is not None:
        texts += list(payment.values()) if isinstance(payment, dict) else [payment]
    if not all(isinstance(item, str) for item in texts):
        raise ValueError(
            f'{VARIABLE} is a bare token, or JSON like {{"bearer": "…", "payment": "…"}} '
            'or {"bearer": "…", "payment": {"NAME": "…"}, "base_url": "https://…"}'
        )
    return texts[0], payment, texts[1]
