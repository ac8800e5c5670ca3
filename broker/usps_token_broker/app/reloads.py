"""Reloads as they are ordered, by a hangup or a call, and saying how each of them went."""

import logging

import anyio

from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.reloading import Reloader
from usps_token_broker.app.tally import Tally
from usps_token_broker.app.telling import invalid
from usps_token_broker.config import ConfigError
from usps_token_broker.drivers import clock, journal
from usps_token_broker.drivers.notify import Notifier
from usps_token_broker.wire.http import Reply, json_reply
from usps_token_broker.wire.messages import encode

log = logging.getLogger(journal.LOGGER)


class Reloads:
    """Has a reloader reload, and tells the service manager, the log, and whoever called."""

    def __init__(self, reloader: Reloader, notifier: Notifier, ready: str, tally: Tally) -> None:
        self._reloader = reloader
        self._tally = tally
        self._notifier = notifier
        self._ready = ready
        self._hung_up = anyio.Event()

    def hang_up(self) -> None:
        """SIGHUP came. Many before the reload begins are one."""
        self._hung_up.set()

    async def run(self) -> None:
        """Reload after each hangup, until cancelled. Reading may hang; ending must not wait."""
        while True:
            await self._hung_up.wait()
            self._hung_up = anyio.Event()
            await self._reload(0.0)

    def call(self, call: Call) -> Handled:
        """`POST /v1/reload`."""
        return self._reload(call.query.wait)

    async def _reload(self, wait_seconds: float) -> Reply:
        self._notifier.reloading(clock.monotonic_usec())
        try:
            message = await self._reloader.reload(wait_seconds)
            return json_reply(200, encode(message))
        except ConfigError as error:
            self._tally.reloads[False] += 1
            _complain(error)
            return invalid(error)
        finally:
            self._notifier.ready(self._ready)


def _complain(error: ConfigError) -> None:
    for problem in error.problems:
        log.error("not reloaded: %s", " ".join(str(problem).split()))
    log.error("the configuration before stays in force, all of it")
