"""`usps-token-broker uninstall-units`: the undoing of `install-units`."""

import argparse

from usps_token_broker.cli import unit_places, unit_words
from usps_token_broker.drivers.units import Plan, survey_removal

DESCRIPTION = """\
Stop and disable the units that install-units wrote, and remove them, where nobody has changed them
since. Configuration, state, user and group stay, and so does every file that somebody else wrote
or changed.
Exit code 0: done, or nothing to do; 69: systemd would not; 73: a directory cannot be had; 77: only
root may; 78: a file is somebody's own and was left, the rest is gone."""
EPILOG = """\
examples:
  usps-token-broker uninstall-units --dry-run    what it would do
  usps-token-broker uninstall-units
next: pip uninstall usps-token-broker; configuration and state are yours to remove"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `uninstall-units`."""
    unit_words.add_arguments(parser)


def act(options: argparse.Namespace) -> int:
    """Do it, or show what would be done."""
    return unit_words.act(options, lambda: _survey(options), whole=False)


def _survey(options: argparse.Namespace) -> Plan:
    layout = unit_places.layout(options)
    texts = unit_places.units(options)
    host = unit_places.host(options, layout, texts)
    return survey_removal(layout, texts, host, force=options.force)
