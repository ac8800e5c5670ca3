"""The demo: simulator, broker and workers as real processes, and what USPS got to see of them.

`stage` starts and ends the processes, `workers` is what the workers are, `play` is the course of
events, `board` shows it, and `verdict` says whether the promises held. Nothing is imported before
it is asked for.
"""

import argparse
import sys

DEFAULT_WORKERS = 50
DEFAULT_LIFE_SECONDS = 20
MOST_WORKERS = 2000


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `usps-token-broker demo`."""
    parser.add_argument(
        "--workers",
        type=_workers,
        default=DEFAULT_WORKERS,
        metavar="N",
        help="worker processes (default: %(default)s)",
    )
    parser.add_argument(
        "--life",
        type=_life,
        default=DEFAULT_LIFE_SECONDS,
        metavar="SECONDS",
        help="life of a token, 12 to 24 (default: %(default)s; with USPS it is eight hours)",
    )
    parser.add_argument(
        "--plain", action="store_true", help="lines instead of a live picture, also on a terminal"
    )
    parser.add_argument("--json", action="store_true", help="only the result, as JSON")


def demo(options: argparse.Namespace) -> int:
    """Play the demo. The exit code is 0 only if every promise held."""
    from usps_token_broker.demo.play import Play  # noqa: PLC0415 - only this command needs it
    from usps_token_broker.demo.stage import StageError  # noqa: PLC0415

    try:
        return Play(options).run()
    except StageError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code


def _workers(text: str) -> int:
    return _between(text, 1, MOST_WORKERS)


def _life(text: str) -> int:
    # Two rotations and a revocation have to fit into a minute.
    return _between(text, 12, 24)


def _between(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"a whole number from {least} to {most}")
    return int(text)
