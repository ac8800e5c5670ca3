"""What a client is made of: its checked arguments, and the core that does the work."""

from __future__ import annotations

import os

from . import _clock
from ._core import Core
from ._errors import bare
from ._obtaining import Terms
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Self  # noqa: UP035 - typing of Python 3.9 has none

    from ._hops import Rules
    from ._static import Payments

TIMEOUT_SECONDS = 12.0
WAIT_SECONDS = 10.0
READY_SECONDS = 60.0
MOST_WAIT_SECONDS = 60.0
"""The longest `wait` a broker takes."""
STATIC_VARIABLE = "USPS_TOKEN_STATIC"
PRODUCTION = "https://apis.usps.com"
_NOBODY = os.devnull
"""Stands for the socket of a client that asks nobody."""
PAYMENT_PATHS = ("/labels/", "/international-labels/", "/pmod/", "/returns/")
"""The APIs of which USPS wants the payment token in every call (Labels 3.9.13: return labels and
indicia too; Payments 3.1.20: international labels, returns, Open and Distribute)."""


class Settings:
    """The part that the clients for threads and for asyncio have in common."""

    __slots__ = (
        "__weakref__", "_bearer", "_core", "_header_sets", "_now", "_payments", "_socket",
    )  # fmt: skip

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        app: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        wait: float = WAIT_SECONDS,
        check_after: float | None = None,
    ) -> None:
        self._now: Callable[[], float] = _clock.now
        self._socket = None if socket is None else os.fsdecode(socket)
        if self._socket is not None and ("\0" in self._socket or not self._socket):
            raise ValueError("`socket` is the path of a Unix socket; leave it out to look for it")
        if not 0.0 < timeout < float("inf"):
            raise ValueError("`timeout` is a number of seconds above 0")
        if not 0.0 <= wait <= MOST_WAIT_SECONDS:
            raise ValueError(f"`wait` is 0 to {MOST_WAIT_SECONDS:g} seconds")
        if check_after is not None and not check_after >= 0.0:
            raise ValueError("`check_after` is a number of seconds, not below 0")
        if socket is None and os.environ.get(STATIC_VARIABLE):
            from . import _static  # noqa: PLC0415 - hardly anybody needs it

            self._use(_static.of_environment())
        else:
            terms = Terms(
                # Through the attribute, so that the one clock of a client can be replaced.
                now=lambda: self._now(),  # noqa: PLW0108
                timeout=timeout,
                wait=wait,
                check_after=check_after,
            )
            self._use(Core(app, terms))

    @classmethod
    def static(cls, *, bearer: str, payment: Payments = None, base_url: str = PRODUCTION) -> Self:
        """A client that hands out these tokens and asks nobody; for tests and for developers.

        `payment` is one token, or a token for each payment name. Raises ValueError for a text that
        is no token.
        """
        from ._static import StaticCore  # noqa: PLC0415 - hardly anybody needs it

        client = cls(_NOBODY)
        try:
            client._use(StaticCore(bearer, payment, base_url))
        except ValueError as error:
            del bearer, payment  # for reporters of crashes, as in `bare`
            raise bare(error) from None
        return client

    def forget(self) -> None:
        """Drop what is kept of the broker's answers: whoever asks next asks the broker.

        For when the socket it finds is another broker's from now on, as in tests. A static client
        keeps what it was given.
        """
        self._core.forget()

    def _use(self, core: Core) -> None:
        self._core = core
        # Warm reads begin here, and go no detour.
        self._bearer = core.bearer
        self._payments = core.payments
        self._header_sets = core.header_sets

    @staticmethod
    def _rules(
        payment: bool | str,  # noqa: FBT001 - as the methods have it
        paths: tuple[str, ...],
        raise_refusals: bool,  # noqa: FBT001 - as above
    ) -> Rules:
        from ._hops import Rules  # noqa: PLC0415 - for those who call by a library

        return Rules(payment=payment, paths=paths, raise_refusals=raise_refusals)

    def __repr__(self) -> str:
        core = getattr(self, "_core", None)
        if core is None:  # A debugger looks at one whose arguments were refused.
            return f"<{type(self).__name__}, not made>"
        where = "static" if core.is_static else self._socket
        return f"<{type(self).__name__} app={core.app!r} socket={where!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._core.is_static:
            raise TypeError("a client with static tokens is not pickled: its tokens would be")
        terms = self._core.terms
        options = {
            "app": self._core.app,
            "timeout": terms.timeout,
            "wait": terms.wait,
            "check_after": terms.check_after,
        }
        return _remake, (type(self), self._socket, options)


def _remake(cls: type[Settings], socket: str | None, options: dict[str, Any]) -> Settings:
    """A client of these settings, with nothing kept yet; what a pickled one becomes."""
    return cls(socket, **options)
