"""`usps-token-broker explain`: what an error is, why, and what to do; no broker needed."""

import argparse
import difflib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from usps_token_broker.catalogue import CATALOGUE, GROUPS
from usps_token_broker.drivers import clock
from usps_token_broker.wire.explaining import Explanation, explain
from usps_token_broker.wire.explanations import explanation_message
from usps_token_broker.wire.pasted import MOST_CHARS, decoded

EX_DATAERR: Final = 65
EX_NOINPUT: Final = 66

DESCRIPTION = """\
Say what an error is, why it happens, what to do and who can do it. Give it a code, such as those in
brackets in messages and logs, or one of USPS's numbers; or an answer of USPS, in a file or piped
in: what `curl -i`, `curl -v`, HTTPie or wget printed, the body alone, a line of a log with it, or
the message of an HTTP library. Nothing is sent anywhere, and tokens in it are not shown.
Exit code 0: here is what it is; 65: not recognised; 66: neither a code nor a file."""
EPILOG = """\
examples:
  usps-token-broker explain 160228
  curl -sv https://apis.usps.com/… 2>&1 | usps-token-broker explain
  usps-token-broker explain --list
next: what `do` says; usps-token-broker status"""

_WIDTH: Final = 78
_LABELS: Final = 9
_STATUS_DIGITS: Final = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `explain`."""
    parser.add_argument(
        "what", metavar="CODE|FILE", nargs="?", help="a code, or a file with an answer of USPS"
    )
    parser.add_argument(
        "--status", type=_status, metavar="NNN", help="the HTTP status, where the text has none"
    )
    parser.add_argument(
        "--host", metavar="HOST", default="", help="the host that the tokens are for"
    )
    parser.add_argument("--list", action="store_true", help="every code there is")
    parser.add_argument("--json", action="store_true", help="for programs")


def _status(text: str) -> int:
    if text.isdecimal() and 100 <= int(text[:9]) <= 599:  # noqa: PLR2004 - RFC 9110 15
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no HTTP status, such as 401")


def act(options: argparse.Namespace) -> int:
    """Print the explanation."""
    # A closed one is None.
    is_typed = sys.stdin is not None and sys.stdin.isatty()
    if options.list or (options.what is None and is_typed):
        return _list(as_json=options.json)
    if options.what == "-" and is_typed:
        print("paste what USPS answered, then Ctrl-D", file=sys.stderr)  # noqa: T201
    text = _text(options.what)
    if text is None:
        return _complain(options.what)
    found = explain(text, now=clock.now().wall, own_host=options.host, status=options.status)
    if options.json:
        print(msgspec.json.encode(explanation_message(found)).decode())  # noqa: T201
    else:
        for line in lines(found):
            print(line)  # noqa: T201
    return 0 if found.recognised else EX_DATAERR


def _text(what: str | None) -> str | None:
    """What is to be explained; None when there is nothing of this name."""
    if what is None or what == "-":
        return "" if sys.stdin is None else decoded(sys.stdin.buffer.read(4 * MOST_CHARS))
    if what.lower() in CATALOGUE:
        return what
    try:
        with Path(what).open("rb") as file:
            return decoded(file.read(4 * MOST_CHARS))
    except (OSError, ValueError):
        return None


def _complain(what: str) -> int:
    if what.isdecimal() and len(what) == _STATUS_DIGITS:
        print(  # noqa: T201
            f"{what} is a status, which many errors share: feed it the whole answer, with status "
            "and headers, as `curl -i` prints it",
            file=sys.stderr,
        )
        return EX_NOINPUT
    near = difflib.get_close_matches(what, CATALOGUE, n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    print(  # noqa: T201
        f"{what!r} is neither a code of the catalogue nor a file that can be read\n"
        f"{hint}`usps-token-broker explain --list` has every code",
        file=sys.stderr,
    )
    return EX_NOINPUT


def lines(found: Explanation) -> Iterator[str]:
    """An explanation for people, 78 columns wide."""
    row = found.row
    yield row.code
    if found.recognised:
        yield from _labelled("seen", row.symptom)
        yield from _labelled("cause", row.cause if found.detail == row.cause else found.detail)
    else:
        yield from _labelled("seen", found.detail)
    yield from _labelled("do", found.fix)
    yield from _labelled("who", row.who.value)
    yield from _labelled("source", row.source)


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"  {label:<{_LABELS - 2}}",
        subsequent_indent=" " * _LABELS,
        break_on_hyphens=False,
        # An address or a path in two pieces cannot be copied.
        break_long_words=False,
    )


def _list(*, as_json: bool) -> int:
    if as_json:
        rows = {heading: [row.code for row in rows] for heading, rows in GROUPS.items()}
        print(msgspec.json.encode(rows).decode())  # noqa: T201
        return 0
    for number, (heading, group) in enumerate(GROUPS.items()):
        print(f"{chr(10) * bool(number)}{heading}")  # noqa: T201
        for row in group:
            lead = f"  {row.code:<25} "
            cause = textwrap.shorten(row.cause, _WIDTH - len(lead), placeholder=" …")
            print(lead + cause)  # noqa: T201
    return 0
