"""Who listens: on the socket for workers, on the admin socket, and over TCP where that is set."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from anyio.abc import TaskGroup

from usps_token_broker.app import http_door
from usps_token_broker.app.front import Door
from usps_token_broker.app.http_door import HttpDoor
from usps_token_broker.app.outside import Outside
from usps_token_broker.app.tally import Tally
from usps_token_broker.app.usps_door import UspsDoor
from usps_token_broker.drivers import journal
from usps_token_broker.drivers.peers import Peer
from usps_token_broker.drivers.server import Handler, Limits, Server
from usps_token_broker.drivers.socket_owner import OwnedSocket
from usps_token_broker.drivers.tcp_listener import Visitor
from usps_token_broker.wire.status import PeerMessage

log = logging.getLogger(journal.LOGGER)

_ADMIN_LIMITS: Final = Limits(connections=64, connections_per_uid=64, requests_per_minute_per_uid=0)
_SERVING: Final = journal.event("serving")


class Servers:
    """All of them, with the descriptors of the process shared out among them.

    `make_usps_door` makes the door for USPS's token calls over TCP, by the file of its keys.
    """

    def __init__(
        self,
        outside: Outside,
        door: Door,
        tally: Tally,
        make_usps_door: Callable[[Path], UspsDoor],
    ) -> None:
        self._outside = outside
        self._door = door
        limits = outside.settings.limits
        of_workers = Limits(
            connections_per_uid=limits.connections_per_uid,
            waiting_per_uid=limits.waiting_per_uid,
            streams_per_uid=limits.streams_per_uid,
            requests_per_minute_per_uid=limits.requests_per_minute_per_uid,
        )
        self._workers = self._make(outside.socket, door.handle, of_workers)
        self._admin = self._make(outside.admin, door.handle_admin, _ADMIN_LIMITS)
        self._http = self._make_http(tally, make_usps_door)

    def _make(self, owned: OwnedSocket, handler: Handler[Peer], limits: Limits) -> Server[Peer]:
        return Server(
            owned.listener,
            handler,
            self._door.judge,
            limits.within(self._descriptors()),
            identify=self._door.identify,
            look_up_groups=self._door.look_up,
        )

    def _descriptors(self) -> int:
        """How many are left for the Unix sockets."""
        kept_back = http_door.held_open(self._http_limits()) if self._outside.http else 0
        return self._outside.descriptors - kept_back

    def _make_http(
        self, tally: Tally, make_usps_door: Callable[[Path], UspsDoor]
    ) -> Server[Visitor] | None:
        settings, listener = self._outside.settings, self._outside.http
        if listener is None or settings.http is None:
            return None
        keys_file = settings.keys_file if settings.http_tokens else None
        usps = None if keys_file is None else make_usps_door(keys_file)
        door = HttpDoor(self._door, tally, local=settings.http.is_loopback, usps=usps)
        return http_door.make_server(listener, door, self._http_limits())

    def _http_limits(self) -> Limits:
        tokens = self._outside.settings.http_tokens
        return http_door.limits(self._outside.descriptors, tokens=tokens)

    def _all(self) -> list[Server[Peer] | Server[Visitor]]:
        return [self._workers, self._admin, *([self._http] if self._http else [])]

    async def start(self, tasks: TaskGroup) -> None:
        """Have each of them accept, one after the other."""
        for server in self._all():
            await tasks.start(server.run)

    def stop(self, tasks: TaskGroup, grace_seconds: float) -> None:
        """Have each of them finish what it accepted, within that time."""
        for server in self._all():
            tasks.start_soon(server.stop, grace_seconds)

    def peers(self) -> list[PeerMessage]:
        """What each user takes of the socket for workers now."""
        return [PeerMessage(*row) for row in self._workers.by_uid()]

    def say_where(self) -> None:
        """In the log."""
        settings = self._outside.settings
        log.info("serving tokens on %s", self._outside.socket.path, extra=_SERVING)
        if self._http is None:
            return
        log.info("serving health and figures on http://%s", settings.http, extra=_SERVING)
        if settings.http_tokens:
            log.info(
                "serving USPS's token calls on http://%s to the keys of %s",
                settings.http,
                settings.keys_file,
                extra=_SERVING,
            )
