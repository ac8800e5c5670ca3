"""The arguments of `usps-token-broker simulate`.

Only names are imported here, so that the help of the whole program stays quick.
"""

import argparse
from pathlib import Path
from typing import Final

from usps_token_broker.simulator.fault_table import table_text
from usps_token_broker.simulator.names import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    DEFAULT_QUOTAS,
    NOMINAL_LIFE_SECONDS,
    Api,
)

_EPILOG: Final = """\
examples:
  usps-token-broker simulate
  usps-token-broker simulate --port 8080 --life 60 --fault rate_limited=30@tokenx2
next: it says what to give to usps-token-broker run, and what to call with curl

faults are written NAME[=VALUE][@ENDPOINT][xCOUNT][/SECONDSs], where ENDPOINT is one of
{endpoints}, all. There are:
{table}

They can be set while it runs, too: its page at /sim/ says how.
"""


def add_simulate_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments that `simulate` reads."""
    parser.description = (
        "Run a simulated USPS v3 API: tokens, payment authorizations, addresses and labels in\n"
        "their real shapes, with quotas, and with faults on command. It needs no account, and\n"
        "runs until it is interrupted."
    )
    parser.epilog = _EPILOG.format(endpoints=", ".join(Api), table=_escaped(table_text()))
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=_port, default=0, help="port to listen on (default 0: one that is free)")
    add("--anywhere", action="store_true", help="allow a --host that other machines can reach")
    add(
        "--life",
        type=_life,
        default=NOMINAL_LIFE_SECONDS,
        metavar="SECONDS",
        help="life of the tokens (default %(default)s, as USPS's)",
    )
    add(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="a fault to begin with, such as rate_limited=30@tokenx2; repeatable, see below",
    )
    add(
        "--quota",
        type=_quota,
        action="append",
        default=[],
        metavar="[ENDPOINT=]CALLS",
        help="calls an hour and app, or none; repeatable (default "
        + ", ".join(f"{api}={_shown(limit)}" for api, limit in DEFAULT_QUOTAS.items())
        + "; without ENDPOINT: token)",
    )
    add("--client-id", default=DEFAULT_CLIENT_ID, help="client id (default %(default)s)")
    add(
        "--client-secret-file",
        type=Path,
        metavar="PATH",
        help=f"file that holds the client secret (default: the secret is {DEFAULT_CLIENT_SECRET})",
    )
    add(
        "--json",
        action="store_true",
        help='print one line of JSON, {"base_url": …}, in place of the explanation',
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 65_536:  # noqa: PLR2004 - 16 bit
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")


def _life(text: str) -> int:
    if text.isascii() and text.isdigit() and 2 <= int(text) <= 1_000_000_000:  # noqa: PLR2004
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from 2")


def _quota(text: str) -> tuple[Api, int | None]:
    api, equals, limit = text.rpartition("=")
    try:
        name = Api(api) if equals else Api.TOKEN
        return name, None if limit == "none" else _count(limit)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not [ENDPOINT=]CALLS: ENDPOINT is one of {', '.join(Api)}, "
            "CALLS a whole number or none"
        ) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 - a billion
        raise ValueError
    return int(text)


def _shown(limit: int | None) -> str:
    return "none" if limit is None else str(limit)


def _escaped(text: str) -> str:
    """As argparse wants a text that it formats."""
    return text.replace("%", "%%")
