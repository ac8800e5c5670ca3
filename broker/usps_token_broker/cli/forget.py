"""`usps-token-broker forget`: drop tokens that must not be served any more."""

import argparse
from urllib.parse import urlencode

from usps_token_broker.cli import orders
from usps_token_broker.wire.orders import ForgottenMessage

DESCRIPTION = """\
Have the running broker drop tokens at once, from memory and from its state, together with what it
knows against asking for others (back-off, a refusal). Others are fetched as soon as the budget
allows; callers wait meanwhile. To go on with a token until the next one is there: renew.
Exit code 0: dropped; 69: no broker here, or no such token; 77: only root and the broker's own user
may."""
EPILOG = """\
examples:
  usps-token-broker forget bearer
  usps-token-broker forget --app shop-two     every token of that app
  usps-token-broker forget --all              every token there is
next: usps-token-broker status --follow shows the others come"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `forget`."""
    parser.add_argument(
        "slot", metavar="SLOT", nargs="?", help="which token: bearer, payment or payment-NAME"
    )
    parser.add_argument("--app", metavar="NAME", help="of which app")
    parser.add_argument("--all", action="store_true", help="every token of every app")
    parser.set_defaults(refuse_usage=parser.error)
    orders.add_arguments(parser)


def act(options: argparse.Namespace) -> int:
    """Order it and say what is gone."""
    named = options.slot is not None or options.app is not None
    if named == options.all:
        options.refuse_usage("say which: a SLOT, --app NAME, or --all")
    query = {k: v for k, v in (("slot", options.slot), ("app", options.app)) if v is not None}
    target = f"/v1/forget?{urlencode(query)}" if query else "/v1/forget"
    return orders.give(options, target, ForgottenMessage, _tell)


def _tell(message: ForgottenMessage) -> None:
    for gone in message.forgotten:
        print(f"{gone.app}/{gone.slot} forgotten")  # noqa: T201
