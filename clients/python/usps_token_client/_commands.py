"""The commands of `usps-token`. Each gives what is to be printed, or raises BrokerError."""

from __future__ import annotations

import os

from . import _checking, _driving, _http, _plain, _questions
from ._arguments import UsageError
from ._client import TokenClient
from ._errors import BrokerUnreachable
from ._settings import TIMEOUT_SECONDS, WAIT_SECONDS
from ._steps import asking
from ._typing import TYPE_CHECKING
from ._values import BEARER, DEFAULT, payment_name, payment_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from ._arguments import Arguments
    from ._http import Answer
    from ._typing import V
    from ._values import Headers

_WAIT_TIMEOUT_SECONDS = 60.0
_OK = 200


class Session(TokenClient):
    """One process of the command line: one question, nothing kept."""

    __slots__ = ("_arguments",)

    def __init__(self, arguments: Arguments) -> None:
        timeout = arguments.timeout
        if timeout is None:
            timeout = _WAIT_TIMEOUT_SECONDS if arguments.command == "wait" else TIMEOUT_SECONDS
        wait = min(WAIT_SECONDS, timeout * 0.9)
        super().__init__(arguments.socket, app=arguments.app, timeout=timeout, wait=wait)
        self._arguments = arguments

    def bearer_text(self) -> str:
        """`usps-token bearer`."""
        return self._token_text(BEARER)

    def payment_text(self) -> str:
        """`usps-token payment [NAME]`."""
        return self._token_text(payment_slot((self._arguments.words or [DEFAULT])[0]))

    def _token_text(self, slot: str) -> str:
        if self._core.is_static:
            name = payment_name(slot)
            value = self.bearer() if name is None else self.payment(name)
            return _dump({"token": value.value, "slot": slot}) if self._json else value.value
        path = f"/v1/tokens/{_http.quoted(slot)}"
        if not self._json:
            return self._ask(path, {}, _plain.token, accept=_http.TEXT)
        check = _questions.TokenQuestion(slot, self._core.app).value
        return self._ask(path, {}, lambda answer: _checked(answer, check))

    def headers_text(self) -> str:
        """`usps-token headers [--payment [NAME]]`."""
        name = self._arguments.payment
        if self._core.is_static:
            values = self.headers(payment=name or False)
            lines = "\n".join(f"{key}: {value}" for key, value in values.items())
            return _dump({"headers": dict(values)}) if self._json else lines
        query = {"payment": name}
        if not self._json:
            return self._ask(
                "/v1/headers",
                query,
                lambda answer: _plain.header_lines(answer, with_payment=name is not None),
                accept=_http.TEXT,
            )
        check = _questions.HeadersQuestion(name, self._core.app).value
        return self._ask("/v1/headers", query, lambda answer: _checked(answer, check))

    def wait_text(self) -> None:
        """`usps-token wait`."""
        seconds = self._core.terms.timeout
        slots = tuple(self._arguments.slots)
        self.wait_ready(seconds, *slots, min_valid=self._arguments.min_valid)

    def status_text(self) -> str:
        """`usps-token status`."""
        from ._status_text import describe  # noqa: PLC0415 - only here

        if self._core.is_static:
            state = self.status()
            return _dump(state) if self._json else describe(state)

        def read(answer: Answer) -> str:
            state = _document(answer)
            said = answer.body.decode("utf-8", "replace")
            try:
                return said if self._json else describe(state)
            except (AttributeError, TypeError, ValueError, OverflowError, OSError):
                # A broker of another version words it otherwise: show what it said.
                return said

        query = {"app": self._core.app}
        steps = self._core.ask("/v1/status", query, read)
        return _driving.run(steps, self._socket, self._now)

    def execute(self) -> NoReturn:
        """`usps-token exec`: become the command, or end the process."""
        from ._running import become  # noqa: PLC0415 - only here

        name, words, into = self._arguments.payment, self._arguments.words, self._arguments.into
        if self._core.is_static:
            become(words, self.headers(payment=name or False), None, into)
        question = _questions.HeadersQuestion(name, self._core.app)

        def read(answer: Answer) -> tuple[Headers, float]:
            data = _document(answer)
            return question.value(data), _checking.number(data, "expires_in")

        headers, expires_in = self._ask("/v1/headers", {"payment": name}, read)
        become(words, headers, expires_in, into)

    def explain_text(self) -> tuple[str, bool]:
        """`usps-token explain [CODE]`, and whether it was recognised. Raises UsageError too."""
        from . import _explaining  # noqa: PLC0415 - only here

        word = next(iter(self._arguments.words), None)
        if word is None and os.isatty(0):
            raise UsageError("explain wants a code, or what USPS answered piped in")
        if self._core.is_static:
            raise BrokerUnreachable(
                "USPS_TOKEN_STATIC is set, so there is no broker to ask",
                fix="`usps-token-broker explain` needs none",
            )

        def read(answer: Answer) -> tuple[str, bool]:
            data = _document(answer)
            known = _explaining.recognised(data)
            said = answer.body.decode("utf-8", "replace")
            return (said if self._json else _explaining.describe(data)), known

        where = _http.target("/v1/explanations", {"app": self._core.app})
        body = _explaining.told(word)
        now = self._core.terms.now
        steps = asking(
            _http.message("POST", where, body=body, kind=_http.TEXT),
            lambda answer, _sent_at: read(answer),
            deadline=now() + self._core.terms.timeout,
            now=now,
        )
        return _driving.run(steps, self._socket, self._now)

    @property
    def _json(self) -> bool:
        return self._arguments.as_json

    def _ask(
        self,
        path: str,
        query: Mapping[str, object],
        read: Callable[[Answer], V],
        *,
        accept: str = _http.JSON,
    ) -> V:
        terms = self._core.terms
        wait = f"{terms.wait_within(terms.timeout):g}"
        least = self._arguments.min_valid
        min_valid = None if least is None else f"{least:g}"
        asked = {"app": self._core.app, "min_valid": min_valid, "wait": wait}
        steps = self._core.ask(path, {**asked, **query}, read, accept=accept)
        return _driving.run(steps, self._socket, self._now)


def _document(answer: Answer) -> dict[str, Any]:
    if answer.status != _OK:
        raise _checking.problem(answer)
    return _checking.document(answer)


def _checked(answer: Answer, check: Callable[[dict[str, Any]], object]) -> str:
    """The JSON as it came, if it is the answer to what was asked."""
    check(_document(answer))
    return answer.body.decode("utf-8", "replace")


def _dump(value: object) -> str:
    from json import dumps  # noqa: PLC0415 - as in `_checking.document`

    return dumps(value, indent=2, ensure_ascii=False)
