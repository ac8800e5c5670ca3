"""Options that several commands share, and the socket a person means."""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from usps_token_broker.config.files import read_toml
from usps_token_broker.config.loading import DEFAULT_PATH

ADMIN_SOCKET: Final = "admin.sock"
"""Its name in the state directory."""
SYSTEM_STATE: Final = Path("/run/usps-token-broker-state")
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


def add_admin_socket(parser: argparse.ArgumentParser) -> None:
    """`--admin-socket PATH`."""
    parser.add_argument(
        "--admin-socket",
        metavar="PATH",
        type=Path,
        help="the broker's admin socket (default: admin.sock in the state directory that the "
        f"configuration names, else in {SYSTEM_STATE} or "
        "$XDG_RUNTIME_DIR/usps-token-broker-state)",
    )


def admin_candidates(
    options: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> list[Path]:
    """Where the admin socket may be, the likeliest first."""
    if options.admin_socket is not None:
        return [options.admin_socket]
    directories = [*_configured_state(options.config, environ), SYSTEM_STATE]
    if environ.get("XDG_RUNTIME_DIR", "").startswith("/"):
        directories.append(Path(environ["XDG_RUNTIME_DIR"], SYSTEM_STATE.name))
    return [directory / ADMIN_SOCKET for directory in dict.fromkeys(directories)]


def _configured_state(config: Path | None, environ: Mapping[str, str]) -> Iterator[Path]:
    """The state directory that is named, if one can be told from a file that may be broken."""
    values = read_toml(config or DEFAULT_PATH)
    named = values.get("state_dir") if isinstance(values, dict) else None
    for path in (named, environ.get("USPS_TOKEN_STATE_DIR")):
        if isinstance(path, str) and path.startswith("/"):
            yield Path(path)


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
