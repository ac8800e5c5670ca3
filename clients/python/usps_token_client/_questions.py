"""What can be asked of a broker, as bytes, and what its answers mean, as values."""

from __future__ import annotations

from . import _checking, _http
from ._clock import wall
from ._keeping import Entry
from ._typing import TYPE_CHECKING, Generic, V
from ._values import AUTHORIZATION, PAYMENT_HEADER, Headers, Token

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._errors import BrokerError
    from ._http import Answer
    from ._obtaining import Terms

_MOST_CHECK_AFTER = 60.0
_SHARE_OF_LIFE = 8
_OK = 200
_NOT_MODIFIED = 304


class Question(Generic[V]):
    """One thing that may be asked for again and again."""

    path: str
    query: dict[str, object]

    def message(self, *, wait: float, etag: str | None = None) -> bytes:
        """The request."""
        where = _http.target(self.path, {**self.query, "wait": f"{wait:g}"})
        return _http.message("GET", where, etag=etag)

    def reader(
        self, terms: Terms, identity: object, held: Entry[V] | None = None
    ) -> Callable[[Answer, float], Entry[V]]:
        """What turns the answer into an entry. `held` is the entry whose ETag was sent."""

        def read(answer: Answer, sent_at: float) -> Entry[V]:
            if answer.status == _NOT_MODIFIED and held is not None:
                return held.confirmed(sent_at, self.aged(held, terms.now()))
            if answer.status != _OK:
                raise _checking.problem(answer)
            entry = self._entry(_checking.document(answer), sent_at, terms)
            entry.identity = identity
            if terms.now() >= entry.spent_at:
                raise _spent()
            return entry

        return read

    def value(self, data: dict[str, Any]) -> V:
        """The value in this answer. Raises ProtocolMismatch, also when it answers another."""
        raise NotImplementedError

    def etag(self, value: V) -> str:
        """The ETag of this value."""
        raise NotImplementedError

    def aged(self, held: Entry[V], now: float) -> V:
        """The value, flagged `degraded` once it is late: a 304 has no body to say so."""
        value = held.value
        if now < held.late_at or value.degraded:  # type: ignore[attr-defined]
            return value
        return self.degraded(value)

    def degraded(self, value: V) -> V:
        """The same value, flagged."""
        raise NotImplementedError

    def _entry(self, data: dict[str, Any], sent_at: float, terms: Terms) -> Entry[V]:
        value = self.value(data)
        life = _checking.number(data, "expires_in")
        use_until = _checking.number(data, "use_until", wall() + life)
        check_after = _checking.number(
            data, "check_after", min(_MOST_CHECK_AFTER, life / _SHARE_OF_LIFE)
        )
        check_after = max(0.0, check_after)
        asked_after = check_after if terms.check_after is None else terms.check_after
        asked_after = min(asked_after, check_after)
        # Counted from sending: the broker cannot have looked at its clock before that.
        return Entry(
            value,
            etag=self.etag(value),
            check_after=asked_after,
            check_at=sent_at + asked_after,
            late_at=terms.now() + use_until - wall(),
            spent_at=sent_at + life - check_after,
        )


class TokenQuestion(Question[Token]):
    """`GET /v1/tokens/{slot}`."""

    def __init__(self, slot: str, app: str | None) -> None:
        self.slot = slot
        self.app = app
        self.path = f"/v1/tokens/{_http.quoted(slot)}"
        self.query = {"app": app}

    def value(self, data: dict[str, Any]) -> Token:
        """The token, if it is the one asked for."""
        slot, app = _checking.text(data, "slot"), _checking.text(data, "app")
        if slot != self.slot or self.app not in {None, app}:
            raise _another(f"{self.slot} of app {self.app or 'any'}", f"{slot} of app {app}")
        return Token(
            _checking.secret(data.get("token"), "token"),
            serial=_checking.serial(data.get("serial"), slot),
            expires_at=_checking.number(data, "expires_at"),
            slot=slot,
            app=app,
            scopes=_checking.names(data.get("scopes")),
            degraded=data.get("degraded") is True,
        )

    def etag(self, value: Token) -> str:
        """The serial in quotes."""
        return f'"{value.serial}"'

    def degraded(self, value: Token) -> Token:
        """The same token, flagged."""
        return Token(
            value.value,
            serial=value.serial,
            expires_at=value.expires_at,
            slot=value.slot,
            app=value.app,
            scopes=value.scopes,
            degraded=True,
        )


class HeadersQuestion(Question[Headers]):
    """`GET /v1/headers`, with the payment token of this name or without one."""

    path = "/v1/headers"

    def __init__(self, payment: str | None, app: str | None) -> None:
        self.payment = payment
        self.app = app
        self.query = {"app": app, "payment": payment}

    def value(self, data: dict[str, Any]) -> Headers:
        """The headers, if they are those asked for."""
        app = _checking.text(data, "app")
        if self.app not in {None, app}:
            raise _another(f"headers of app {self.app}", f"app {app}")
        headers = read_headers(data, self.payment)
        headers.app = app
        headers.base_url = _checking.text(data, "base_url")
        headers.degraded = data.get("degraded") is True
        return headers

    def etag(self, value: Headers) -> str:
        """The serials in quotes, bearer first."""
        return '"' + ".".join(str(value.serials[kind]) for kind in sorted(value.serials)) + '"'

    def degraded(self, value: Headers) -> Headers:
        """The same headers, flagged."""
        flagged = value.copy()
        flagged.degraded = True
        return flagged


def read_headers(data: dict[str, Any], payment: str | None) -> Headers:
    """`headers` and `serials` of an answer: those two names and no other."""
    wanted = {"bearer": AUTHORIZATION}
    if payment is not None:
        wanted["payment"] = PAYMENT_HEADER
    values, serials = data.get("headers"), data.get("serials")
    if not isinstance(values, dict) or not isinstance(serials, dict):
        raise _checking.bad_answer("`headers` or `serials` is no object")
    return Headers(
        {name: _checking.secret(values.get(name), name) for name in wanted.values()},
        serials={kind: _checking.serial(serials.get(kind), kind) for kind in wanted},
        payment=payment,
    )


def _another(asked: str, got: str) -> BrokerError:
    return _checking.bad_answer(f"asked for the {asked}, it gave the {_checking.words(got)}")


def _spent() -> BrokerError:
    error = _checking.bad_answer("the token in it has too little life left to be used")
    error.passing = True
    return error
