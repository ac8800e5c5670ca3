"""The daemon: everything wired together, from an opened store and a listening socket to the end."""

import logging
import signal
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Final

import anyio
from anyio.abc import TaskGroup

from usps_token_broker.app.access import Access, AccessTable
from usps_token_broker.app.answers import Answers
from usps_token_broker.app.fetching import Account, Fetching, SecretUnreadableError
from usps_token_broker.app.forbidding import Forbidding
from usps_token_broker.app.gate import Gate
from usps_token_broker.app.keeping import Keeper
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.plans import app_plan, slot_plans
from usps_token_broker.app.ports import Ports
from usps_token_broker.app.pulse import Pulse
from usps_token_broker.app.resolving import Resolver
from usps_token_broker.app.routes import Routes
from usps_token_broker.app.shelf import AppInfo, Shelf
from usps_token_broker.app.status import Status
from usps_token_broker.config import AppSettings, Settings
from usps_token_broker.core.broker import Broker
from usps_token_broker.core.events import CredentialsSeen, Restored, Stopped
from usps_token_broker.core.outcomes import Failure
from usps_token_broker.core.values import Secret
from usps_token_broker.drivers import clock, journal
from usps_token_broker.drivers.notify import Notifier
from usps_token_broker.drivers.peers import Peer
from usps_token_broker.drivers.secret_source import SecretError, read_secret
from usps_token_broker.drivers.server import Limits, Server
from usps_token_broker.drivers.signals import SignalStream
from usps_token_broker.drivers.socket_owner import OwnedSocket
from usps_token_broker.drivers.store import Store
from usps_token_broker.drivers.upstream import Upstream
from usps_token_broker.wire.http import Reply, Request

log = logging.getLogger(journal.LOGGER)

GRACE_SECONDS: Final = 5.0
"""How long accepted requests and calls to USPS may take to finish once the daemon is to end."""

_LOOK_SECONDS: Final = 10.0
_EX_TEMPFAIL: Final = 75
_EX_CONFIG: Final = 78


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
    descriptors: int
    """How many files this process may open."""
    environ: Mapping[str, str]
    uid: int
    version: str
    notifier: Notifier
    signals: SignalStream
    """SIGHUP reads secrets again; any other ends the daemon."""


class Daemon:
    """One run of the broker."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        settings = outside.settings
        self._pulse = Pulse(clock.running)
        self._keeper = Keeper(outside.store)
        self._broker = Broker([app_plan(app) for app in settings.apps], slot_plans(settings))
        infos = {app.name: AppInfo(app.name, app.host, app.base_url) for app in settings.apps}
        self._shelf = Shelf(self._broker, infos, clock.now)
        accounts = {app.name: self._account(app) for app in settings.apps}
        self._fetching = Fetching(accounts, self._credentials_seen)
        self._loop = Loop(self._broker, self._ports())
        table = AccessTable(settings.apps, outside.uid)
        forbidding = Forbidding(table.rules)
        self._gate = Gate(table, forbidding)
        self._routes = self._make_routes(infos, Resolver(table.rules, forbidding))
        self._reread = anyio.Event()
        self._server: Server[Peer] | None = None
        self._problem: StartError | None = None

    def _ports(self) -> Ports:
        return Ports(
            clock=clock.now,
            dice=clock.draw,
            fetcher=self._fetching,
            saver=self._keeper,
            journal=journal.write,
            published=self._shelf.drop,
            beats=self._pulse.beat,
        )

    def _make_routes(self, infos: dict[str, AppInfo], resolver: Resolver) -> Routes:
        version = self._outside.version
        return Routes(
            loop=self._loop,
            shelf=self._shelf,
            resolver=resolver,
            answers=Answers(self._loop, self._shelf, resolver, infos),
            status=Status(
                self._loop, clock.now, version, resolver=resolver, alive=self._pulse.alive
            ),
            boot=clock.boot,
            buffer_seconds={a.name: a.buffer_seconds for a in self._outside.settings.apps},
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
            upstream=Upstream(
                app.base_url,
                app.timeout_seconds,
                wall=lambda: clock.now().wall,
                proxy=app.proxy,
                ca_file=str(app.ca_file) if app.ca_file else None,
            ),
            roles={payment.name: payment.roles for payment in app.payments},
        )

    def _credentials_seen(self, app: str, fingerprint: str) -> None:
        self._loop.post(CredentialsSeen(app, fingerprint))

    def _handle(self, request: Request, peer: Peer) -> Reply | Awaitable[Reply]:
        access = peer.access
        assert isinstance(access, Access)  # noqa: S101 - the gate has put it there
        return self._routes.handle(request, access)

    # -- the run ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until told to end. Raises StartError when it cannot start or go on."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._obey, tasks.cancel_scope)
            self._problem = await self._read_secrets_at_first()
            if self._problem is None:
                await self._serve(tasks)
            else:
                tasks.cancel_scope.cancel()
        if self._problem is not None:
            raise self._problem

    async def _serve(self, tasks: TaskGroup) -> None:
        """Begin: what was saved is served at once; USPS is called once httpx is there."""
        self._loop.post(Restored(await self._keeper.load(), clock.boot_id()))
        self._server = self._make_server()
        tasks.start_soon(self._loop.run)
        await tasks.start(self._server.run)
        tasks.start_soon(self._watch, tasks.cancel_scope)
        tasks.start_soon(self._reread_secrets)
        self._say_ready()
        log.info("serving tokens on %s", self._outside.socket.path)
        await self._fetching.load()

    def _make_server(self) -> Server[Peer]:
        return Server(
            self._outside.socket.listener,
            self._handle,
            self._gate.judge,
            Limits().within(self._outside.descriptors),
            identify=self._gate.identify,
            look_up_groups=self._gate.look_up,
        )

    def _say_ready(self) -> None:
        self._outside.notifier.ready(f"serving {self._outside.socket.path}")

    async def _read_secrets_at_first(self) -> StartError | None:
        for app in self._outside.settings.apps:
            secret = await self._fetching.read_secret(app.name)
            if isinstance(secret, Failure):
                text = f"{secret.detail}. Put that right and start the broker again"
                return StartError(text, _EX_CONFIG)
        return None

    async def _obey(self, scope: anyio.CancelScope) -> None:
        async for number in self._outside.signals:
            if number is signal.SIGHUP:
                self._reread.set()
                continue
            log.info("told to end by %s", number.name)
            await self._end(scope)
            return

    async def _reread_secrets(self) -> None:
        """On each SIGHUP, or once for many: the secrets. Reading may hang; ending must not wait."""
        while True:
            await self._reread.wait()
            self._reread = anyio.Event()
            self._outside.notifier.reloading(clock.monotonic_usec())
            for app in self._outside.settings.apps:
                secret = await self._fetching.read_secret(app.name)
                if isinstance(secret, Failure):
                    log.error("%s; the one read before stays in force", secret.detail)
            log.info("secret files read again; other configuration changes need a restart")
            self._say_ready()

    async def _end(self, scope: anyio.CancelScope) -> None:
        """Answer all who wait, take in what USPS is just granting, save, and leave."""
        self._outside.notifier.stopping("finishing what was accepted")
        self._loop.post(Stopped())
        with anyio.move_on_after(GRACE_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._loop.landed)
                if self._server is not None:
                    tasks.start_soon(self._server.stop, GRACE_SECONDS)
        await self._loop.saved()
        scope.cancel()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """Each few seconds: feed the watchdog while the loop makes progress; is the socket ours?"""
        notifier, owned = self._outside.notifier, self._outside.socket
        interval = min(_LOOK_SECONDS, notifier.watchdog_interval_seconds or _LOOK_SECONDS)
        while True:
            await anyio.sleep(interval)
            if self._pulse.alive():
                notifier.watchdog()
            if not owned.still_ours():
                self._problem = StartError(
                    f"the socket {owned.path} was removed or replaced by somebody else, so no "
                    "client finds the broker any more; its tokens are kept. Start the broker "
                    "again, and find out what cleans that directory",
                    _EX_TEMPFAIL,
                )
                await self._end(scope)
                return
