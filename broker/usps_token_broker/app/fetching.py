"""One attempt at USPS for the loop: reads the secret anew, calls, and never raises."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import anyio
import anyio.to_thread

from usps_token_broker.app.patience import Patient, StuckError
from usps_token_broker.core.commands import Fetch
from usps_token_broker.core.outcomes import Code, Failure, FailureKind, Grant
from usps_token_broker.core.values import AccountId, Endpoint, Secret

READ_SECONDS: Final = 5.0
"""How long reading a secret may take. A file on a network share can hang for ever."""

Roles = tuple[Mapping[str, Any], ...]


class SecretUnreadableError(Exception):
    """The client secret cannot be read. Says why and what to do, never the secret.

    What is `passing` is no fault of the secret's: nobody need put it right.
    """

    def __init__(
        self, why: str, do: str, *, reason: str = "secret_unusable", passing: bool = False
    ) -> None:
        super().__init__(f"{why}; {do}")
        self.why = why
        self.do = do
        self.reason = reason
        """The row of the catalogue."""
        self.passing = passing


class UpstreamCalls(Protocol):
    """The two USPS calls, as `drivers.upstream` makes them."""

    def load(self) -> None:
        """Import and read what a call needs. Blocks."""

    async def fetch_bearer(self, client_id: str, client_secret: Secret) -> Grant | Failure:
        """`POST /oauth2/v3/token`."""

    async def fetch_payment(self, bearer: Secret, roles: Roles) -> Grant | Failure:
        """`POST /payments/v3/payment-authorization`."""


class SecretReader:
    """Reads a secret, patiently. `read` may block; it raises SecretUnreadableError."""

    def __init__(self, read: Callable[[], Secret], patience_seconds: float = READ_SECONDS) -> None:
        self._read = Patient(read, patience_seconds)

    async def read(self) -> Secret:
        """The secret as it is now. Raises SecretUnreadableError."""
        try:
            return await self._read()
        except StuckError:
            raise SecretUnreadableError(
                f"reading it takes longer than {self._read.patience_seconds:g} s, so the disk or "
                "the share it lies on does not answer",
                "put it on a local disk",
                passing=True,
            ) from None


@dataclass(frozen=True, slots=True)
class Account:
    """How to ask for the tokens of one app."""

    id: AccountId
    secret: SecretReader
    upstream: UpstreamCalls
    roles: Mapping[str, Roles]
    """By slot name."""
    loaded: anyio.Event = field(default_factory=anyio.Event, compare=False)
    """Whether what a call needs is imported."""

    def fingerprint(self, secret: Secret) -> str:
        """Names these credentials, one way."""
        return secret.fingerprint(*self.id)

    async def load(self) -> None:
        """Import what a call needs."""
        await anyio.to_thread.run_sync(self.upstream.load, abandon_on_cancel=True)
        self.loaded.set()


_OUTDATED: Final = Failure(
    FailureKind.UNREACHED,
    Code.UPSTREAM_UNAVAILABLE,
    "the configuration changed before the call was made",
    "nothing to do: the broker asks anew",
)


class Fetching:
    """Fetches for all apps. `seen` is told the fingerprint of every secret that was read."""

    def __init__(self, accounts: Mapping[str, Account], seen: Callable[[str, str], None]) -> None:
        self.accounts = accounts
        """By the names of their apps. Those of another configuration may be put in their place."""
        self._seen = seen

    async def load(self) -> None:
        """Import what calls need. Those that are asked for meanwhile wait."""
        async with anyio.create_task_group() as tasks:
            for account in self.accounts.values():
                if not account.loaded.is_set():
                    tasks.start_soon(account.load)

    async def fetch(self, command: Fetch) -> Grant | Failure:
        """The outcome of one attempt."""
        account = self.accounts.get(command.slot.app)
        if account is None or account.id != command.account:
            return _OUTDATED
        await account.loaded.wait()
        if command.endpoint is Endpoint.TOKEN:
            return await self._fetch_bearer(command.slot.app, account)
        roles = account.roles.get(command.slot.name)
        if roles is None:
            return _OUTDATED
        assert command.bearer is not None  # noqa: S101 - the core gives every payment its bearer
        return await account.upstream.fetch_payment(command.bearer, roles)

    async def _fetch_bearer(self, app: str, account: Account) -> Grant | Failure:
        try:
            secret = await account.secret.read()
        except SecretUnreadableError as problem:
            return _unread(app, problem)
        self.see(app, account, secret)
        outcome = await account.upstream.fetch_bearer(account.id.client_id, secret)
        return replace(outcome, asked_with=account.fingerprint(secret))

    def see(self, app: str, account: Account, secret: Secret) -> None:
        """Tell which secret was read, if the account is still the one in force."""
        if self.accounts.get(app) is account:
            self._seen(app, account.fingerprint(secret))


def _unread(app: str, problem: SecretUnreadableError) -> Failure:
    """It costs no call. USPS is not to blame, which `reason` says beside the code."""
    return Failure(
        FailureKind.UNREACHED,
        Code.NOT_READY if problem.passing else Code.CREDENTIALS_REFUSED,
        f"the client secret of app {app} cannot be read: {problem.why}",
        f"{problem.do}; the broker looks again by itself within a minute",
        reason=problem.reason,
    )
