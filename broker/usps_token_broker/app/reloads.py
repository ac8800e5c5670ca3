"""Reloads as they are ordered, by a hangup or a call, and saying how each of them went."""

import logging
from datetime import UTC, datetime

import anyio

from usps_token_broker.app.announcing import Announcer
from usps_token_broker.app.calls import Call, Handled
from usps_token_broker.app.reloading import Reloader
from usps_token_broker.app.tally import Tally
from usps_token_broker.app.telling import invalid
from usps_token_broker.config import ConfigError
from usps_token_broker.drivers import clock, journal
from usps_token_broker.wire.encoding import to_json
from usps_token_broker.wire.orders import ReloadMessage
from usps_token_broker.wire.replies import Reply, json_reply

log = logging.getLogger(journal.LOGGER)
_AGAIN = journal.event("reloading")
_STAYS = "the configuration before stays in force, all of it"
_NOT_RELOADED = journal.event("not_reloaded", reason="config_invalid")


class Reloads:
    """Has a reloader reload, and tells the service manager, the log, and whoever called."""

    def __init__(self, reloader: Reloader, announcer: Announcer, tally: Tally) -> None:
        self._reloader = reloader
        self._announcer = announcer
        self._tally = tally
        self._hung_up = anyio.Event()

    @property
    def reading_since(self) -> float | None:
        """Since when a reload reads what is configured, Unix seconds; None where none does."""
        return self._reloader.reading_since

    def hang_up(self) -> None:
        """SIGHUP came. Many before the reload begins are one, and so are many while another is."""
        if self._reloader.reading_since is not None and not self._hung_up.is_set():
            since = _o_clock(self._reloader.reading_since)
            log.info("a reload is under way since %s; another one follows it", since, extra=_AGAIN)
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
        self._announcer.reloading(_o_clock())
        result = "not reloaded: a bug or the end of the broker came between"
        try:
            message = await self._reloader.reload(wait_seconds)
            result = _in_words(message)
            return json_reply(200, to_json(message))
        except ConfigError as error:
            self._tally.reloads[False] += 1
            result = f"not reloaded at {_o_clock()}: {_complain(error)}"
            return invalid(error)
        finally:
            self._announcer.reloaded(result)


def _in_words(message: ReloadMessage) -> str:
    """What a person should know of it later; that all went well is said shortly."""
    said = [f"secret of app {s.app} {s.detail}" for s in message.secrets if s.outcome == "refused"]
    if message.left_out:
        files = sorted({problem.file for problem in message.left_out})
        said.append(f"left out as broken: {', '.join(files)}")
    return "; ".join([f"reloaded at {_o_clock()}", *said])


def _complain(error: ConfigError) -> str:
    """Say everything in the log; what comes back is the first of it, without how to mend it."""
    said = [str(problem) for problem in error.problems]
    for problem in said:
        told = "; ".join(" ".join(line.split()) for line in problem.splitlines())
        log.error("not reloaded: %s; %s", told, _STAYS, extra=_NOT_RELOADED)
    more = f", and {len(said) - 1} more" if len(said) > 1 else ""
    return f"{said[0].splitlines()[0]}{more}; the journal says it all"


def _o_clock(at: float | None = None) -> str:
    """That instant, in Unix seconds, or now."""
    wall = clock.now().wall if at is None else at
    return datetime.fromtimestamp(wall, UTC).astimezone().strftime("%H:%M")
