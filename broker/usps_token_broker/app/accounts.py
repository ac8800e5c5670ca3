"""The configuration as accounts at USPS: whose secret is read where, and how calls are made."""

from collections.abc import Mapping

from usps_token_broker.app.fetching import Account, SecretReader, SecretUnreadableError
from usps_token_broker.config import AppSettings, Settings
from usps_token_broker.core.values import AccountId, Secret
from usps_token_broker.drivers import clock
from usps_token_broker.drivers.secret_source import (
    UNUSABLE,
    SecretError,
    SecretSource,
    read_secret,
)
from usps_token_broker.drivers.upstream import Upstream


class Accounts:
    """Makes the accounts of one configuration after another, for a daemon that runs as `uid`."""

    def __init__(self, environ: Mapping[str, str], uid: int) -> None:
        self._environ = environ
        self._uid = uid
        self._readers: dict[SecretSource, SecretReader] = {}

    def make(self, settings: Settings) -> dict[str, Account]:
        """By the names of their apps."""
        return {app.name: self._account(app) for app in settings.apps}

    def _account(self, app: AppSettings) -> Account:
        return Account(
            AccountId(app.host, app.client_id),
            self._reader(app.secret),
            Upstream(
                app.base_url,
                app.timeout_seconds,
                wall=lambda: clock.now().wall,
                proxy=app.proxy,
                ca_file=str(app.ca_file) if app.ca_file else None,
            ),
            {payment.name: payment.roles for payment in app.payments},
        )

    def _reader(self, source: SecretSource) -> SecretReader:
        """One for each source: of a source that hangs, no second read is begun after a reload."""

        def read() -> Secret:
            try:
                return read_secret(source, self._environ, uid=self._uid)
            except SecretError as error:
                raise SecretUnreadableError(
                    f"{error.what}: {error.why}",
                    error.do,
                    reason=error.reason,
                    passing=error.reason != UNUSABLE,
                ) from None

        return self._readers.setdefault(source, SecretReader(read))
