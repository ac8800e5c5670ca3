"""`usps-token-broker status`: how every token stands, for people and for `--json`."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from usps_token_broker.cli import paths
from usps_token_broker.core.notes import span
from usps_token_broker.drivers import asking

EX_TEMPFAIL: Final = 75

DESCRIPTION = """\
Ask the running broker how every token stands that you may read: phase, time left, next step, last
trouble with its fix, and the budget of calls to USPS.
Exit code 0: all required tokens are ready; 75: not all; 69: no broker here."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `status`."""
    paths.add_socket(parser)
    parser.add_argument("--json", action="store_true", help="the broker's answer as it is")


def act(options: argparse.Namespace) -> int:
    """Print the status."""
    try:
        message = asking.get(paths.candidates(options.socket), "/v1/status")
    except asking.AskError as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return problem.exit_code
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(message), indent=2).decode())  # noqa: T201
    elif sys.stdout.isatty():
        _show(message)
    else:
        print("\n".join(lines(message)))  # noqa: T201
    return 0 if message["ready"] else EX_TEMPFAIL


def lines(message: dict[str, Any]) -> list[str]:
    """The status as plain text, one line a fact."""
    up = span(message["at"] - message["started_at"])
    ready = "ready" if message["ready"] else "NOT READY"
    out = [f"usps-token-broker {message['version']}  pid {message['pid']}  up {up}  {ready}"]
    if message["state_trouble"]:
        out.append(f"state not saved: {message['state_trouble']}")
    for app in message["apps"]:
        out.append(f"app {app['app']}  {app['host']}{_skew(app)}")
        for slot in app["slots"]:
            out += _slot_lines(slot, message["at"])
        out += [
            f"  budget {budget['endpoint']}: {budget['used_last_hour']} of "
            f"{budget['calls_per_hour']} calls in the last hour"
            for budget in app["budget"]
        ]
    return out


def _skew(app: dict[str, Any]) -> str:
    skew = app["skew_seconds"]
    if skew is None or abs(skew) < 5:  # noqa: PLR2004 - nobody minds five seconds
        return ""
    return f"  USPS's clock is {span(abs(skew))} {'ahead' if skew > 0 else 'behind'}"


def _slot_lines(slot: dict[str, Any], at: float) -> list[str]:
    left = slot["expires_in"]
    held = f"{slot['freshness']}, {span(left)} left" if left is not None else "no token"
    flags = [word for word in ("degraded", "suspect") if slot[word]]
    out = [f"  {slot['slot']:<12}{', '.join([held, *flags])}; {_next(slot, at)}"]
    trouble = slot["trouble"]
    if trouble:
        since = span(at - trouble["since"])
        out.append(f"    {trouble['code']} for {since}, {trouble['times']} times: ")
        out[-1] += trouble["detail"]
        out.append(f"    do: {trouble['fix']}")
    return out


def _next(slot: dict[str, Any], at: float) -> str:
    why, when = slot["next_attempt_why"], slot["next_attempt_at"]
    if when is None:
        return f"{slot['phase']}" + (f" ({why})" if why else "")
    clock = datetime.fromtimestamp(when, UTC).astimezone().strftime("%H:%M:%S")
    return f"{slot['phase']}; next: {why} in {span(when - at)} ({clock})"


def _show(message: dict[str, Any]) -> None:
    # rich only where a person looks.
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    for line in lines(message):
        style = ""
        if line.startswith("    do:"):
            style = "cyan"
        elif line.startswith(("    ", "state not saved")) or "no token" in line:
            style = "red"
        elif "NOT READY" in line or "degraded" in line:
            style = "yellow"
        elif line.startswith(("usps-token-broker", "app ")):
            style = "bold"
        console.print(Text(line, style=style), soft_wrap=True)
