"""`usps-token-broker install-units`: from a virtual environment to a service."""

import argparse
import sys
from dataclasses import replace

from usps_token_broker.cli import unit_places, unit_words
from usps_token_broker.drivers.units import Plan, UnitsError, program, survey_install

DESCRIPTION = """\
Write the units that came with this program, with the path that it was called by: service and
socket to /usr/local/lib/systemd/system, the user's to /etc/sysusers.d, and at the first time a
commented example to /etc/usps-token-broker/broker.toml. Lines that this systemd does not know are
commented out. A later run replaces what nobody has changed; anything else is not touched.
Exit code 0: done, or nothing to do; 69: systemd is not there or would not; 73: a directory or file
cannot be had; 77: only root may; 78: a file is somebody's own, and nothing was changed."""
EPILOG = """\
examples:
  usps-token-broker install-units --dry-run     what it would do
  usps-token-broker install-units --now         do it, enable and start
  usps-token-broker install-units --root /mnt/image --program /opt/utb/bin/usps-token-broker
next: fill in /etc/usps-token-broker/broker.toml, usps-token-broker check"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `install-units`."""
    unit_words.add_arguments(parser)
    parser.add_argument("--now", action="store_true", help="enable and start, or restart, too")
    parser.add_argument(
        "--program",
        metavar="PATH",
        help="the program that the service starts (default: this one)",
    )
    parser.set_defaults(refuse_usage=parser.error)


def act(options: argparse.Namespace) -> int:
    """Do it, or show what would be done."""
    if options.now and options.root is not None:
        options.refuse_usage("--now and --root: nothing runs in an image")
    if options.program is not None and not options.program.startswith("/"):
        options.refuse_usage(f"--program takes an absolute path, not {options.program!r}")
    return unit_words.act(options, lambda: _survey(options), whole=True)


def _survey(options: argparse.Namespace) -> Plan:
    layout = unit_places.layout(options)
    texts = unit_places.units(options)
    host = unit_places.host(options, layout, texts)
    named = options.program
    words = (named,) if named else program.called_as(sys.argv[0], sys.executable)
    if options.now and not host.running:
        raise UnitsError(
            "systemd does not run here, so --now cannot start anything; leave it out",
            unit_places.EX_UNAVAILABLE,
        )
    try:
        plan = survey_install(layout, texts, words, host, force=options.force, now=options.now)
    except ValueError as error:
        raise UnitsError(f"{error}; install into another directory") from None
    if not layout.is_system or options.root is not None or named:
        return plan
    told = program.obstacle(words)
    return plan if told is None else replace(plan, warnings=(*plan.warnings, told))
