"""The client for threads."""

from __future__ import annotations

from . import _driving
from ._settings import PAYMENT_PATHS, READY_SECONDS, Settings
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    import httpx
    import requests
    import urllib3

    from ._httpx import TokenTransport
    from ._keeping import Holding
    from ._reporting import Pairs, Used
    from ._steps import Steps
    from ._typing import V
    from ._values import Headers, Token, Verdict


class TokenClient(Settings):
    """Takes USPS tokens from the broker on this host. For any number of threads, over forks too.

    `socket`: the broker's socket; without it USPS_TOKEN_SOCKET, then the first that exists of
    /run/usps-token-broker/broker.sock and $XDG_RUNTIME_DIR/usps-token-broker/broker.sock.
    `app`: which USPS application, where this user may use several.
    `timeout`: seconds in which every call returns or raises, all waiting and retrying included.
    `wait`: seconds that the broker may wait for USPS when it has no token yet (at most 60).
    `check_after`: seconds a token is used without asking whether it is still the one; the broker
    says 60, and this can only make it less.

    Without a `socket` argument and with USPS_TOKEN_STATIC set it hands out that token and asks
    nobody. Raises ValueError for an argument, or such a variable, that cannot be meant.

    A client keeps no connection, no thread and no lock: make one when the module is loaded and use
    it everywhere. Every method raises `BrokerError`, whose subclasses say why.
    """

    __slots__ = ()

    def bearer(self) -> Token:
        """The OAuth token. From memory while it is known to be good: no lock, no system call."""
        token, good_until = self._bearer.warm
        if self._now() < good_until:
            return token
        return self._obtain(self._bearer)

    def payment(self, name: str = "default") -> Token:
        """The payment token of this name. Raises ValueError for a name no token can have."""
        holding = self._payments.get(name)
        if holding is None:
            holding = self._core.payment(name)
        token, good_until = holding.warm
        if self._now() < good_until:
            return token
        return self._obtain(holding)

    def headers(self, *, payment: bool | str = False) -> Headers:
        """Request headers for USPS, bearer and payment token of one moment; yours to change.

        `payment`: False for calls that need none, True, or the name of a payment token.
        """
        holding = self._header_sets.get(payment)
        if holding is None:
            holding = self._core.headers(payment)
        headers, good_until = holding.warm
        if self._now() < good_until:
            return headers.copy()
        return self._obtain(holding).copy()

    def report(  # noqa: PLR0913 - one argument for each part of an answer
        self,
        status: int,
        headers: Pairs | None = None,
        body: bytes | str = b"",
        path: str = "",
        host: str | None = None,
        *,
        used: Used,
    ) -> Verdict:
        """Tell the broker that USPS refused a call; it says what that means and what to do.

        The arguments are USPS's answer as it came, and the path and host that were called. `used`
        is what the call was made with: the `headers()` or the Token(s), or their serials. Send the
        call again, once, if `retry` of the verdict is true, with its `headers`.
        """
        from ._reporting import Report  # noqa: PLC0415 - most processes never report

        report = Report(status=status, headers=headers, body=body, path=path, host=host, used=used)
        return self._run(self._core.report(report))

    def status(self) -> dict[str, Any]:
        """The broker's state as it tells people: phases, ends, troubles, budget. No secret."""
        return self._run(self._core.status())

    def ready(self, *slots: str, min_valid: float | None = None) -> bool:
        """Whether these slots (`bearer`, `payment`, …), or all required ones, have a good token.

        `min_valid`: with at least so many seconds of life. Raises BrokerError when nobody answers.
        """
        return not self._run(self._core.unready(slots, min_valid))

    def wait_ready(
        self, timeout: float = READY_SECONDS, *slots: str, min_valid: float | None = None
    ) -> None:
        """Wait until `ready(*slots)`, at most `timeout` seconds, also for a broker to appear.

        Raises BrokerTimeout with the last reason; what only a person can mend is raised at once.
        """
        self._run(self._core.until_ready(timeout, slots, min_valid))

    def transport(
        self,
        base: httpx.BaseTransport | None = None,
        *,
        payment: bool | str = True,
        payment_paths: tuple[str, ...] = PAYMENT_PATHS,
        raise_refusals: bool = False,
    ) -> TokenTransport:
        """An httpx transport that puts the headers on, for the USPS host of this app alone.

        `base` does the sending (httpx.HTTPTransport() by default). `payment`: the payment token for
        label calls, True or by name; False for none. `payment_paths`: what counts as a label call.

        A 401 is told to the broker, and the call sent once more where a newer token may mend it and
        its body can be sent again. Else USPS's own answer is the result, with the Verdict, or the
        BrokerError for which there is none, in its `extensions["usps_token_verdict"]` and
        `["usps_token_error"]`, and in `["usps_token_note"]` why it was not sent again. With
        `raise_refusals` CallRefused is raised instead. A call without a token to put on raises
        another BrokerError.
        """
        from ._httpx import TokenTransport  # noqa: PLC0415 - httpx is the caller's

        rules = self._rules(payment, payment_paths, raise_refusals)
        return TokenTransport(self, base, rules)

    def session(
        self,
        session: requests.Session | None = None,
        *,
        payment: bool | str = True,
        payment_paths: tuple[str, ...] = PAYMENT_PATHS,
        raise_refusals: bool = False,
    ) -> requests.Session:
        """A requests.Session that does as `transport()` says, or this one made so.

        The adapters it has do the sending, and leave 401 out of what they retry by themselves; one
        mounted later is on its own. What came of a 401 is
        in `response.usps_token_verdict`, `.usps_token_error` and `.usps_token_note`, else None.
        """
        from ._requests import with_tokens  # noqa: PLC0415 - requests is the caller's

        rules = self._rules(payment, payment_paths, raise_refusals)
        return with_tokens(self, session, rules)

    def pool_manager(
        self,
        proxy_url: str | None = None,
        *,
        payment: bool | str = True,
        payment_paths: tuple[str, ...] = PAYMENT_PATHS,
        raise_refusals: bool = False,
        **options: Any,  # noqa: ANN401 - those of urllib3
    ) -> urllib3.PoolManager:
        """A urllib3.PoolManager that does as `transport()` says; with `proxy_url` a ProxyManager.

        `options` are those of urllib3. What came of a 401 is found as with `session()`.
        """
        from ._urllib3 import make_manager  # noqa: PLC0415 - urllib3 is the caller's

        rules = self._rules(payment, payment_paths, raise_refusals)
        return make_manager(self, rules, proxy_url, options)

    def _obtain(self, holding: Holding[V]) -> V:
        return self._run(self._core.obtain(holding, _driving.ThreadFlight))

    def _run(self, steps: Steps[V]) -> V:
        return _driving.run(steps, self._socket, self._now)
