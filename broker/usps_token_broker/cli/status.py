"""`usps-token-broker status`: how every token stands, for people and for `--json`."""

import argparse
import os
import select
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from usps_token_broker import cli
from usps_token_broker.cli import paths, screen, standing
from usps_token_broker.drivers import asking
from usps_token_broker.wire.events import StoppingEvent, decode_event
from usps_token_broker.wire.status import StatusMessage

EX_TEMPFAIL: Final = 75

DESCRIPTION = """\
Ask the running broker how every token stands that you may read: phase, time left, next step, last
trouble with its fix, and the budget of calls to USPS.
Exit code 0: all required tokens are ready; 75: not all; 69: no broker here; 76: what answers is no
broker; 77: it is not open to you.
With --follow it goes on with a line for each change until Ctrl-C (130); 75: the broker has ended,
or the connection is lost."""
EPILOG = """\
examples:
  usps-token-broker status
  usps-token-broker status --follow
  usps-token-broker status --json | jq -r '.apps[].slots[] | [.slot, .phase] | @tsv'
next: what a trouble's fix says; usps-token-broker renew after a person has mended it"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `status`."""
    paths.add_socket(parser)
    parser.add_argument("--follow", action="store_true", help="go on with each change")
    parser.add_argument(
        "--json",
        action="store_true",
        help="the broker's answer as it is; with --follow one object a line, `event` says of what",
    )


def act(options: argparse.Namespace) -> int:
    """Print the status, and what follows."""
    candidates = paths.candidates(options.socket)
    try:
        if options.follow:
            return _follow(candidates, as_json=options.json)
        return _show(candidates, as_json=options.json)
    except asking.AskError as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return problem.exit_code


def _foreign(error: Exception) -> asking.AskError:
    return asking.AskError(
        f"what answers there is no broker, or one of another version: {error}\n"
        "use the `usps-token-broker` that belongs to it, or --json",
        asking.EX_PROTOCOL,
    )


def _show(candidates: list[Path], *, as_json: bool) -> int:
    answer = asking.get(candidates, "/v1/status")
    try:
        message = msgspec.convert(answer, StatusMessage)
    except msgspec.ValidationError as error:
        raise _foreign(error) from None
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())  # noqa: T201
    else:
        screen.show(message)
    return 0 if message.ready else EX_TEMPFAIL


def _follow(candidates: list[Path], *, as_json: bool) -> int:
    threading.Thread(target=_end_with_the_reader, daemon=True).start()
    tell = _write if as_json else _teller()
    last = None
    for line in asking.follow(candidates, "/v1/events"):
        tell(line)
        last = line
    why = "has ended this stream; what is open to you may have changed"
    if last is not None and _is_farewell(last):
        why = "is ending"
    print(f"the broker {why}\nfollow it again in a moment", file=sys.stderr)  # noqa: T201
    return EX_TEMPFAIL


def _end_with_the_reader() -> None:
    """End as a shell's commands do once nobody reads: at once, and not with the next change.

    Over ssh without a terminal nothing else tells that the other side has gone.
    """
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always told (poll(2))
    if reader.poll():
        os._exit(cli.EX_SIGPIPE)  # from any thread; what is still to be written has no reader


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _teller() -> Callable[[bytes], None]:
    say = screen.printer()

    def tell(line: bytes) -> None:
        try:
            event = decode_event(line)
        except ValueError as error:
            raise _foreign(error) from None
        for text in standing.event_lines(event) if event else ():
            say(text)

    return tell


def _is_farewell(line: bytes) -> bool:
    try:
        return isinstance(decode_event(line), StoppingEvent)
    except ValueError:
        return False
