"""What all three shells are told: how to find the command, and what a value can be."""

import re
from typing import Final

from command_lines import KINDS, Option, Program

ASKED: Final = "timeout 1 {program} status --json 2>/dev/null"
"""What knows the names of tokens and applications; a second, for somebody waits at a prompt."""
FOUND: Final = 'grep -oE \'"{key}": *"[A-Za-z0-9._-]+"\' | cut -d\'"\' -f4 | sort -u'
"""Names from the broker's JSON, none with a character that a shell could take for its own."""


def names(program: str, key: str) -> str:
    """A pipe that prints the names of tokens (`slot`) or applications (`app`) there are."""
    return f"{ASKED.format(program=program)} | {FOUND.format(key=key)}"


def function(program: Program, suffix: str = "") -> str:
    """The name of the program's function, of letters that all shells take."""
    return "_" + program.name.replace("-", "_") + suffix


def taking(program: Program) -> list[str]:
    """Every option whose value is the next word, whatever that is."""
    return [n for n, o in values(program).items() if not o.optional and not o.many]


def values(program: Program) -> dict[str, Option]:
    """Every option with a value, by its name, which means the same to each command."""
    found: dict[str, Option] = {}
    for option in (o for command in program.commands for o in command.options if o.value):
        for name in option.names:
            assert found.setdefault(name, option).kind == option.kind, f"{name} means two things"
    return found


def kinds(program: Program) -> set[str]:
    """Of values that some command takes."""
    words = {word.kind for command in program.commands for word in command.words}
    return words | {option.kind for option in values(program).values()} - {"text"}


def flags(options: tuple[Option, ...]) -> list[str]:
    """The long names."""
    return [name for o in options for name in o.names if name.startswith("--")]


def fixed(kind: str) -> str:
    """The words that are always among the values."""
    return " ".join(KINDS[kind])


def short(says: str) -> str:
    """What fits beside an option: as far as the first stop."""
    return re.split(r" \(|[;:] |\. |, such as ", says, maxsplit=1)[0]


def runs_others(program: Program) -> bool:
    """Whether it takes a command of somebody else's, behind `--`."""
    return "command" in kinds(program)
