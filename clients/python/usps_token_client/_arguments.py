"""The command line, read by hand: argparse takes as long to import as a token takes to fetch."""

from __future__ import annotations

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMON = frozenset({"--app", "--socket", "--timeout"})
COMMANDS: dict[str, frozenset[str]] = {
    "bearer": _COMMON | {"--min-valid", "--json"},
    "payment": _COMMON | {"--min-valid", "--json"},
    "headers": _COMMON | {"--payment", "--min-valid", "--json"},
    "wait": _COMMON | {"--slot", "--min-valid"},
    "status": _COMMON | {"--json"},
    "exec": _COMMON | {"--payment", "--min-valid", "--fd", "--file"},
    "explain": _COMMON | {"--json"},
}
_FLAGS = frozenset({"--json", "--fd", "--file"})
_SECONDS = frozenset({"--timeout", "--min-valid"})
DEFAULT_PAYMENT = "default"


class UsageError(Exception):
    """The command line cannot be meant; the text says what is wrong with it."""


class Arguments:
    """A command line, understood. `command` is `help` or `version` when that was asked for."""

    def __init__(self) -> None:
        self.command = ""
        self.app: str | None = None
        self.socket: str | None = None
        self.timeout: float | None = None
        self.min_valid: float | None = None
        self.as_json = False
        self.into = ""
        """Where `exec` puts the headers: `--fd`, `--file`, or its environment."""
        self.payment: str | None = None
        self.slots: list[str] = []
        self.words: list[str] = []
        """What is neither command nor option: a payment name, or the command of `exec`."""


def parse(argv: Sequence[str]) -> Arguments:
    """The arguments after the program's name. Raises UsageError."""
    found = Arguments()
    used: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            found.words += rest
            break
        if word in {"-h", "--help", "help"} and not found.words:
            found.command = "help"
            return found
        if word == "--version" or (word == "version" and not found.command):
            found.command = "version"
            return found
        if word.startswith("-") and word != "-":
            used.append(_option(found, word, rest))
        elif not found.command:
            found.command = word
        else:
            found.words.append(word)
            if found.command == "exec":
                # What follows belongs to the command that is to be run.
                found.words += rest
                break
    _check(found, used)
    return found


def _option(found: Arguments, word: str, rest: list[str]) -> str:
    """Take one option and its value off the rest; its name."""
    name, equals, value = word.partition("=")
    if name not in {option for options in COMMANDS.values() for option in options}:
        raise UsageError(f"there is no option {name}")
    if name in _FLAGS:
        if equals:
            raise UsageError(f"{name} takes no value")
        if name == "--json":
            found.as_json = True
        elif found.into not in {"", name}:
            raise UsageError("--fd or --file, not both")
        else:
            found.into = name
    elif name == "--payment":
        found.payment = value if equals else _next(rest) or DEFAULT_PAYMENT
    elif name == "--slot":
        found.slots += [value] if equals else _all(rest)
    else:
        _store(found, name, value if equals else _next(rest))
    return name


def _store(found: Arguments, name: str, value: str | None) -> None:
    if not value:
        raise UsageError(f"{name} wants a value")
    if name in _SECONDS:
        seconds = _seconds(name, value)
        if name == "--timeout":
            found.timeout = seconds
        else:
            found.min_valid = seconds
    elif name == "--app":
        found.app = value
    else:
        found.socket = value


def _next(rest: list[str]) -> str | None:
    """The next word, if it is a value and not an option."""
    return rest.pop(0) if rest and not rest[0].startswith("-") else None


def _all(rest: list[str]) -> list[str]:
    """All words up to the next option."""
    values = []
    while (value := _next(rest)) is not None:
        values.append(value)
    return values


def _seconds(name: str, value: str) -> float:
    whole, point, part = value.partition(".")
    # Only `12` or `0.5`: float() takes more, such as 1_0, and `usps-token` in sh takes no more.
    plain = value.isascii() and whole.isdigit() and (part.isdigit() or not point)
    seconds = float(value) if plain else -1.0
    if not 0.0 <= seconds <= 1e6 or (name == "--timeout" and seconds == 0.0):  # noqa: PLR2004 - eleven days
        raise UsageError(f"{name} wants a number of seconds, not {value!r}")
    return seconds


def _check(found: Arguments, used: list[str]) -> None:
    """Whether the command exists, and what was given goes with it."""
    command = found.command
    if not command:
        raise UsageError("which command? " + ", ".join(COMMANDS))
    if command not in COMMANDS:
        raise UsageError(f"there is no command {command!r}; there is: {', '.join(COMMANDS)}")
    wrong = [name for name in used if name not in COMMANDS[command]]
    if wrong:
        raise UsageError(f"{command} has no option {wrong[0]}")
    if "--slot" in used and not all([*found.slots, found.slots]):
        raise UsageError("--slot wants the name of a token: bearer, payment or payment-NAME")
    payments = [*found.words[:1], found.payment] if command == "payment" else [found.payment]
    if any(name is not None and (not name or "/" in name) for name in payments):
        raise UsageError("a payment token's name is not empty and has no /")
    if command == "exec":
        if not found.words:
            raise UsageError("exec wants a command to run: usps-token exec -- CMD")
        return
    most = 1 if command in {"payment", "explain"} else 0
    if len(found.words) > most:
        raise UsageError(f"{command} does not know what to do with {found.words[most]!r}")
