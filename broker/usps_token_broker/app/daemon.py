"""The daemon: everything wired together, from an opened store and a listening socket to the end."""

import logging
import signal
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread

from usps_token_broker.app.access import Access, AccessTable
from usps_token_broker.app.answers import Answers
from usps_token_broker.app.fetching import Account, Fetching, SecretUnreadableError
from usps_token_broker.app.loop import HEARTBEAT_SECONDS, Loop
from usps_token_broker.app.ports import Ports
from usps_token_broker.app.resolving import Resolver
from usps_token_broker.app.routes import Routes
from usps_token_broker.app.shelf import AppInfo, Shelf
from usps_token_broker.app.status import Status
from usps_token_broker.config import AppSettings, Settings
from usps_token_broker.core.broker import Broker, SlotPlan
from usps_token_broker.core.events import CredentialsSeen, Restored, Stopped
from usps_token_broker.core.outcomes import Failure
from usps_token_broker.core.planning import AppPlan
from usps_token_broker.core.schedule import LifePolicy
from usps_token_broker.core.state import SavedState
from usps_token_broker.core.values import Secret, SlotId
from usps_token_broker.drivers import clock, journal
from usps_token_broker.drivers.notify import Notifier
from usps_token_broker.drivers.peers import Peer, is_known, look_up_groups, read_peer
from usps_token_broker.drivers.secret_source import SecretError, read_secret
from usps_token_broker.drivers.server import Limits, Server
from usps_token_broker.drivers.socket_owner import OwnedSocket
from usps_token_broker.drivers.store import Damaged, Store, Stored, StoreError
from usps_token_broker.drivers.upstream import Upstream
from usps_token_broker.wire import state as wire_state
from usps_token_broker.wire.http import Reply, Request

log = logging.getLogger(journal.LOGGER)

GRACE_SECONDS: Final = 5.0
"""How long accepted requests may take to finish once the daemon is told to end."""


_LOOK_SECONDS: Final = 10.0
_ALIVE_WITHIN_SECONDS: Final = 3 * HEARTBEAT_SECONDS


class StartError(Exception):
    """The daemon cannot start or go on. The text says what, why and what to do."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(slots=True)
class Outside:
    """What `run` opened before: the daemon uses it and `run` closes it."""

    settings: Settings
    store: Store
    socket: OwnedSocket
    environ: Mapping[str, str]
    uid: int
    version: str
    notifier: Notifier


class _StoreSaver:
    """The store as the loop's port: a sentence instead of an exception, told once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trouble: str | None = None

    async def save(self, payload: bytes) -> str | None:
        """Save in a worker thread; a disk that is full or gone costs no token."""
        trouble = None
        try:
            await anyio.to_thread.run_sync(self._store.save, payload)
        except StoreError as error:
            trouble = str(error)
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble is None:
                log.info("the state is saved again")
            else:
                log.error("the state is not saved, so a restart would fetch anew: %s", trouble)
        return trouble


class Daemon:
    """One run of the broker."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        settings = outside.settings
        self._table = AccessTable(settings.apps, outside.uid)
        self._broker = Broker(_app_plans(settings), _slot_plans(settings))
        infos = {app.name: AppInfo(app.name, app.host, app.base_url) for app in settings.apps}
        self._shelf = Shelf(self._broker, infos, clock.now)
        self._upstreams = {
            app.name: Upstream(
                app.base_url,
                app.timeout_seconds,
                wall=lambda: clock.now().wall,
                proxy=app.proxy,
                ca_file=str(app.ca_file) if app.ca_file else None,
            )
            for app in settings.apps
        }
        self._fetching = Fetching(
            {app.name: self._account(app) for app in settings.apps}, self._credentials_seen
        )
        self._beaten_at = clock.boot()
        self._loop = Loop(self._broker, self._ports())
        self._routes = self._make_routes(infos)
        self._server: Server[Peer] | None = None
        self._problem: StartError | None = None

    def _ports(self) -> Ports:
        return Ports(
            clock=clock.now,
            dice=clock.draw,
            fetcher=self._fetching,
            saver=_StoreSaver(self._outside.store),
            journal=journal.write,
            published=self._published,
            beats=self._beat,
        )

    def _make_routes(self, infos: dict[str, AppInfo]) -> Routes:
        settings = self._outside.settings
        slots = [rule.slot for rule in self._table.rules]
        self._resolver = Resolver(slots, self._table.rules)
        return Routes(
            loop=self._loop,
            shelf=self._shelf,
            resolver=self._resolver,
            answers=Answers(self._loop, self._shelf, self._resolver, infos),
            status=Status(self._loop, clock.now, self._outside.version, lambda: self._beaten_at),
            boot=clock.boot,
            buffer_seconds={app.name: app.buffer_seconds for app in settings.apps},
        )

    def _account(self, app: AppSettings) -> Account:
        def read() -> Secret:
            try:
                return read_secret(app.secret, self._outside.environ, uid=self._outside.uid)
            except SecretError as error:
                raise SecretUnreadableError(str(error)) from None

        return Account(
            client_id=app.client_id,
            host=app.host,
            read_secret=read,
            upstream=self._upstreams[app.name],
            roles={payment.name: payment.roles for payment in app.payments},
        )

    def _credentials_seen(self, app: str, fingerprint: str) -> None:
        self._loop.post(CredentialsSeen(app, fingerprint))

    def _published(self, slot: SlotId) -> None:
        self._shelf.drop(slot)

    # -- the local interface ----------------------------------------------------------------------

    def _gate(self, peer: Peer) -> Reply | None:
        known = frozenset(filter(is_known, {peer.gid, *(peer.groups or ())}))
        access = self._table.of(peer.uid, known)
        peer.access = access
        return None if access.slots else self._resolver.forbidden(access)

    def _handle(self, request: Request, peer: Peer) -> Reply | Awaitable[Reply]:
        access = peer.access
        assert isinstance(access, Access)  # noqa: S101 - the gate has put it there
        return self._routes.handle(request, access)

    # -- the run ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until told to end. Raises StartError when it cannot go on."""
        for app in self._outside.settings.apps:
            secret = await self._fetching.read_secret(app.name)
            if isinstance(secret, Failure):
                raise StartError(f"{secret.detail}. {secret.fix}", 78)
        self._loop.post(Restored(await self._load(), clock.boot_id()))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_signalled, tasks.cancel_scope)
            tasks.start_soon(self._watch, tasks.cancel_scope)
            self._server = self._make_server()
            await tasks.start(self._server.run)
            self._outside.notifier.ready(f"serving {self._outside.socket.path}")
            log.info("serving tokens on %s", self._outside.socket.path)
            for upstream in self._upstreams.values():
                await anyio.to_thread.run_sync(upstream.load)
            tasks.start_soon(self._loop.run)
        if self._problem is not None:
            raise self._problem

    def _make_server(self) -> Server[Peer]:
        return Server(
            self._outside.socket.listener,
            self._handle,
            self._gate,
            Limits(),
            identify=read_peer,
            look_up_groups=look_up_groups,
        )

    async def _load(self) -> SavedState | None:
        loaded = await anyio.to_thread.run_sync(self._outside.store.load)
        if isinstance(loaded, Stored):
            try:
                return wire_state.decode(loaded.payload)
            except ValueError as error:
                set_aside = self._outside.store.set_aside
                loaded = await anyio.to_thread.run_sync(set_aside, str(error))
        if isinstance(loaded, Damaged):
            log.warning(
                "the saved state is set aside as %s: %s. Tokens are fetched anew",
                loaded.moved_to,
                loaded.reason,
            )
        return None

    async def _until_signalled(self, scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for number in signals:
                if number == signal.SIGHUP:
                    await self._reread_secrets()
                    continue
                log.info("told to end by %s", signal.Signals(number).name)
                await self._stop()
                scope.cancel()
                return

    async def _reread_secrets(self) -> None:
        for app in self._outside.settings.apps:
            secret = await self._fetching.read_secret(app.name)
            if isinstance(secret, Failure):
                log.error("%s. %s", secret.detail, secret.fix)
        log.info("secret files read again; other configuration changes need a restart")

    async def _stop(self) -> None:
        self._outside.notifier.stopping("finishing what was accepted")
        self._loop.post(Stopped())
        if self._server is not None:
            await self._server.stop(GRACE_SECONDS)
        await self._loop.saved()

    def _beat(self) -> None:
        self._beaten_at = clock.boot()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """Each few seconds: feed the watchdog while the loop makes progress; is the socket ours?"""
        notifier, owned = self._outside.notifier, self._outside.socket
        interval = min(_LOOK_SECONDS, notifier.watchdog_interval_seconds or _LOOK_SECONDS)
        while True:
            await anyio.sleep(interval)
            if clock.boot() - self._beaten_at < _ALIVE_WITHIN_SECONDS:
                notifier.watchdog()
            if not owned.still_ours():
                self._problem = StartError(
                    f"the socket {owned.path} was removed or replaced by somebody else; tokens "
                    "are kept. Start the broker again, and find out who cleans that directory",
                    75,
                )
                await self._stop()
                scope.cancel()
                return


def _app_plans(settings: Settings) -> list[AppPlan]:
    return [
        AppPlan(
            app.name,
            app.host,
            app.client_id,
            LifePolicy(app.buffer_seconds, app.lead_seconds),
            app.calls_per_hour,
        )
        for app in settings.apps
    ]


def _slot_plans(settings: Settings) -> list[SlotPlan]:
    return [
        SlotPlan(SlotId(app.name, slot.name), slot.roles_fingerprint, slot.required)
        for app in settings.apps
        for slot in (app.bearer, *app.payments)
    ]
