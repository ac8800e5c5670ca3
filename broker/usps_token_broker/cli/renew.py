"""`usps-token-broker renew`: another token now, by a person's order."""

import argparse
from urllib.parse import quote, urlencode

from usps_token_broker.cli import orders
from usps_token_broker.core.notes import span
from usps_token_broker.core.values import BEARER
from usps_token_broker.wire.orders import RenewalMessage

DESCRIPTION = """\
Have the running broker fetch another token now, for when USPS granted the application something
new, or a token is not to be trusted. The present one is served until the other is there. It counts
against the budget and leaves the last two attempts of a token to its planned renewal.
Exit code 0: renewed; 69: no broker here, or no such token; 75: not now, it says why and when;
77: only root and the broker's own user may; 78: USPS refused, a person must act."""
EPILOG = """\
examples:
  usps-token-broker renew bearer
  usps-token-broker renew payment --app shop-two
next: usps-token-broker status"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `renew`."""
    parser.add_argument(
        "slot",
        metavar="SLOT",
        nargs="?",
        default=BEARER,
        help="which token: bearer (the default), payment or payment-NAME",
    )
    parser.add_argument("--app", metavar="NAME", help="of which app, where there are several")
    orders.add_wait(
        parser, "how long to wait for it (default 20, at most 60); it comes all the same"
    )
    orders.add_arguments(parser)


def act(options: argparse.Namespace) -> int:
    """Order it and say what came of it."""
    query = {"wait": f"{options.wait:g}"}
    if options.app is not None:
        query["app"] = options.app
    target = f"/v1/tokens/{quote(options.slot, safe='')}/renewals?{urlencode(query)}"
    return orders.give(options, target, RenewalMessage, _tell, wait_seconds=options.wait)


def _tell(message: RenewalMessage) -> None:
    left = span(message.expires_in)
    print(f"{message.app}/{message.slot} renewed; good for {left}")  # noqa: T201
