"""The command line: what a person types and what comes back, exit codes included.

Exit codes are those of sysexits.h: 0 done, 64 wrong usage, 65 not recognised, 66 no such input, 69
the broker is not there, 70 a bug, 73 a directory or socket cannot be made, 74 the output cannot be
written, 75 try again, 77 not allowed, 78 wrong configuration; and what a shell gives for signals,
130 for Ctrl-C and 141 when nobody reads what is printed.
"""

import argparse
import errno
import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NoReturn

from usps_token_broker.cli import interrupts

EX_USAGE: Final = 64
EX_IOERR: Final = 74
EX_SIGINT: Final = 130
EX_SIGPIPE: Final = 141
"""What a shell says of a command that a closed pipe ended."""

_WIDEST: Final = 98
"""Columns of prose, however wide the terminal is."""
_BROKEN: Final = 80
"""A line of prose that is longer goes on in the next."""
_LABELS: Final = ("Exit code", "next: ")
"""What begins a line of its own."""
_STDOUT: Final = 1
_STDERR: Final = 2
_UNWRITABLE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

_DESCRIPTION: Final = """\
Fetches the USPS v3 OAuth and payment tokens once per host, renews them ahead of time, and hands
them to every worker over a Unix socket."""

_EPILOG: Final = """\
try it without an account:   usps-token-broker demo
start it:                    usps-token-broker check && usps-token-broker run
as a systemd service:        usps-token-broker install-units
take a token:                usps-token bearer
                             curl --unix-socket SOCKET http://localhost/v1/tokens/bearer
`usps-token-broker COMMAND --help` says more of each; `man usps-token-broker` has all of it, and
`man usps-token-broker.toml` the configuration. After `. <(usps-token-broker completion bash)` the
shell completes commands and options."""

_COMMANDS: Final = {
    "run": "be the broker: fetch, renew and serve tokens until told to end",
    "check": "read the configuration and the secrets, say what is wrong, touch nothing",
    "doctor": "look at everything between a worker and USPS, and say what is wrong",
    "status": "ask the running broker how every token stands",
    "top": "the same live: tokens, clients, calls, budget",
    "explain": "say what an error is and what to do: a code, or an answer of USPS",
    "reload": "have the running broker read configuration and secrets again, all or nothing",
    "renew": "have the running broker fetch another token now",
    "forget": "have the running broker drop tokens at once",
    "key": "make, list and revoke local keys, for programs that cannot be changed",
    "install-units": "write the systemd units for this program, never over what somebody changed",
    "uninstall-units": "take away the units that install-units wrote, and nothing else",
    "demo": "show it at work: simulator, broker and worker processes, no account needed",
    "simulate": "be a USPS that is not: the endpoints, quotas and faults, for tests",
    "completion": "print what bash, zsh or fish needs to complete commands and options",
}


_OPTIONS: Final = ("--help", "--version")
"""Of the whole program."""


class _Parser(argparse.ArgumentParser):
    """Exits with EX_USAGE and points at the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(EX_USAGE, f"{self.prog}: {message}\ntry: {self.prog} --help\n")


class _Format(argparse.RawDescriptionHelpFormatter):
    """Fits prose to the terminal; keeps paths and names whole, which are there to be copied."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrapped(" ".join(text.split()), width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = [
            line
            for prose in _joined(text)
            for line in (_wrapped(prose, min(width, _WIDEST)) if _is_prose(prose) else [prose])
        ]
        return "\n".join(indent + line for line in lines)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap  # noqa: PLC0415 - help alone needs it, as in argparse

    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _joined(text: str) -> Iterator[str]:
    """Lines as they are meant: what was broken only because a source has 100 columns is joined."""
    meant = last = ""
    for number, line in enumerate(text.rstrip().split("\n")):
        goes_on = len(last) > _BROKEN and _is_prose(last) and _is_prose(line)
        if goes_on and not line.startswith(_LABELS):
            meant = f"{meant} {line}"
        else:
            if number:
                yield meant
            meant = line
        last = line
    yield meant


def _is_prose(line: str) -> bool:
    """Not an example, nor a row of columns, nor nothing."""
    return bool(line) and not line.startswith(" ") and "  " not in line and "\t" not in line


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from usps_token_broker.cli import version  # noqa: PLC0415 - ssl and metadata: 40 ms

        for line in version.lines():
            print(line)  # noqa: T201
        parser.exit(0)


def make_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser; the arguments of one command are filled in, since each costs its imports."""
    parser = _Parser(
        prog="usps-token-broker",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=_Format,
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        help="print the versions a report of trouble needs, and exit",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in _COMMANDS.items():
        module = _module(name) if name == command else None
        sub = commands.add_parser(
            name,
            help=summary,
            description=(module.DESCRIPTION if module else summary),
            epilog=(getattr(module, "EPILOG", None) if module else None),
            formatter_class=_Format,
        )
        if module is not None:
            module.add_arguments(sub)
            sub.set_defaults(act=module.act, refuse=sub.error, known=_options_of(sub))
    return parser


def _options_of(parser: argparse.ArgumentParser) -> list[str]:
    """As its own usage names them."""
    return re.findall(r"(?<![\w-])--[a-z][a-z-]*", parser.format_usage())


def _module(command: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a module with act() and add_arguments()
    return importlib.import_module(f"usps_token_broker.cli.{command.replace('-', '_')}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    _open_standard_streams()
    try:
        try:
            return _act(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            # Here and not at exit, where what goes wrong could only be complained about.
            sys.stdout.flush()
    except KeyboardInterrupt:
        return EX_SIGINT
    except BrokenPipeError:
        # The reader of our output left (`| head -1`): there is nobody to tell.
        _discard_output()
        return EX_SIGPIPE
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _discard_output()
        print(f"cannot write the output: {error.strerror}", file=sys.stderr)  # noqa: T201
        return EX_IOERR


def _act(words: list[str]) -> int:
    command = next((word for word in words if word in _COMMANDS), None)
    with interrupts.at_once():
        parser = make_parser(command)
    first = words[0] if words else ""
    if command is None and first and not first.startswith("-"):
        parser.error(f"there is no command {first!r}{_meant(first, _COMMANDS)}")
    if command is None and first.startswith("--") and not _begins_an_option(first):
        parser.error(f"{first} is not known here{_meant(first, _OPTIONS)}")
    options, unknown = parser.parse_known_args(words)
    if unknown:
        options.refuse(f"{unknown[0]} is not known here{_meant(unknown[0], options.known)}")
    code: int = options.act(options)
    return code


def _begins_an_option(typed: str) -> bool:
    """Whether it is an option of the whole program, or short for one."""
    return any(option.startswith(typed) for option in _OPTIONS)


def _meant(typed: str, known: Iterable[str]) -> str:
    """What it was likely meant to be, as a question; empty where nothing is like it."""
    import difflib  # noqa: PLC0415 - only where somebody mistypes

    like = difflib.get_close_matches(typed.partition("=")[0], list(known), 1)
    return f"; did you mean {like[0]}?" if like else ""


def _open_standard_streams() -> None:
    """A closed one's number would go to the next file or socket, and our output into that."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - its only argument
    os.close(descriptor)
    # None is what Python makes of a stream that was closed when it started.
    sys.stdout = sys.stdout or os.fdopen(_STDOUT, "w")
    sys.stderr = sys.stderr or os.fdopen(_STDERR, "w")


def _discard_output() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)
