"""Both programs' command lines as one kind of value, read from what parses them."""

import argparse
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from usps_token_broker import cli
from usps_token_broker.cli.completion import _DISTRIBUTIONS as PROGRAMS
from usps_token_broker.cli.completion import SHELLS
from usps_token_broker.simulator.fault_table import FAULTS
from usps_token_client import _arguments, _help

HELP: Final = "print this help and exit"


@dataclass(frozen=True)
class Option:
    """One option. `value` is the word for its value, as help shows it; None for a flag."""

    names: tuple[str, ...]
    says: str
    value: str | None = None
    optional: bool = False
    """Whether the value may be left out."""
    many: bool = False
    """Whether all words up to the next option are values of it."""

    @property
    def kind(self) -> str:
        """What a value of it is: a key of KINDS."""
        return kind_of(self.value)


@dataclass(frozen=True)
class Word:
    """What a command takes that is no option."""

    value: str
    says: str
    optional: bool = True

    @property
    def kind(self) -> str:
        """As of an option."""
        return kind_of(self.value)


@dataclass(frozen=True)
class Command:
    """One command of a program."""

    name: str
    summary: str
    about: str = ""
    more: str = ""
    options: tuple[Option, ...] = ()
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Program:
    """A program and its commands. `sections` are further ones of its manual, by heading."""

    name: str
    summary: str
    about: str
    options: tuple[Option, ...]
    commands: tuple[Command, ...]
    sections: dict[str, str] = field(default_factory=dict)


KINDS: Final[dict[str, tuple[str, ...]]] = {
    "text": (),
    "file": (),
    "directory": (),
    "slot": ("bearer", "payment"),
    "payment": ("default",),
    "app": (),
    "command": (),
    "shell": tuple(SHELLS),
    "program": tuple(PROGRAMS),
    "fault": tuple(FAULTS),
    "host": ("127.0.0.1", "localhost", "::1"),
    "action": ("add", "list", "revoke"),
}
"""Kinds of values with the words that are always among them."""

_KIND_OF: Final = {
    "FILE": "file",
    "PATH": "file",
    "DIR": "directory",
    "SLOT": "slot",
    "NAME": "app",
    "[NAME]": "payment",
    "CMD": "command",
    "SHELL": "shell",
    "PROGRAM": "program",
    "FAULT": "fault",
    "HOST": "host",
    "ACTION": "action",
}


def kind_of(value: str | None) -> str:
    """By the word that stands for it in the help."""
    return _KIND_OF.get(value or "", "text")


def broker() -> Program:
    """`usps-token-broker`, as argparse has it."""
    parser = cli.make_parser()
    commands = []
    for name, summary in cli._COMMANDS.items():
        sub = _choices(cli.make_parser(name))[name]
        words = [a for a in sub._actions if not a.option_strings]
        commands.append(
            Command(
                name,
                summary,
                about=sub.description or "",
                more=(sub.epilog or ""),
                options=tuple(map(_option, (a for a in sub._actions if a.option_strings))),
                words=tuple(
                    Word(str(a.metavar or a.dest), _filled(a), optional=a.nargs == "?")
                    for a in words
                ),
            )
        )
    return Program(
        "usps-token-broker",
        "fetches, renews and hands out the USPS v3 tokens of a host",
        parser.description or "",
        tuple(map(_option, (a for a in parser._actions if a.option_strings))),
        tuple(commands),
        {"examples": parser.epilog or ""},
    )


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [commands] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(commands.choices)


def _option(action: argparse.Action) -> Option:
    flag = action.nargs == 0
    value = None if flag else str(action.metavar or action.dest.upper())
    says = HELP if "--help" in action.option_strings else _filled(action)
    return Option(tuple(action.option_strings), says, value)


def _filled(action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": ""}


def client() -> Program:
    """`usps-token`, as it reads its command line, in the words of its help."""
    head, *parts = re.split(r"\n(?=\S)", _help.HELP.rstrip())
    first, _, usages = head.partition("\n")
    told = {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}
    says = dict(_columns(told.pop("options")))
    options = {key.split()[0]: (key, text) for key, text in says.items()}
    commands = []
    for usage, summary in _columns(usages):
        name = usage.split()[1]
        takes = sorted(_arguments.COMMANDS[name])
        commands.append(
            Command(
                name,
                summary,
                options=(
                    Option(("-h", "--help"), HELP),
                    *(_client_option(o, options.get(o), usage) for o in takes),
                ),
                words=tuple(_client_words(name)),
            )
        )
    return Program(
        "usps-token",
        "takes USPS tokens from the usps-token-broker on this host",
        first.partition(": ")[2],
        (
            Option(("-h", "--help"), HELP),
            Option(("--version",), options["--version"][1]),
            # These may stand before the command, too.
            *(_client_option(o, options.get(o), "") for o in sorted(_arguments._COMMON)),
        ),
        tuple(commands),
        told,
    )


_OF_ONE_COMMAND: Final = {
    "--payment": Option(
        ("--payment",), "with the payment token too, or that of NAME", "[NAME]", optional=True
    ),
    "--slot": Option(("--slot",), "wait for these tokens (else: all required)", "SLOT", many=True),
}


def _client_option(name: str, told: tuple[str, str] | None, usage: str) -> Option:
    if name in _OF_ONE_COMMAND:
        assert name in usage, f"{name} is not in the help of {usage}"
        return _OF_ONE_COMMAND[name]
    assert told is not None, f"{name} is not in the help"
    value = told[0].split()[1:]
    return Option((name,), told[1], value[0] if value else None)


def _client_words(command: str) -> Iterable[Word]:
    if command == "payment":
        yield Word("[NAME]", "the name of a payment token; without it the default one")
    if command == "exec":
        yield Word("CMD", "what to run", optional=False)


def _columns(text: str) -> Iterator[tuple[str, str]]:
    """Two columns; what is further in than the first goes on with the second."""
    key, says = "", ""
    for line in text.splitlines():
        if not line.strip():
            continue
        if re.match(r"  \S", line):
            if key:
                yield key, says
            key, _, says = (
                part.strip() for part in re.sub(r" {2,}", "\0", line.strip()).partition("\0")
            )
        else:
            says = f"{says} {line.strip()}".strip()
    yield key, says
