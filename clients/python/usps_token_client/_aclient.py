"""The client for asyncio. It imports asyncio when first used, not before."""

from __future__ import annotations

from ._settings import PAYMENT_PATHS, READY_SECONDS, Settings
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    import aiohttp
    import httpx

    from ._httpx import AsyncTokenTransport
    from ._keeping import Holding
    from ._reporting import Pairs, Used
    from ._steps import Steps
    from ._typing import V
    from ._values import Headers, Token, Verdict


class AsyncTokenClient(Settings):
    """`TokenClient` for asyncio: the same arguments, the same methods, to be awaited.

    Safe for any number of tasks and loops. A cancelled caller disturbs nobody else.
    """

    __slots__ = ()

    async def bearer(self) -> Token:
        """The OAuth token. From memory while it is known to be good."""
        token, good_until = self._bearer.warm
        if self._now() < good_until:
            return token
        return await self._obtain(self._bearer)

    async def payment(self, name: str = "default") -> Token:
        """The payment token of this name. Raises ValueError for a name no token can have."""
        holding = self._payments.get(name)
        if holding is None:
            holding = self._core.payment(name)
        token, good_until = holding.warm
        if self._now() < good_until:
            return token
        return await self._obtain(holding)

    async def headers(self, *, payment: bool | str = False) -> Headers:
        """Request headers for USPS, bearer and payment token of one moment; yours to change.

        `payment`: False for calls that need none, True, or the name of a payment token.
        """
        holding = self._header_sets.get(payment)
        if holding is None:
            holding = self._core.headers(payment)
        headers, good_until = holding.warm
        if self._now() < good_until:
            return headers.copy()
        return (await self._obtain(holding)).copy()

    async def report(  # noqa: PLR0913 - one argument for each part of an answer
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
        return await self._run(self._core.report(report))

    async def status(self) -> dict[str, Any]:
        """The broker's state as it tells people: phases, ends, troubles, budget. No secret."""
        return await self._run(self._core.status())

    async def ready(self, *slots: str, min_valid: float | None = None) -> bool:
        """Whether these slots (`bearer`, `payment`, …), or all required ones, have a good token.

        `min_valid`: with at least so many seconds of life. Raises BrokerError when nobody answers.
        """
        return not await self._run(self._core.unready(slots, min_valid))

    async def wait_ready(
        self,
        timeout: float = READY_SECONDS,  # noqa: ASYNC109 - as TokenClient.wait_ready
        *slots: str,
        min_valid: float | None = None,
    ) -> None:
        """Wait until `ready(*slots)`, at most `timeout` seconds, also for a broker to appear.

        Raises BrokerTimeout with the last reason; what only a person can mend is raised at once.
        """
        await self._run(self._core.until_ready(timeout, slots, min_valid))

    def transport(
        self,
        base: httpx.AsyncBaseTransport | None = None,
        *,
        payment: bool | str = True,
        payment_paths: tuple[str, ...] = PAYMENT_PATHS,
        raise_refusals: bool = False,
    ) -> AsyncTokenTransport:
        """`TokenClient.transport()` for httpx.AsyncClient.

        `base` does the sending (httpx.AsyncHTTPTransport() by default).
        """
        from ._httpx import AsyncTokenTransport  # noqa: PLC0415 - httpx is the caller's

        rules = self._rules(payment, payment_paths, raise_refusals)
        return AsyncTokenTransport(self, base, rules)

    def middleware(
        self,
        *,
        payment: bool | str = True,
        payment_paths: tuple[str, ...] = PAYMENT_PATHS,
        raise_refusals: bool = False,
    ) -> aiohttp.ClientMiddlewareType:
        """A middleware for aiohttp.ClientSession(middlewares=[...]): as `TokenClient.transport()`.

        The last of several, so that it sees the request as it is sent. What came of a 401 is in
        `response.usps_token_verdict`, `.usps_token_error` and `.usps_token_note`, else None; such a
        response was read whole, so that `read()`, `text()` and `json()` have it and `content` has
        not.
        """
        from ._aiohttp import TokenMiddleware  # noqa: PLC0415 - aiohttp is the caller's

        return TokenMiddleware(self, self._rules(payment, payment_paths, raise_refusals))

    async def _obtain(self, holding: Holding[V]) -> V:
        from ._aio import TaskFlight  # noqa: PLC0415 - asyncio is the caller's, if anybody's

        return await self._run(self._core.obtain(holding, TaskFlight))

    async def _run(self, steps: Steps[V]) -> V:
        from . import _aio  # noqa: PLC0415 - as above

        return await _aio.run(steps, self._socket, self._now)
