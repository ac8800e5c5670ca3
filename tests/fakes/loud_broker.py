"""The broker's commands with every log turned up: `python -m loud_broker run …`.

LOUD_BROKER_BREAKS in the environment names something that breaks or hangs: see TROUBLES.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn, TextIO

from usps_token_broker import config
from usps_token_broker.app import accounts, reloading
from usps_token_broker.cli import main, run
from usps_token_broker.config import Settings
from usps_token_broker.core.broker import Broker
from usps_token_broker.core.commands import Command
from usps_token_broker.core.events import Event, Granted, RenewalOrdered
from usps_token_broker.core.values import Now
from usps_token_broker.drivers import journal
from usps_token_broker.drivers.store import Store
from usps_token_broker.drivers.upstream import Upstream

LIBRARIES = (
    *("anyio", "asyncio", "concurrent.futures", "filelock", "h11", "httptools", "httpx"),
    *(f"httpcore{part}" for part in ("", ".connection", ".http11", ".http2", ".proxy", ".socks")),
)
"""Loggers of what the broker is made of, whether they have any today or not."""

quiet_start = journal.start


def loud_start(
    environ: Mapping[str, str], stream: TextIO | None = None, form: journal.Form = journal.Form.AUTO
) -> None:
    """As the journal starts, but whoever debugs has set every logger to DEBUG."""
    quiet_start(environ, stream, form)
    # Those of libraries that are imported later too, and their children.
    for name in ("", *LIBRARIES, *logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)


def break_at_the_first_grant() -> None:
    """As a bug in the core would do it."""
    sane = Broker.handle

    def handle(self: Broker, event: Event, now: Now) -> list[Command]:
        if not isinstance(event, Granted):
            return sane(self, event, now)
        raise RuntimeError(f"an invariant does not hold: {event} {event.grant.value.reveal()}")

    Broker.handle = handle  # type: ignore[method-assign]


def hang(*_: object, **__: object) -> NoReturn:
    """As a dead disk or share would do it: nothing ends this but the end of the process."""
    threading.Event().wait()
    raise AssertionError


def hang_at_an_order() -> None:
    """As an endless loop in the core would do it, once somebody orders a renewal."""
    sane = Broker.handle

    def handle(self: Broker, event: Event, now: Now) -> list[Command]:
        return hang() if isinstance(event, RenewalOrdered) else sane(self, event, now)

    Broker.handle = handle  # type: ignore[method-assign]


def hang_at_a_reload(given_up_after_seconds: float) -> None:
    """As a name service that is gone would do it; told of at once."""
    begun = threading.Event()

    def load(path: Path | None, environ: Mapping[str, str], *, uid: int) -> Settings:
        if begun.is_set():
            hang()
        begun.set()
        return config.load(path, environ, uid=uid)

    setattr(run, "load", load)  # noqa: B010 - mypy minds another signature
    setattr(reloading, "LONG_SECONDS", 0.05)  # noqa: B010 - they are final
    setattr(reloading, "LOAD_SECONDS", given_up_after_seconds)  # noqa: B010


TROUBLES: dict[str, Callable[[], None]] = {
    "core": hang_at_an_order,
    "grant": break_at_the_first_grant,
    "save": lambda: setattr(Store, "save", hang),
    "load": lambda: setattr(Store, "load", hang),
    "secret": lambda: setattr(accounts, "read_secret", hang),
    "reload": lambda: hang_at_a_reload(600),
    "reloads": lambda: hang_at_a_reload(0.05),
    "imports": lambda: setattr(Upstream, "load", hang),
}

if __name__ == "__main__":
    TROUBLES.get(os.environ.get("LOUD_BROKER_BREAKS", ""), lambda: None)()
    journal.start = loud_start
    sys.exit(main())
