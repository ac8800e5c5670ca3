"""Options that several commands share, and the socket a person means."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SYSTEM_SOCKET: Final = Path("/run/usps-token-broker/broker.sock")


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="the configuration (default: /etc/usps-token-broker/broker.toml, else the environment "
        "variables USPS_CLIENT_ID, USPS_CLIENT_SECRET or USPS_CLIENT_SECRET_FILE, …)",
    )


def add_socket(parser: argparse.ArgumentParser) -> None:
    """`--socket PATH`."""
    parser.add_argument(
        "--socket",
        metavar="PATH",
        type=Path,
        help="the broker's socket (default: $USPS_TOKEN_SOCKET, "
        f"{SYSTEM_SOCKET}, $XDG_RUNTIME_DIR/usps-token-broker/broker.sock)",
    )


def candidates(named: Path | None, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where the broker's socket may be, in the order in which clients look."""
    if named is not None:
        return [named]
    if environ.get("USPS_TOKEN_SOCKET"):
        return [Path(environ["USPS_TOKEN_SOCKET"])]
    paths = [SYSTEM_SOCKET]
    if environ.get("XDG_RUNTIME_DIR"):
        paths.append(Path(environ["XDG_RUNTIME_DIR"], "usps-token-broker", "broker.sock"))
    return paths
