"""`usps-token-broker run`: open the store and the socket, then be the daemon."""

import argparse
import contextlib
import logging
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from usps_token_broker.cli import paths
from usps_token_broker.config import ConfigError, Settings, load
from usps_token_broker.drivers import journal
from usps_token_broker.drivers.notify import Notifier
from usps_token_broker.drivers.socket_owner import OwnedSocket, SocketError, inherited
from usps_token_broker.drivers.store import Store, StoreError

EX_CANTCREAT: Final = 73
EX_CONFIG: Final = 78
SOCKET_NAME: Final = "broker"

DESCRIPTION = """\
Be the broker. It restores the tokens it had, fetches what is missing, renews ahead of time, and
serves on its Unix socket until SIGTERM or Ctrl-C. SIGHUP reads secret files again."""
EPILOG = """\
With a file:          usps-token-broker run --config broker.toml
From the environment: USPS_CLIENT_ID=… USPS_CLIENT_SECRET_FILE=secret usps-token-broker run
Under systemd it takes the socket named `broker`, and tells readiness, status and watchdog."""

log = logging.getLogger(journal.LOGGER)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `run`."""
    paths.add_config(parser)


def act(options: argparse.Namespace) -> int:
    """Run until told to end; the exit code says how it went."""
    journal.start(os.environ)
    os.umask(0o077)
    try:
        settings = load(options.config, os.environ, uid=os.getuid())
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - several lines for a person
        return EX_CONFIG
    for warning in settings.warnings:
        log.warning("%s", warning)
    for broken in settings.broken:
        log.error("the payment slot %s is left out: %s", broken.slot, broken.path)
    _raise_descriptor_limit()
    try:
        with _store(settings) as store, _socket(settings) as owned:
            return _serve(settings, store, owned)
    except (StoreError, SocketError) as error:
        log.error("%s", error)  # noqa: TRY400 - what happened, not where in our code
        return EX_CANTCREAT


def _serve(settings: Settings, store: Store, owned: OwnedSocket) -> int:
    # Imported once the socket listens: a client that comes now waits in the backlog.
    import anyio  # noqa: PLC0415

    from usps_token_broker import version  # noqa: PLC0415
    from usps_token_broker.app.daemon import Daemon, Outside, StartError  # noqa: PLC0415

    outside = Outside(
        settings=settings,
        store=store,
        socket=owned,
        environ=dict(os.environ),
        uid=os.getuid(),
        version=version(),
        notifier=Notifier(os.environ),
    )
    try:
        anyio.run(Daemon(outside).run)
    except StartError as error:
        log.error("%s", error)  # noqa: TRY400 - what happened, not where in our code
        return error.exit_code
    return 0


def _raise_descriptor_limit() -> None:
    """As many connections as the system lets us have; the soft limit is made for select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    store = Store(Path(settings.state_dir))
    for mended in store.open():
        log.warning("%s", mended)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def _socket(settings: Settings) -> Iterator[OwnedSocket]:
    passed = inherited(os.environ)
    listener = passed.pop(SOCKET_NAME, None)
    for other in passed.values():
        other.close()
    if listener is not None:
        owned = OwnedSocket.adopt(listener)
    else:
        owned = OwnedSocket.bind(settings.socket_path)
    try:
        yield owned
    finally:
        owned.close()
