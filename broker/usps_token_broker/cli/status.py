"""`usps-token-broker status`: how every token stands, for people and for `--json`."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from usps_token_broker.cli import paths
from usps_token_broker.core.notes import span
from usps_token_broker.drivers import asking
from usps_token_broker.wire.messages import AppMessage, SlotMessage, StatusMessage, TroubleMessage

EX_UNAVAILABLE: Final = 69
EX_TEMPFAIL: Final = 75
_SKEW_WORTH_TELLING_SECONDS: Final = 5.0

DESCRIPTION = """\
Ask the running broker how every token stands that you may read: phase, time left, next step, last
trouble with its fix, and the budget of calls to USPS.
Exit code 0: all required tokens are ready; 75: not all; 69: no broker here; 77: it is not open to
you."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `status`."""
    paths.add_socket(parser)
    parser.add_argument("--json", action="store_true", help="the broker's answer as it is")


def act(options: argparse.Namespace) -> int:
    """Print the status."""
    candidates = paths.candidates(options.socket)
    try:
        answer = asking.get(candidates, "/v1/status")
        message = msgspec.convert(answer, StatusMessage)
    except asking.AskError as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return problem.exit_code
    except msgspec.ValidationError as error:
        print(  # noqa: T201
            f"what answers there is no broker, or one of another version: {error}\n"
            "use the `usps-token-broker` that belongs to it, or --json",
            file=sys.stderr,
        )
        return EX_UNAVAILABLE
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())  # noqa: T201
    elif sys.stdout.isatty():
        _show(message)
    else:
        print("\n".join(lines(message)))  # noqa: T201
    return 0 if message.ready else EX_TEMPFAIL


def lines(message: StatusMessage) -> Iterator[str]:
    """The status as plain text, one line a fact."""
    up = span(message.at - message.started_at)
    ready = "ready" if message.ready else "NOT READY"
    yield f"usps-token-broker {message.version}  pid {message.pid}  up {up}  {ready}"
    if message.waiting:
        yield f"waiting: {message.waiting}"
    if message.state_trouble:
        yield f"state not saved: {message.state_trouble}"
    for app in message.apps:
        yield f"app {app.app}  {app.host}{_skew(app)}"
        for slot in app.slots:
            yield from _slot_lines(slot, message.at)
        for budget in app.budget:
            yield (
                f"  budget {budget.endpoint}: {budget.used_last_hour} of "
                f"{budget.calls_per_hour} calls in the last hour"
            )


def _skew(app: AppMessage) -> str:
    skew = app.skew_seconds
    if skew is None or abs(skew) < _SKEW_WORTH_TELLING_SECONDS:
        return ""
    return f"  (USPS's clock is {span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} ours)"


def _slot_lines(slot: SlotMessage, at: float) -> Iterator[str]:
    left = slot.expires_in
    held = f"{slot.freshness}, {span(left)} left" if left is not None else "no token"
    flags = [word for word in ("degraded", "suspect") if getattr(slot, word)]
    yield f"  {slot.slot:<12}{', '.join([held, *flags])}; {_next(slot, at)}"
    if slot.trouble:
        yield from _trouble_lines(slot.trouble, at)


def _trouble_lines(trouble: TroubleMessage, at: float) -> Iterator[str]:
    times = "once" if trouble.times == 1 else f"{trouble.times} times"
    yield f"    {trouble.code}, {times}, first {span(at - trouble.since)} ago: {trouble.detail}"
    yield f"    do: {trouble.fix}"


def _next(slot: SlotMessage, at: float) -> str:
    why, when = slot.next_attempt_why, slot.next_attempt_at
    if when is None:
        return f"{slot.phase}" + (f" ({why})" if why else "")
    clock = datetime.fromtimestamp(when, UTC).astimezone().strftime("%H:%M:%S")
    return f"{slot.phase}; next: {why} in {span(when - at)} ({clock})"


def _show(message: StatusMessage) -> None:
    # rich only where a person looks.
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    for line in lines(message):
        console.print(Text(line, style=_style(line)), soft_wrap=True)


def _style(line: str) -> str:
    if line.startswith("    do:"):
        return "cyan"
    if line.startswith(("    ", "state not saved")) or "no token" in line:
        return "red"
    if "NOT READY" in line or "degraded" in line:
        return "yellow"
    return "bold" if line.startswith(("usps-token-broker", "app ")) else ""
