"""`GET /metrics`: figures for Prometheus, of what the peer that asks may read. No secret in them.

Importing prometheus_client takes ten times as long as a scrape, and most brokers are never scraped:
so the first scrape imports it, in a thread. Each slot costs a scrape a tenth of a millisecond.
"""

import errno
import importlib
import os
import sys
from typing import Final

import anyio.to_thread

from usps_token_broker import catalogue
from usps_token_broker.app.calls import Call
from usps_token_broker.app.loop import Loop
from usps_token_broker.app.ports import Clock
from usps_token_broker.app.status import Process
from usps_token_broker.app.tally import Tally
from usps_token_broker.core.outcomes import Code
from usps_token_broker.wire.problems import problem, problem_reply
from usps_token_broker.wire.replies import Reply

_FIGURES: Final = "usps_token_broker.app.figures"


_ROW: Final = catalogue.row("out_of_descriptors")
_NO_DESCRIPTORS: Final = problem_reply(
    problem(
        Code.NOT_READY,
        f"the first scrape has to read what makes the figures, and {_ROW.cause}",
        _ROW.fix,
        reason=_ROW.code,
    )
)


class Metrics:
    """Answers scrapes."""

    def __init__(self, loop: Loop, clock: Clock, process: Process, tally: Tally) -> None:
        self._loop = loop
        self._clock = clock
        self._process = process
        self._tally = tally

    async def scrape(self, call: Call) -> Reply:
        """The text format, or OpenMetrics to whom `Accept`s it."""
        if _FIGURES not in sys.modules:
            try:
                await anyio.to_thread.run_sync(
                    importlib.import_module, _FIGURES, abandon_on_cancel=True
                )
            except (OSError, ImportError) as error:
                if not _is_of_descriptors(error):
                    raise
                return _NO_DESCRIPTORS
        from usps_token_broker.app import figures  # noqa: PLC0415 - as the module says

        sight = figures.Sight(
            snapshot=self._loop.broker.snapshot(self._clock()),
            access=call.access,
            tally=self._tally,
            process=self._process,
            state_trouble=self._loop.state_trouble is not None,
        )
        accepted = call.request.headers.get(b"accept", b"").decode("latin-1")
        body, content_type = figures.expose(sight, accepted)
        return Reply(200, body, content_type)


def _is_of_descriptors(error: OSError | ImportError) -> bool:
    """Whether this process, or this host, can open no more files."""
    if isinstance(error, OSError):
        return error.errno in {errno.EMFILE, errno.ENFILE}
    # What the dynamic loader says of a module in C: it keeps no number.
    return any(os.strerror(number) in str(error) for number in (errno.EMFILE, errno.ENFILE))
