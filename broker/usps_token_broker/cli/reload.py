"""`usps-token-broker reload`: the configuration and the secrets read again, all or nothing."""

import argparse
import sys
from typing import Final

from usps_token_broker.cli import orders
from usps_token_broker.wire.orders import ReloadMessage

EX_CONFIG: Final = 78
_READING_SECONDS: Final = 40.0
"""The broker's own patience with disks and name services, and a little more."""

DESCRIPTION = """\
Have the running broker read its configuration and its secret files again. With anything wrong in
them nothing changes, and it says what is wrong; else all of it is in force at once, and a changed
client secret is proved by one call. No token that is still good for the same question is lost.
Exit code 0: in force; 69: no broker here; 77: only root and the broker's own user may; 78: refused,
nothing changed, or a payment file was left out, or USPS refused a changed secret."""
EPILOG = """\
examples:
  usps-token-broker reload
kill -HUP does the same, and the result is in the broker's log alone.
socket, state_dir and limits are those of the process: they take a restart.
next: usps-token-broker status"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `reload`."""
    orders.add_wait(
        parser, "how long to wait for USPS's word on a changed secret (default 20, at most 60)"
    )
    orders.add_arguments(parser)


def act(options: argparse.Namespace) -> int:
    """Order it and say what is different."""
    target = f"/v1/reload?wait={options.wait:g}"
    patience = options.wait + _READING_SECONDS
    return orders.give(options, target, ReloadMessage, _tell, judge=_judge, wait_seconds=patience)


def _tell(message: ReloadMessage) -> None:
    for line in message.changed:
        print(line)  # noqa: T201
    for secret in message.secrets:
        print(f"app {secret.app}: {secret.detail}")  # noqa: T201
    if not message.changed and not message.secrets:
        print("nothing is different")  # noqa: T201
    sys.stdout.flush()
    for warning in message.warnings:
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201


def _judge(message: ReloadMessage) -> int:
    refused = any(secret.outcome == "refused" for secret in message.secrets)
    return EX_CONFIG if message.left_out or refused else 0
