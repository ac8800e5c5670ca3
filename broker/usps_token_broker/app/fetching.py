"""One attempt at USPS for the loop: reads the secret anew, calls, and never raises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import anyio.to_thread

from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import Endpoint, Secret, SlotId

Roles = tuple[Mapping[str, Any], ...]


class UpstreamCalls(Protocol):
    """The two USPS calls, as `drivers.upstream` makes them."""

    async def fetch_bearer(self, client_id: str, client_secret: Secret) -> Grant | Failure:
        """`POST /oauth2/v3/token`."""

    async def fetch_payment(self, bearer: Secret, roles: Roles) -> Grant | Failure:
        """`POST /payments/v3/payment-authorization`."""


@dataclass(frozen=True, slots=True)
class Account:
    """How to ask for the tokens of one app.

    `read_secret` may block; it raises SecretUnreadableError.
    """

    client_id: str
    host: str
    read_secret: Callable[[], Secret]
    upstream: UpstreamCalls
    roles: Mapping[str, Roles]
    """By slot name."""

    def fingerprint(self, secret: Secret) -> str:
        """Names these credentials, one way."""
        return secret.fingerprint(self.host, self.client_id)


class SecretUnreadableError(Exception):
    """The client secret cannot be read. The text says why and what to do, never the secret."""


class Fetching:
    """Fetches for all apps. `seen` is told the fingerprint of every secret that was read."""

    def __init__(self, accounts: Mapping[str, Account], seen: Callable[[str, str], None]) -> None:
        self._accounts = accounts
        self._seen = seen

    async def fetch(self, command: Fetch) -> Grant | Failure:
        """The outcome of one attempt."""
        account = self._accounts[command.slot.app]
        if command.endpoint is Endpoint.TOKEN:
            secret = await self.read_secret(command.slot.app)
            if isinstance(secret, Failure):
                return secret
            return await account.upstream.fetch_bearer(account.client_id, secret)
        assert command.bearer is not None  # noqa: S101 - the core gives every payment its bearer
        return await account.upstream.fetch_payment(command.bearer, self._roles(command.slot))

    def _roles(self, slot: SlotId) -> Roles:
        return self._accounts[slot.app].roles[slot.name]

    async def read_secret(self, app: str) -> Secret | Failure:
        """The client secret as it is now; a failure that costs no call when it cannot be read."""
        account = self._accounts[app]
        try:
            secret = await anyio.to_thread.run_sync(account.read_secret)
        except SecretUnreadableError as problem:
            return Failure(
                FailureKind.UNREACHED,
                Code.CREDENTIALS_REFUSED,
                f"the client secret of app {app} cannot be read: {problem}",
                "mend the file and its mode; the broker looks again by itself within a minute",
            )
        self._seen(app, account.fingerprint(secret))
        return secret
