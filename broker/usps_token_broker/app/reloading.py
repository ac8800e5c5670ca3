"""Another configuration in place of the one in force: all of it, or nothing."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import anyio

from usps_token_broker.app.fetching import Account, SecretUnreadableError
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.patience import Patient, StuckError
from usps_token_broker.app.ports import Clock
from usps_token_broker.app.telling import config_problems
from usps_token_broker.config import ConfigError, Problem, Settings
from usps_token_broker.config.differences import differences, fixed, keep_broken
from usps_token_broker.config.problems import key_path
from usps_token_broker.core.credentials import Standing
from usps_token_broker.core.snapshot import AppView
from usps_token_broker.core.values import BEARER, Phase, Secret, SlotId
from usps_token_broker.drivers import journal
from usps_token_broker.wire.orders import ReloadMessage, SecretMessage

log = logging.getLogger(journal.LOGGER)

LOAD_SECONDS: Final = 30.0
"""How long reading the configuration may take: a name service or a network share can hang."""
LONG_SECONDS: Final = 5.0
"""A reload that reads for longer is told of while it does."""


_OPEN: Final = {Standing.PENDING, Standing.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Outlook:
    """A configuration that could be put in force, and the secrets it was proved with."""

    settings: Settings
    accounts: Mapping[str, Account]
    secrets: Mapping[str, Secret]


class Reloader:
    """Reads, checks and applies configurations, one at a time.

    `load` may block and raises ConfigError; `apply` puts an outlook in force, without waiting.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing it goes between
        self,
        settings: Settings,
        *,
        load: Callable[[], Settings],
        make_accounts: Callable[[Settings], Mapping[str, Account]],
        apply: Callable[[Outlook], None],
        loop: Loop,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._load = Patient(load, LOAD_SECONDS)
        self._make_accounts = make_accounts
        self._apply = apply
        self._loop = loop
        self._clock = clock
        self._turn = anyio.Lock()
        self.reading_since: float | None = None
        """Since when a reload reads the configuration and the secrets, Unix seconds; else None."""

    async def reload(self, wait_seconds: float) -> ReloadMessage:
        """Put in force what is configured now; changed secrets get that long to be proved.

        Raises ConfigError, and then nothing has changed.
        """
        async with self._turn:
            outlook = await self._look_and_tell()
            changed = differences(self._settings, outlook.settings)
            self._settings = outlook.settings
            before = self._loop.broker.secrets_in_force()
            self._apply(outlook)
            new = self._loop.broker.secrets_in_force()
            # At once: whoever ordered it may be gone before the secrets are proved.
            _log_in_force(changed, outlook.settings.warnings)
        changed_secrets = [app for app in new if before.get(app) != new[app]]
        until_at = self._clock().boot + wait_seconds
        await self._loop.until(lambda: not self._on_trial(changed_secrets, until_at), wait_seconds)
        message = ReloadMessage(
            changed=changed,
            secrets=self._outcomes(changed_secrets),
            left_out=config_problems(p for b in outlook.settings.broken for p in b.problems),
            warnings=list(outlook.settings.warnings),
        )
        _log_secrets(message.secrets)
        return message

    async def _look_and_tell(self) -> Outlook:
        """Look, and tell who reads the log or the status when that takes long."""
        self.reading_since = self._clock().wall
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_tell_when_it_takes_long)
                looked = await self._looked()
                tasks.cancel_scope.cancel()
        finally:
            self.reading_since = None
        if isinstance(looked, ConfigError):
            raise looked
        return looked

    async def _looked(self) -> Outlook | ConfigError:
        """The error as a value: a task group would wrap one that is raised."""
        try:
            return await self._look()
        except ConfigError as error:
            return error

    async def _look(self) -> Outlook:
        settings = await self._read()
        problems = list(fixed(self._settings, settings))
        settings = keep_broken(self._settings, settings)
        accounts = self._make_accounts(settings)
        secrets: dict[str, Secret] = {}
        for app, account in accounts.items():
            try:
                secrets[app] = await account.secret.read()
            except SecretUnreadableError as problem:
                problems.append(_unreadable(settings, app, problem))
        if problems:
            raise ConfigError(problems)
        return Outlook(settings, accounts, secrets)

    async def _read(self) -> Settings:
        try:
            return await self._load()
        except StuckError:
            raise ConfigError(
                [
                    Problem(
                        self._settings.source.removeprefix("file "),
                        "",
                        f"to be read within {LOAD_SECONDS:g} s",
                        "a disk, a share or a name service that does not answer",
                        "see to that, then reload again",
                    )
                ]
            ) from None

    def _on_trial(self, apps: Iterable[str], until_at: float) -> bool:
        """Whether USPS's word on one of these secrets may come before that instant."""
        now, views = self._clock(), self._views()
        latest = now.wall + until_at - now.boot
        return any(app in views and _may_come(views[app], latest) for app in apps)

    def _views(self) -> dict[str, AppView]:
        snapshot = self._loop.broker.snapshot(self._clock())
        return {app.plan.name: app for app in snapshot.apps}

    def _outcomes(self, apps: Iterable[str]) -> list[SecretMessage]:
        views = self._views()
        return [self._outcome(app, views[app]) for app in apps if app in views]

    def _outcome(self, app: str, view: AppView) -> SecretMessage:
        trouble = view.slots[0].trouble
        match view.credentials:
            case Standing.ACCEPTED:
                return SecretMessage(app, "accepted", "secret accepted")
            case Standing.REFUSED:
                good_until = self._good_until(app)
                why = f" ({trouble.detail}). {trouble.fix}" if trouble else ""
                held = (
                    "there is no old token to go on with"
                    if good_until is None
                    else f"the old token is good until {_o_clock(good_until)}"
                )
                return SecretMessage(app, "refused", f"refused: {held}{why}", good_until)
            case _:
                text = f"not proved yet: {_why_open(view)}; the old token stays meanwhile"
                return SecretMessage(app, "pending", text)

    def _good_until(self, app: str) -> float | None:
        now = self._clock()
        serving = self._loop.broker.serving(SlotId(app, BEARER), now)
        return None if serving is None else now.wall + serving.spent_boot_at - now.boot


def _may_come(view: AppView, latest_wall: float) -> bool:
    bearer = view.slots[0]
    if view.credentials not in _OPEN:
        return False
    next_at = bearer.next_attempt_at
    return bearer.phase is Phase.FETCHING or (next_at is not None and next_at <= latest_wall)


def _why_open(view: AppView) -> str:
    bearer = view.slots[0]
    if bearer.phase is Phase.FETCHING:
        return "USPS has not answered yet"
    why = f"{bearer.trouble.detail}; " if bearer.trouble else ""
    if bearer.next_attempt_at is None:
        return f"{why}no call is planned"
    return f"{why}the next call that the budget allows is at {_o_clock(bearer.next_attempt_at)}"


def _unreadable(settings: Settings, app: str, problem: SecretUnreadableError) -> Problem:
    return Problem(
        settings.source.removeprefix("file "),
        key_path("apps", app, "client_secret"),
        "a secret that can be read",
        problem.why,
        f"{problem.do}; the one read before stays in force until the next renewal, which reads it "
        "again",
    )


def _o_clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M")


async def _tell_when_it_takes_long() -> None:
    await anyio.sleep(LONG_SECONDS)
    log.warning(
        "a reload has been under way for %g s: a disk, a share or a name service does not answer; "
        "the configuration before stays in force meanwhile",
        LONG_SECONDS,
        extra=journal.event("reloading"),
    )


def _log_in_force(changed: Iterable[str], warnings: Iterable[str]) -> None:
    different = "; ".join(changed) or "nothing else is different"
    log.info("reloaded, secret files read again: %s", different, extra=journal.event("reloaded"))
    for warning in warnings:
        log.warning("%s", warning, extra=journal.event("warned"))


def _log_secrets(secrets: Iterable[SecretMessage]) -> None:
    for secret in secrets:
        write = log.info if secret.outcome == "accepted" else log.error
        fields = journal.event(f"secret_{secret.outcome}", app=secret.app)
        write("app %s: %s", secret.app, secret.detail, extra=fields)
