"""`usps-token-broker run`: open the store and the socket, then be the daemon."""

import argparse
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from usps_token_broker.cli import paths
from usps_token_broker.cli.last_resort import EX_SOFTWARE, LastResort
from usps_token_broker.config import ConfigError, Settings, load
from usps_token_broker.drivers import journal, memory, tcp_listener
from usps_token_broker.drivers.notify import Notifier
from usps_token_broker.drivers.peers import is_known
from usps_token_broker.drivers.secret_source import Environment
from usps_token_broker.drivers.signals import SignalStream
from usps_token_broker.drivers.socket_owner import OwnedSocket, SocketError, inherited
from usps_token_broker.drivers.store import Store, StoreError
from usps_token_broker.drivers.tcp_listener import ListenError

EX_CANTCREAT: Final = 73
EX_CONFIG: Final = 78
SOCKET_NAME: Final = "broker"
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

DESCRIPTION = """\
Be the broker. It restores the tokens it had, fetches what is missing, renews ahead of time, and
serves on its Unix socket until SIGTERM or Ctrl-C. SIGHUP reloads the configuration and reads secret
files again, all or nothing.
Exit code 0: told to end; 70: a bug, or no memory left; 73: no socket, port or state directory, or
others have them; 75: somebody took the socket away; 78: wrong configuration, or a secret that
cannot be read."""
EPILOG = """\
examples:
  usps-token-broker run --config broker.toml
  USPS_CLIENT_ID=… USPS_CLIENT_SECRET_FILE=secret usps-token-broker run     without a file
Under systemd it takes the socket named `broker`, and tells readiness, status and watchdog.
next: usps-token-broker status, and usps-token bearer for a token"""

log = logging.getLogger(journal.LOGGER)
_ENDED: Final = journal.event("ended")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `run`."""
    paths.add_config(parser)
    parser.add_argument(
        "--log-format",
        choices=[form.value for form in journal.Form],
        default=journal.Form.AUTO.value,
        help="auto: fields for the journal under systemd (`journalctl USPS_SLOT=payment`), text "
        "elsewhere; json: one object a line, for containers",
    )


def act(options: argparse.Namespace) -> int:
    """Run until told to end; the exit code says how it went."""
    # A reload that comes before we listen must not end us; there is nothing to reload yet.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    form = journal.Form(options.log_format)
    journal.start(os.environ, form=form)
    os.umask(0o077)
    memory.keep_private()
    memory.keep_from_swap()
    try:
        settings = load(options.config, os.environ, uid=os.getuid())
    except ConfigError as error:
        if form is journal.Form.JSON:
            for problem in error.problems:
                log.error("%s", " ".join(str(problem).split()), extra=_ENDED)  # noqa: TRY400
        else:
            print(error, file=sys.stderr)  # noqa: T201 - several lines for a person
        _give_up(error)
        return EX_CONFIG
    for warning in [*settings.warnings, *_remarks()]:
        log.warning("%s", warning, extra=journal.event("warned"))
    signals = SignalStream(_SIGNALS)
    try:
        with _store(settings) as store, _sockets(settings) as owned:
            return _serve(options, settings, store, owned, signals)
    except (StoreError, SocketError, ListenError) as error:
        log.error("%s", error, extra=_ENDED)  # noqa: TRY400 - what happened, not where in our code
        _give_up(error)
        return EX_CANTCREAT
    except MemoryError:
        # What lets go of store and sockets had none; nor might the interpreter, on its way out.
        os._exit(EX_SOFTWARE)


def _give_up(error: Exception) -> None:
    """The service manager shows the last it heard of a service that has failed."""
    Notifier(os.environ).stopping(f"ended: {error}")


def _remarks() -> Iterator[str]:
    if not is_known(os.getuid()):
        yield (
            f"the broker runs as uid {os.getuid()}, which the kernel also gives for everybody "
            "whose id it cannot tell; so not even that user may use it, only root and those whom "
            "the configuration names. Run it as a user of its own"
        )


def _serve(
    options: argparse.Namespace,
    settings: Settings,
    store: Store,
    sockets: "Sockets",
    signals: SignalStream,
) -> int:
    # Imported once the socket listens: a client that comes now waits in the backlog.
    import anyio  # noqa: PLC0415

    from usps_token_broker import version  # noqa: PLC0415
    from usps_token_broker.app.daemon import Daemon  # noqa: PLC0415
    from usps_token_broker.app.outside import Outside, StartError  # noqa: PLC0415

    outside = Outside(
        settings=settings,
        load=lambda: load(options.config, os.environ, uid=os.getuid()),
        store=store,
        socket=sockets.workers,
        admin=sockets.admin,
        http=sockets.http,
        descriptors=_raised_descriptor_limit(),
        environ=Environment(os.environ),
        uid=os.getuid(),
        version=version(),
        notifier=Notifier(os.environ),
        signals=signals,
    )

    async def run() -> int:
        code = 0
        try:
            await Daemon(outside).run()
        except StartError as error:
            log.error("%s", error, extra=_ENDED)  # noqa: TRY400 - what happened, not where in our code
            _give_up(error)
            code = error.exit_code
        except Exception:
            log.critical(
                "a bug in the broker ended it; please report what follows",
                exc_info=True,
                extra=_ENDED,
            )
            _give_up(RuntimeError("a bug in the broker; its log says where"))
            code = EX_SOFTWARE
        last_resort.end_soon(code)
        return code

    last_resort = LastResort()
    try:
        return anyio.run(run)
    except BaseException:  # noqa: BLE001 - whatever it is, the process ends here
        # The event loop itself gave up, for want of memory perhaps.
        # Its threads wait for it, and the interpreter for them: we would hang, and serve nobody.
        try:
            log.critical("the event loop failed, so the broker ends", exc_info=True, extra=_ENDED)
        finally:  # whatever has no memory left, this needs none
            os._exit(EX_SOFTWARE)


def _raised_descriptor_limit() -> int:
    """As many connections as the system lets us have; the soft limit is made for select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    store = Store(Path(settings.state_dir))
    for mended in store.open():
        log.warning("%s", mended, extra=journal.event("mended"))
    try:
        yield store
    finally:
        store.close()


class Sockets(NamedTuple):
    """The one for workers, the one for the administrator, and that of TCP, if there is one."""

    workers: OwnedSocket
    admin: OwnedSocket
    http: socket.socket | None


@contextlib.contextmanager
def _sockets(settings: Settings) -> Iterator[Sockets]:
    with (
        _socket(settings) as workers,
        contextlib.closing(
            OwnedSocket.bind(
                settings.state_dir / paths.ADMIN_SOCKET, mode=0o600, directory_mode=0o700
            )
        ) as admin,
        _http(settings) as http,
    ):
        yield Sockets(workers, admin, http)


@contextlib.contextmanager
def _http(settings: Settings) -> Iterator[socket.socket | None]:
    where = settings.http
    if where is None:
        yield None
        return
    with tcp_listener.listen(where.address, where.port, where.key) as listener:
        yield listener


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
