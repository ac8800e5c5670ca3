"""The calls, each on a connection of its own, under one deadline.

httpx is imported by `load`, not with this module: it takes a tenth of a second, and the daemon
listens first.
"""

import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import ssl
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

import anyio
import anyio.to_thread

from usps_token_broker.core.outcomes import Failure, Grant
from usps_token_broker.core.values import Secret
from usps_token_broker.drivers.upstream import faults, trust
from usps_token_broker.drivers.upstream.flight import Answer, Flight, Stage
from usps_token_broker.wire.grants import read_payment_answer, read_token_answer
from usps_token_broker.wire.usps import MAX_ANSWER_BYTES, is_compressed
from usps_token_broker.wire.usps_dates import skew_seconds

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS: Final = 8.0
TOKEN_PATH: Final = "/oauth2/v3/token"  # noqa: S105 - a path (USPS OAuth 3.1.4)
PAYMENT_PATH: Final = "/payments/v3/payment-authorization"
"""USPS Payments 3.1.20."""

_JSON: Final = "application/json"
"""Without a charset, and never in a list: USPS supports neither."""

Read = Callable[[int, Mapping[str, str], bytes, Sequence[Secret]], Grant | Failure]


def load() -> None:
    """Import what a call needs, so that an upgrade under a running daemon mixes no versions."""
    import encodings.idna  # noqa: F401, PLC0415 - the first name lookup wants it

    import certifi  # noqa: F401, PLC0415 - as httpx

    with _without_trio():
        import httpcore  # noqa: F401, PLC0415 - httpx imports it at the first call
        import httpx  # noqa: F401, PLC0415 - the daemon listens first

    _user_agent()


@contextlib.contextmanager
def _without_trio() -> Iterator[None]:
    """Keep httpcore from importing trio, where that happens to be installed: nothing runs on it.

    As it is imported trio asks ldconfig for a library, and gcc where that knows none, which wants a
    directory for temporary files; a read-only container has no such place.
    """
    if "trio" in sys.modules:
        yield
        return
    sys.modules["trio"] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        yield
    finally:
        del sys.modules["trio"]


class Upstream:
    """The token endpoints of one USPS host.

    Args:
        base_url: Scheme and host, without a path.
        timeout_seconds: For a whole attempt, from the name lookup to the last byte.
        wall: Unix time; read when an answer comes, to tell how far USPS's clock is from ours.
        proxy: The only proxy that is used; those of the environment are not.
        ca_file: Trusted in place of the system's certificates.
    """

    def __init__(
        self,
        base_url: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
        *,
        wall: Callable[[], float],
        proxy: str | None = None,
        ca_file: str | None = None,
    ) -> None:
        self._route = faults.Route(base_url.rstrip("/"), proxy, ca_file, timeout_seconds)
        self._wall = wall

    def load(self) -> None:
        """Import and read what a call needs. Blocks for a tenth of a second, and never raises."""
        load()
        with contextlib.suppress(OSError):  # The call that needs it will say what is wrong.
            self._trusted()

    async def fetch_bearer(self, client_id: str, client_secret: Secret) -> Grant | Failure:
        """`POST /oauth2/v3/token`. Raises nothing but cancellation.

        No scope is named: naming some gets less than the app's default (USPS OAuth 3.1.4).
        """
        body = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret.reveal(),
        }
        return await self._attempt(TOKEN_PATH, {}, body, read_token_answer, (client_secret,))

    async def fetch_payment(
        self, bearer: Secret, roles: Sequence[Mapping[str, object]]
    ) -> Grant | Failure:
        """`POST /payments/v3/payment-authorization`. Raises nothing but cancellation."""
        headers = {"Authorization": f"Bearer {bearer.reveal()}"}
        body = {"roles": [dict(role) for role in roles]}
        return await self._attempt(PAYMENT_PATH, headers, body, read_payment_answer, (bearer,))

    async def _attempt(
        self,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, object],
        read: Read,
        secrets: Sequence[Secret],
    ) -> Grant | Failure:
        flight = Flight()
        error: Exception | None = None
        try:
            with anyio.move_on_after(self._route.timeout_seconds):
                await self._exchange(flight, path, headers, body)
        except Exception as caught:  # noqa: BLE001 - whatever it is, the caller gets a failure
            error = caught
        finally:
            await flight.close()
        # An answer that came whole counts, even if closing the connection then failed.
        if flight.answer is not None:
            answer = flight.answer
            outcome = read(answer.status, answer.headers, answer.body, secrets)
            skew = skew_seconds(answer.headers, answer.at_wall)
            return dataclasses.replace(outcome, skew_seconds=skew)
        if error is None:
            return faults.of_deadline(flight, self._route)
        if faults.is_distrust(error):
            trust.forget()
        return faults.of_error(error, flight, self._route)

    async def _exchange(
        self,
        flight: Flight,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, object],
    ) -> None:
        """Call, and put the answer into the flight."""
        content = json.dumps(body).encode("ascii")
        async with await self._client() as client:
            flight.stage = Stage.CALLING
            async with client.stream(
                "POST",
                self._route.base_url + path,
                headers=headers,
                content=content,
                extensions={"trace": flight.trace},
            ) as response:
                at_wall = self._wall()
                answered = await _bounded(response)
                flight.answer = Answer(response.status_code, response.headers, answered, at_wall)

    async def _client(self) -> "httpx.AsyncClient":
        """A client for one attempt: no connection and no cookie outlives it."""
        import httpx  # noqa: PLC0415 - see load

        if self._speaks_tls() and not trust.is_made(self._route.ca_file):
            context = await anyio.to_thread.run_sync(self._trusted)
        else:  # Needs no thread, so it works when all of them hang.
            context = self._trusted()
        proxy = None
        if self._route.proxy is not None:
            # httpx wants no context for a proxy that it speaks plain HTTP with.
            to_proxy = context if _is_tls(self._route.proxy) else None
            proxy = httpx.Proxy(self._route.proxy, ssl_context=to_proxy)
        return httpx.AsyncClient(
            headers={
                "Accept": _JSON,
                "Accept-Encoding": "identity",
                "Connection": "close",
                "Content-Type": _JSON,
                "User-Agent": _user_agent(),
            },
            verify=context,
            proxy=proxy,
            trust_env=False,
            follow_redirects=False,
            http1=True,
            http2=False,
            timeout=None,  # noqa: S113 - one deadline stands over all of it
        )

    def _speaks_tls(self) -> bool:
        return _is_tls(self._route.base_url) or _is_tls(self._route.proxy or "")

    def _trusted(self) -> ssl.SSLContext:
        """The context for TLS. Raises OSError."""
        if self._speaks_tls():
            return trust.context_for(self._route.ca_file)
        # Nothing here speaks TLS; an empty context trusts nobody, should that ever be wrong.
        return trust.plain()


def _is_tls(url: str) -> bool:
    return url.lower().startswith("https:")


async def _bounded(response: "httpx.Response") -> bytes:
    """The body as it was sent, at most one chunk beyond the limit. Compressed ones are not read."""
    body = bytearray()
    if is_compressed(response.headers):
        return b""
    # It is a generator, and one that is left early has to be closed.
    async with contextlib.aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw())) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                break
    return bytes(body)


@functools.cache
def _user_agent() -> str:
    try:
        return f"usps-token-broker/{importlib.metadata.version('usps-token-broker')}"
    except importlib.metadata.PackageNotFoundError:
        return "usps-token-broker"
