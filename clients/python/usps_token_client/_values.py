"""What the client hands out. None of it shows a token when it is printed."""

from __future__ import annotations

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import NoReturn

    from typing_extensions import Self  # noqa: UP035 - typing of Python 3.9 has none

BEARER = "bearer"
PAYMENT = "payment"
DEFAULT = "default"
"""The payment name whose slot is plain `payment`."""
AUTHORIZATION = "Authorization"
PAYMENT_HEADER = "X-Payment-Authorization-Token"
"""The header that label calls want (USPS Labels 3.9.13)."""


class _Frozen:
    """Attributes are set once, at construction; a copy is the thing itself."""

    __slots__ = ()

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change; ask for a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change; ask for a new one")

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds a token and is not pickled: "
            "let the other process ask the broker itself"
        )


class Token(_Frozen):
    """One token. Only `value` gives it away; printing, formatting and logging do not.

    `serial` names it to the broker. `expires_at` is Unix seconds (infinite for a static token).
    `slot` is `bearer`, `payment` or `payment-NAME`; `app` the application it belongs to. `scopes`
    is None where USPS named none. `degraded`: it is in its last half hour, because USPS cannot be
    reached; it works, but say so where somebody looks.
    """

    __slots__ = ("app", "degraded", "expires_at", "scopes", "serial", "slot", "value")

    value: str
    serial: int
    expires_at: float
    slot: str
    app: str
    scopes: tuple[str, ...] | None
    degraded: bool

    def __init__(  # noqa: PLR0913 - one argument for each attribute
        self,
        value: str,
        *,
        serial: int,
        expires_at: float,
        slot: str = BEARER,
        app: str = "",
        scopes: Iterable[str] | None = None,
        degraded: bool = False,
    ) -> None:
        self._set(
            value=value,
            serial=serial,
            expires_at=expires_at,
            slot=slot,
            app=app,
            scopes=None if scopes is None else tuple(scopes),
            degraded=degraded,
        )

    def __repr__(self) -> str:
        return f"<Token {self.slot}, serial {self.serial}, value hidden>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Token):
            return NotImplemented
        return (self.slot, self.serial, self.value) == (other.slot, other.serial, other.value)

    def __hash__(self) -> int:
        return hash((self.slot, self.serial))


class Headers(dict[str, str]):
    """Request headers for USPS, for any HTTP library; a plain dict but for how it prints.

    `serials` names the tokens in it (`bearer`, `payment`), for `report(..., used=headers)`.
    `payment` is the name of the payment token, None without one. `base_url` is the USPS host of
    this app. `degraded` as for a Token.
    """

    __slots__ = ("app", "base_url", "degraded", "payment", "serials")

    def __init__(  # noqa: PLR0913 - one argument for each attribute
        self,
        values: Mapping[str, str],
        *,
        serials: Mapping[str, int],
        app: str = "",
        base_url: str = "",
        payment: str | None = None,
        degraded: bool = False,
    ) -> None:
        super().__init__(values)
        self.serials = dict(serials)
        self.app = app
        self.base_url = base_url
        self.payment = payment
        self.degraded = degraded

    def copy(self) -> Headers:
        """An equal one that may be changed without touching this one."""
        # Not by the constructor: every read of headers makes a copy, and this is twice as fast.
        twin = Headers.__new__(Headers)
        twin.update(self)
        twin.serials = self.serials.copy()
        twin.app = self.app
        twin.base_url = self.base_url
        twin.payment = self.payment
        twin.degraded = self.degraded
        return twin

    __copy__ = copy

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self) or 'empty'}; values hidden>"


class Verdict(_Frozen):
    """What the broker made of a refused call.

    `retry`: send the call once more, with `headers`. `outcome` is `superseded` or `renewed` (there
    is a newer token), `throttled` or `failed` (there is none yet; `retry_after` seconds, where
    known), or `not_the_token` (the token is fine; `code`, `detail` and `fix` say what is not).
    """

    __slots__ = (
        "code", "detail", "fix", "headers", "outcome", "reason", "retry", "retry_after", "serials",
    )  # fmt: skip

    code: str
    detail: str
    fix: str
    retry: bool
    outcome: str
    reason: str
    headers: Headers | None
    serials: dict[str, int]
    retry_after: float | None

    def __init__(  # noqa: PLR0913 - one argument for each attribute
        self,
        *,
        code: str,
        detail: str,
        fix: str,
        retry: bool,
        outcome: str,
        headers: Headers | None = None,
        retry_after: float | None = None,
        reason: str = "",
    ) -> None:
        self._set(
            code=code,
            reason=reason or code,
            detail=detail,
            fix=fix,
            retry=retry,
            outcome=outcome,
            headers=headers,
            serials={} if headers is None else dict(headers.serials),
            retry_after=retry_after,
        )

    def __repr__(self) -> str:
        return f"<Verdict {self.outcome}: {self.code}, retry={self.retry}>"


def payment_slot(name: str) -> str:
    """The slot of a payment name: `default` is `payment`, any other NAME is `payment-NAME`.

    Raises ValueError for a name that no slot can have.
    """
    if not name or "/" in name:
        raise ValueError(f"{name!r} cannot name a payment token: a name is not empty and has no /")
    return PAYMENT if name == DEFAULT else f"{PAYMENT}-{name}"


def payment_name(slot: str) -> str | None:
    """The payment name of a slot, None for the bearer."""
    if slot == BEARER:
        return None
    return DEFAULT if slot == PAYMENT else slot[len(PAYMENT) + 1 :]
