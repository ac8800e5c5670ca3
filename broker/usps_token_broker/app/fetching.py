"""One attempt at USPS for the loop: reads the secret anew, calls, and never raises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import anyio
import anyio.to_thread

from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import Endpoint, Secret, SlotId

READ_SECONDS: Final = 5.0
"""How long reading a secret may take. A file on a network share can hang for ever."""

Roles = tuple[Mapping[str, Any], ...]


class SecretUnreadableError(Exception):
    """The client secret cannot be read. The text says why and what to do, never the secret."""


class UpstreamCalls(Protocol):
    """The two USPS calls, as `drivers.upstream` makes them."""

    def load(self) -> None:
        """Import and read what a call needs. Blocks."""

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


class SecretReader:
    """Reads a secret in a thread, one read at a time.

    A read that hangs is left behind, and no other is begun beside it: threads would pile up.
    """

    def __init__(self, read: Callable[[], Secret], patience_seconds: float = READ_SECONDS) -> None:
        self._read = read
        self._patience_seconds = patience_seconds
        self._turn = anyio.Lock()
        self._reading = False

    async def read(self) -> Secret:
        """The secret as it is now. Raises SecretUnreadableError."""
        async with self._turn:
            if not self._reading:
                with anyio.move_on_after(self._patience_seconds):
                    return await anyio.to_thread.run_sync(self._read_once, abandon_on_cancel=True)
        raise SecretUnreadableError(
            f"reading it takes longer than {self._patience_seconds:g} s, so the disk or the share "
            "it lies on does not answer; put it on a local disk"
        )

    def _read_once(self) -> Secret:
        self._reading = True
        try:
            return self._read()
        finally:
            self._reading = False


class Fetching:
    """Fetches for all apps. `seen` is told the fingerprint of every secret that was read."""

    def __init__(self, accounts: Mapping[str, Account], seen: Callable[[str, str], None]) -> None:
        self._accounts = accounts
        self._seen = seen
        self._readers = {name: SecretReader(a.read_secret) for name, a in accounts.items()}
        self._loaded = {name: anyio.Event() for name in accounts}

    async def load(self) -> None:
        """Import what calls need. Those that are asked for meanwhile wait."""
        async with anyio.create_task_group() as tasks:
            for name in self._accounts:
                tasks.start_soon(self._load, name)

    async def _load(self, app: str) -> None:
        load = self._accounts[app].upstream.load
        await anyio.to_thread.run_sync(load, abandon_on_cancel=True)
        self._loaded[app].set()

    async def fetch(self, command: Fetch) -> Grant | Failure:
        """The outcome of one attempt."""
        await self._loaded[command.slot.app].wait()
        account = self._accounts[command.slot.app]
        if command.endpoint is Endpoint.TOKEN:
            secret = await self.read_secret(command.slot.app)
            if isinstance(secret, Failure):
                return secret
            outcome = await account.upstream.fetch_bearer(account.client_id, secret)
            return replace(outcome, asked_with=account.fingerprint(secret))
        assert command.bearer is not None  # noqa: S101 - the core gives every payment its bearer
        return await account.upstream.fetch_payment(command.bearer, self._roles(command.slot))

    def _roles(self, slot: SlotId) -> Roles:
        return self._accounts[slot.app].roles[slot.name]

    async def read_secret(self, app: str) -> Secret | Failure:
        """The client secret as it is now; a failure that costs no call when it cannot be read."""
        try:
            secret = await self._readers[app].read()
        except SecretUnreadableError as problem:
            return Failure(
                FailureKind.UNREACHED,
                Code.CREDENTIALS_REFUSED,
                f"the client secret of app {app} cannot be read: {problem}",
                "put that right; the broker looks again by itself within a minute",
            )
        self._seen(app, self._accounts[app].fingerprint(secret))
        return secret
