"""`usps-token-broker demo`: the whole thing at work, without an account."""

import argparse

DESCRIPTION = """\
Start the simulator, the broker and worker processes with short-lived tokens, and show what USPS
gets to see: calls of workers, failed calls, renewals, one early revocation. Ends by itself in under
a minute; exit code 0 only if what the broker promises held."""
EPILOG = """\
examples:
  usps-token-broker demo
  usps-token-broker demo --workers 200 --plain
next: usps-token-broker simulate, for tests of your own; usps-token-broker install-units"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `demo`."""
    from usps_token_broker.demo import add_demo_arguments  # noqa: PLC0415

    add_demo_arguments(parser)


def act(options: argparse.Namespace) -> int:
    """Run the demo."""
    from usps_token_broker.demo import demo  # noqa: PLC0415

    return demo(options)
