"""`usps-token-broker simulate`: the simulator alone."""

import argparse

from usps_token_broker.simulator import add_simulate_arguments as add_arguments
from usps_token_broker.simulator import simulate

DESCRIPTION = """\
Be a USPS that is not: both token endpoints, address and label calls that check their headers,
hourly quotas, and faults on command. For tests; it listens on loopback alone."""

__all__ = ["DESCRIPTION", "act", "add_arguments"]


def act(options: argparse.Namespace) -> int:
    """Run the simulator until told to end."""
    return simulate(options)
