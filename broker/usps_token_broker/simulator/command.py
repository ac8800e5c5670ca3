"""`usps-token-broker simulate`: the simulator as a program.

The simulator itself is imported when it runs, so that the help of the whole program stays quick.
"""

import argparse
import errno
import ipaddress
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from usps_token_broker.simulator.fault_values import FaultError
from usps_token_broker.simulator.names import DEFAULT_CLIENT_SECRET

if TYPE_CHECKING:
    from usps_token_broker.simulator.faults import Fault
    from usps_token_broker.simulator.settings import Settings
    from usps_token_broker.simulator.simulator import Simulator


def simulate(args: argparse.Namespace) -> int:
    """Run the simulator until SIGINT or SIGTERM.

    Returns:
        0 after a signal; 2 for arguments that do not fit; 1 when the address cannot be had. What
        went wrong, why and what to do is on standard error then.
    """
    from usps_token_broker.simulator.faults import Fault  # noqa: PLC0415 - see module docstring
    from usps_token_broker.simulator.settings import SettingsError  # noqa: PLC0415 - likewise

    try:
        host = _host(args.host, anywhere=args.anywhere)
        settings = _settings(args)
        faults = [Fault.parse(text) for text in args.fault]
    except (FaultError, SettingsError, _UsageError) as error:
        return _complain(f"{error}", 2)
    try:
        return _run(args, host, settings, faults)
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        why = f"cannot listen on {args.host} port {args.port}: {error.strerror or error}. "
        return _complain(why + _remedy(error), 1)


def _run(args: argparse.Namespace, host: str, settings: "Settings", faults: list["Fault"]) -> int:
    import anyio  # noqa: PLC0415 - see module docstring

    from usps_token_broker.simulator.simulator import Simulator  # noqa: PLC0415 - likewise

    async def serve() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with anyio.create_task_group() as task_group:
                simulator = Simulator(settings, host=host, port=args.port)
                for fault in faults:
                    simulator.inject(fault)
                await simulator.start(task_group)
                _announce(args, simulator)
                async for _ in signals:
                    break
                await simulator.stop()
                task_group.cancel_scope.cancel()

    try:
        anyio.run(serve)
    except BaseExceptionGroup as group:
        raise _only(group) from None
    return 0


def _announce(args: argparse.Namespace, simulator: "Simulator") -> None:
    from usps_token_broker.simulator.guide import Greeting, greeting  # noqa: PLC0415 - likewise

    settings = simulator.settings
    if args.json:
        first = {
            "base_url": simulator.base_url,
            "client_id": settings.client_id,
            "pid": os.getpid(),
        }
        _write(json.dumps(first) + "\n")
        return
    path = args.client_secret_file
    _write(
        greeting(
            Greeting(
                base_url=simulator.base_url,
                client_id=settings.client_id,
                client_secret=DEFAULT_CLIENT_SECRET if path is None else f'"$(cat {path})"',
                life_seconds=settings.life_seconds,
                standing=args.fault,
                is_open=not _is_loopback(args.host),
            )
        )
    )


def _remedy(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "Choose another --port, or 0 for one that is free; ss -ltnp shows who has it"
    return "--host has to be an address of this machine, and a --port below 1024 needs root"


class _UsageError(Exception):
    """Arguments that do not fit together; the text says what would."""


def _settings(args: argparse.Namespace) -> "Settings":
    from usps_token_broker.simulator.settings import Settings  # noqa: PLC0415 - likewise

    given: dict[str, Any] = {
        "client_id": args.client_id,
        "life_seconds": args.life,
        "quotas": dict(args.quota),
    }
    if args.client_secret_file is not None:
        try:
            given["client_secret"] = args.client_secret_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _UsageError(
                f"cannot read the secret in {args.client_secret_file}: {error}"
            ) from error
    return Settings().changed(given)


def _host(host: str, *, anywhere: bool) -> str:
    if not anywhere and not _is_loopback(host):
        raise _UsageError(
            f"--host {host} is no loopback address: others could reach the simulator, and nothing "
            "guards it. Leave --host out, or add --anywhere if that is what you want"
        )
    return host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception in a group; the group itself when there are several."""
    inner = group.exceptions
    if len(inner) != 1:
        return group
    return _only(inner[0]) if isinstance(inner[0], BaseExceptionGroup) else inner[0]


def _complain(why: str, code: int) -> int:
    sys.stderr.write(f"usps-token-broker simulate: {why}\n")
    return code


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads, which is no reason to end; what is left to write has to go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
