"""Completion for fish 3."""

from collections.abc import Iterator
from typing import Final

from bash_completion import HEAD
from command_lines import Command, Option, Program
from completion_words import fixed, function, kinds, names, runs_others, short, taking


def text(program: Program) -> str:
    """The whole file."""
    me = "_" + function(program)
    before = f"-n 'not {me}_command >/dev/null'"
    lines = [
        f"# fish completion for {program.name}",
        HEAD,
        "",
        *_functions(program, me),
        "",
        f"complete -c {program.name} -f",
        *(_line(program, before, option) for option in program.options),
        *(
            f"complete -c {program.name} {before} -a {c.name} -d {_quoted(short(c.summary))}"
            for c in program.commands
        ),
    ]
    taken: dict[Option, list[str]] = {}
    for command in program.commands:
        for option in command.options:
            taken.setdefault(option, []).append(command.name)
    for option, commands in taken.items():
        when = f"-n '{me}_is {' '.join(commands)}'"
        lines.append(_line(program, when, option))
        if option.optional or option.many:
            behind = f"-n '{me}_is {' '.join(commands)}; and {me}_behind {option.names[-1]}'"
            lines.append(f"complete -c {program.name} {behind} -a '({me}_value {option.kind})'")
    for command in program.commands:
        lines += _words(program, me, command)
    return "\n".join(lines) + "\n"


def _line(program: Program, when: str, option: Option) -> str:
    me = "_" + function(program)
    parts = [f"complete -c {program.name} {when}"]
    parts += [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names]
    if option.value is not None and not (option.optional or option.many):
        if option.kind == "file":
            parts.append("-r -F")
        elif option.kind == "text":
            parts.append("-x")
        else:
            parts.append(f"-x -a '({me}_value {option.kind})'")
    parts.append(f"-d {_quoted(short(option.says))}")
    return " ".join(parts)


def _words(program: Program, me: str, command: Command) -> Iterator[str]:
    for number, word in enumerate(command.words):
        when = f"-n '{me}_is {command.name}; and {me}_has {number}'"
        if word.kind == "command":
            when = f"-n '{me}_is {command.name}'"
            yield f"complete -c {program.name} {when} -a '({me}_others)'"
        else:
            yield f"complete -c {program.name} {when} -a '({me}_value {word.kind})'"


_FUNCTIONS: Final = """\
function ME_words -d 'what is no option, the command first'
    set -l skip
    for word in (commandline -opc)[2..-1]
        if set -q skip[1]
            set -e skip[1]
            continue
        end
        switch $word
            case TAKING
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

function ME_command -d 'the command, if there is one yet'
    set -l words (ME_words)
    set -q words[1]; and echo $words[1]
end

function ME_is -d 'whether it is one of these'
    set -l command (ME_command); and contains -- $command $argv
end

function ME_has -d 'whether so many words follow the command'
    set -l words (ME_words)
    test (count $words) -eq (math $argv[1] + 1)
end

function ME_behind -d 'whether the last option is this one'
    set -l options (commandline -opc | string match -- '-*')
    test "$options[-1]" = $argv[1]
end

function ME_value -d 'the values of a kind'
    switch $argv[1]
LISTERS
    end
end
"""

_OTHERS: Final = """
function ME_others -d 'the command line of the command that is to be run'
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    if set -q at[1]
        set -l rest $words[(math $at + 1)..-1] (commandline -ct)
        complete -C (string join ' ' -- (string escape -- $rest))
    else if string match -q -- '-*' (commandline -ct)
        return
    else if ME_has 0
        complete -C (commandline -ct)
    else
        __fish_complete_path (commandline -ct)
    end
end
"""


def _functions(program: Program, me: str) -> Iterator[str]:
    text = _FUNCTIONS + (_OTHERS if runs_others(program) else "")
    text = text.replace("TAKING", " ".join(taking(program)))
    text = text.replace("LISTERS", "\n".join(_listers(program)))
    yield from text.replace("ME_", f"{me}_").splitlines()


def _listers(program: Program) -> Iterator[str]:
    name = program.name
    payments = f"{names(name, 'slot')} | sed -n 's/^payment-//p'"
    listers = {
        "directory": "__fish_complete_directories (commandline -ct)",
        "slot": f"printf '%s\\n' {fixed('slot')} ({names(name, 'slot')})",
        "app": names(name, "app"),
        "payment": f"printf '%s\\n' {fixed('payment')} ({payments})",
        **{k: f"printf '%s\\n' {fixed(k)}" for k in ("shell", "program", "fault", "host")},
    }
    for kind, lister in listers.items():
        if kind in kinds(program):
            yield f"        case {kind}"
            yield f"            {lister}"


def _quoted(words: str) -> str:
    return "'" + words.replace("\\", "\\\\").replace("'", "\\'") + "'"
