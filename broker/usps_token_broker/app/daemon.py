"""The daemon: everything wired together, from an opened store and listening sockets to the end."""

import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup

from usps_token_broker.app.accounts import Accounts
from usps_token_broker.app.announcing import Announcer
from usps_token_broker.app.audit import INTERVAL_SECONDS, Audit
from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.feed import Feed
from usps_token_broker.app.fetching import Fetching, SecretUnreadableError
from usps_token_broker.app.front import Door, Front, Inside
from usps_token_broker.app.headline import headline
from usps_token_broker.app.keeping import Keeper
from usps_token_broker.app.key_audit import KeyAudit
from usps_token_broker.app.key_ring import KeyRing
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.outside import Outside, StartError
from usps_token_broker.app.plans import app_plan, slot_plans, slots_kept_active
from usps_token_broker.app.ports import Ports
from usps_token_broker.app.pulse import Pulse
from usps_token_broker.app.reloading import Outlook, Reloader
from usps_token_broker.app.reloads import Reloads
from usps_token_broker.app.servers import Servers
from usps_token_broker.app.status import Process
from usps_token_broker.app.tally import Tally
from usps_token_broker.app.usage import Usage
from usps_token_broker.app.usps_door import UspsDoor
from usps_token_broker.core.broker import Broker
from usps_token_broker.core.events import CredentialsSeen, Reloaded, Restored, Stopped
from usps_token_broker.core.rates import Rate
from usps_token_broker.core.values import SlotId
from usps_token_broker.drivers import clock, collector, journal, processes
from usps_token_broker.drivers.peers import Peer
from usps_token_broker.wire.status import PeerMessage

log = logging.getLogger(journal.LOGGER)

GRACE_SECONDS: Final = 5.0
"""How long accepted requests and calls to USPS may take to finish once the daemon is to end."""

_LOOK_SECONDS: Final = 10.0
_EX_TEMPFAIL: Final = 75
_EX_CONFIG: Final = 78


def _log_handed(line: str) -> None:
    log.info("%s", line, extra=journal.event("handed_out"))


def _log_refused(line: str) -> None:
    log.warning("%s", line, extra=journal.event("refused"))


def _log_keys_unusable(text: str) -> None:
    log.error("local keys open nothing: %s", text, extra=journal.event("keys_unusable"))


class Daemon:
    """One run of the broker."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        settings = outside.settings
        self._pulse = Pulse(clock.running)
        self._tally = Tally()
        self._keeper = Keeper(outside.store)
        broker = Broker([app_plan(app) for app in settings.apps], slot_plans(settings))
        accounts = Accounts(outside.environ, outside.uid)
        self._fetching = Fetching(accounts.make(settings), self._credentials_seen)
        self._loop = Loop(broker, self._ports())
        self._usage = Usage(clock.boot, self._loop.post)
        self._usage.watched = slots_kept_active(settings)
        self._announcer = Announcer(outside.notifier, self._headline)
        self._reloads = Reloads(self._make_reloader(accounts), self._announcer, self._tally)
        self._audit = Audit(processes.look, processes.is_there, _log_handed)
        self._key_audit = KeyAudit(_log_handed, _log_refused)
        self._feed = Feed(lambda: self._door.front.status, clock.now)
        self._inside = self._make_inside()
        self._door = Door(Front(settings, self._inside))
        self._servers: Servers | None = None
        self._problem: StartError | None = None
        self._admin_lost = False
        self._tasks: TaskGroup | None = None

    def _ports(self) -> Ports:
        return Ports(
            clock=clock.now,
            dice=clock.draw,
            fetcher=self._fetching,
            saver=self._keeper,
            journal=journal.write,
            published=self._published,
            beats=self._pulse.beat,
            tally=self._tally,
        )

    def _make_reloader(self, accounts: Accounts) -> Reloader:
        return Reloader(
            self._outside.settings,
            load=self._outside.load,
            make_accounts=accounts.make,
            apply=self._apply,
            loop=self._loop,
            clock=clock.now,
        )

    def _make_inside(self) -> Inside:
        http = self._outside.settings.http
        process = Process(
            self._outside.version,
            clock.now().wall,
            self._pulse.alive,
            self._peers,
            lambda: self._reloads.reading_since,
            str(http) if http else None,
        )
        return Inside(
            loop=self._loop,
            clock=clock.now,
            own_uid=self._outside.uid,
            process=process,
            used=self._usage.note,
            handlers={"reload": self._reloads.call, "followEvents": self._follow},
            tally=self._tally,
            handed=self._handed,
            reports=Rate(self._outside.settings.limits.reports_per_minute_per_uid),
        )

    def _handed(self, peer: Peer, tokens: tuple[str, ...]) -> None:
        self._audit.took(peer.uid, peer.pid, tokens, clock.boot(), peer.came_at)

    def _published(self, slot: SlotId) -> None:
        self._door.drop(slot)
        self._feed.changed(slot)
        self._announcer.changed()

    def _headline(self, remarks: Sequence[str]) -> str:
        unsaved = self._loop.state_trouble
        more = [*remarks, f"the state is not saved: {unsaved}"] if unsaved else remarks
        return headline(self._loop.broker.snapshot(clock.now()), more)

    def _follow(self, call: Call) -> Handled:
        """A stream that goes by the rules in force, whatever they were when it began."""
        access = call.access
        return self._feed.stream(
            lambda: self._door.front.table.of(access.uid, access.groups), call.query
        )

    def _credentials_seen(self, app: str, fingerprint: str) -> None:
        self._loop.post(CredentialsSeen(app, fingerprint))

    def _peers(self) -> list[PeerMessage]:
        return self._servers.peers() if self._servers is not None else []

    # -- the run ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until told to end. Raises StartError when it cannot start or go on."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._obey, tasks.cancel_scope)
            self._announcer.starting("reading the client secrets")
            self._problem = await self._read_secrets_at_first()
            if self._problem is None:
                await self._serve(tasks)
            else:
                tasks.cancel_scope.cancel()
        if self._problem is not None:
            raise self._problem

    async def _serve(self, tasks: TaskGroup) -> None:
        """Begin: what was saved is served at once; USPS is called once httpx is there."""
        self._announcer.starting("reading the state of the process before")
        self._loop.post(Restored(await self._keeper.load(), clock.boot_id()))
        self._servers = Servers(self._outside, self._door, self._tally, self._make_usps_door)
        tasks.start_soon(self._loop.run)
        await self._servers.start(tasks)
        tasks.start_soon(self._watch, tasks.cancel_scope)
        tasks.start_soon(self._reloads.run)
        tasks.start_soon(self._announcer.run)
        tasks.start_soon(self._sum_up)
        self._announcer.ready()
        self._servers.say_where()
        await self._fetching.load()
        collector.settle()

    def _make_usps_door(self, keys_file: Path) -> UspsDoor:
        ring = KeyRing(keys_file, self._outside.uid, _log_keys_unusable)
        return UspsDoor(self._door, self._loop, ring.keys, self._key_audit)

    async def _read_secrets_at_first(self) -> StartError | None:
        for app, account in self._fetching.accounts.items():
            try:
                secret = await account.secret.read()
            except SecretUnreadableError as problem:
                text = (
                    f"the client secret of app {app} cannot be read: {problem}. Put that right "
                    "and start the broker again"
                )
                return StartError(text, _EX_CONFIG)
            self._fetching.see(app, account, secret)
        return None

    async def _obey(self, scope: anyio.CancelScope) -> None:
        async for number in self._outside.signals:
            if number is signal.SIGHUP:
                self._reloads.hang_up()
                continue
            log.info("told to end by %s", number.name, extra=journal.event("ending"))
            await self._end(scope)
            return

    def _apply(self, outlook: Outlook) -> None:
        """Put another configuration in force, between one event and the next."""
        settings = outlook.settings
        self._tally.reloads[True] += 1
        self._usage.watched = slots_kept_active(settings)
        self._fetching.accounts = outlook.accounts
        self._door.put(Front(settings, self._inside))
        plans = tuple(app_plan(app) for app in settings.apps)
        self._loop.post(Reloaded(plans, tuple(slot_plans(settings))))
        self._feed.reloaded()
        for app, secret in outlook.secrets.items():
            self._fetching.see(app, outlook.accounts[app], secret)
        assert self._tasks is not None  # noqa: S101 - reloads come while it runs
        self._tasks.start_soon(self._fetching.load)

    # -- the end ----------------------------------------------------------------------------------

    async def _end(self, scope: anyio.CancelScope) -> None:
        """Answer all who wait, take in what USPS is just granting, save, and leave."""
        self._announcer.stopping("finishing what was accepted")
        self._loop.post(Stopped())
        self._feed.close()
        with anyio.move_on_after(GRACE_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._loop.landed)
                if self._servers is not None:
                    self._servers.stop(tasks, GRACE_SECONDS)
        await self._loop.saved()
        self._sum_up_now()
        self._announcer.stopped(self._loop.state_trouble)
        scope.cancel()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """Each few seconds: feed the watchdog while the loop makes progress; is the socket ours?"""
        notifier, owned = self._outside.notifier, self._outside.socket
        interval = min(_LOOK_SECONDS, notifier.watchdog_interval_seconds or _LOOK_SECONDS)
        while True:
            await anyio.sleep(interval)
            if self._pulse.alive():
                notifier.watchdog()
            self._look_after_admin()
            if not owned.still_ours():
                self._problem = StartError(
                    f"the socket {owned.path} was removed or replaced by somebody else, so no "
                    "client finds the broker any more; its tokens are kept. Find out what cleans "
                    f"that directory, and {owned.remedy}",
                    _EX_TEMPFAIL,
                )
                await self._end(scope)
                return

    async def _sum_up(self) -> None:
        while True:
            await anyio.sleep(INTERVAL_SECONDS)
            self._sum_up_now()

    def _sum_up_now(self) -> None:
        self._audit.sum_up()
        self._key_audit.sum_up()

    def _look_after_admin(self) -> None:
        """Workers do not need it, so its loss ends nothing; it is said once."""
        lost = not self._outside.admin.still_ours()
        if lost and not self._admin_lost:
            log.error(
                "the admin socket %s was removed or replaced by somebody else: reload, renew and "
                "forget do not work until the broker is started again; SIGHUP still reloads",
                self._outside.admin.path,
                extra=journal.event("admin_socket_lost"),
            )
        self._admin_lost = lost
