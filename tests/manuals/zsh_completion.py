"""Completion for zsh: a file for its function path, which may be sourced as well."""

from collections.abc import Iterator

from bash_completion import HEAD
from command_lines import Command, Option, Program
from completion_words import fixed, kinds, names, short


def text(program: Program) -> str:
    """The whole file."""
    me = f"_{program.name}"
    lines = [
        f"#compdef {program.name}",
        HEAD,
        "",
        f"compdef {me} {program.name}",
        "",
        f"{me}-value() {{",
        "  case $1 in",
        *_listers(program),
        "  esac",
        "}",
        "",
        f"{me}() {{",
        "  local curcontext=$curcontext state line",
        "  local -A opt_args",
        "  local -a offered",
        "  offered=(",
        *(f"    {_quoted(c.name + ':' + _short(c.summary))}" for c in program.commands),
        "  )",
        "  _arguments -C \\",
        *(f"    {spec} \\" for option in program.options for spec in _specs(me, option)),
        "    '1:command:->command' \\",
        "    '*::argument:->argument' && return",
        "  case $state in",
        "  command) _describe -t commands command offered ;;",
        "  argument)",
        "    case $words[1] in",
    ]
    for command in program.commands:
        lines += _command(me, command)
    lines += [
        "    esac",
        "    ;;",
        "  esac",
        "}",
        "",
        "# Loaded for a completion, this file has to give it, too.",
        f'if [[ $funcstack[1] == {me} ]]; then {me} "$@"; fi',
    ]
    return "\n".join(lines) + "\n"


def _listers(program: Program) -> Iterator[str]:
    name = program.name
    payments = f"{names(name, 'slot')} | sed -n 's/^payment-//p'"
    listers = {
        "file": "_files",
        "directory": "_files -/",
        "slot": f"compadd -- {fixed('slot')} $({names(name, 'slot')})",
        "app": f"compadd -- $({names(name, 'app')})",
        "payment": f"compadd -- {fixed('payment')} $({payments})",
        **{kind: f"compadd -- {fixed(kind)}" for kind in ("shell", "program", "fault", "host")},
    }
    for kind, lister in listers.items():
        if kind in kinds(program):
            yield f"  {kind}) {lister} ;;"


def _command(me: str, command: Command) -> Iterator[str]:
    specs = [spec for option in command.options for spec in _specs(me, option)]
    for number, word in enumerate(command.words, 1):
        name = word.value.strip("[]")
        if word.kind == "command":
            specs.append(f"'*:::{name}: _normal'")
        else:
            colons = "::" if word.optional else ":"
            specs.append(_quoted(f"{number}{colons}{name}: {me}-value {word.kind}"))
    yield f"    {command.name})"
    yield "      _arguments -S \\"
    yield from (f"        {spec} \\" for spec in specs[:-1])
    yield f"        {specs[-1]}"
    yield "      ;;"


def _specs(me: str, option: Option) -> Iterator[str]:
    says = _short(option.says).replace("[", "\\[").replace("]", "\\]")
    if option.value is None:
        others = " ".join(option.names)
        for name in option.names:
            yield _quoted(f"({others}){name}[{says}]")
        return
    value = option.value.strip("[]").replace(":", "\\:")
    action = f": {me}-value {option.kind}" if option.kind != "text" else ": "
    colons = "::" if option.optional else ":"
    repeated = "*" if "repeatable" in option.says else ""
    for name in option.names:
        if option.many:
            yield _quoted(f"*{name}=[{says}]:{value}{action}")
            # Further values stand alone; a rest argument of _arguments takes them.
            given = f"(( $words[(I){name}*] ))"
            yield _quoted(f"*:{value}:{{ {given} && {me}-value {option.kind} }}")
        else:
            yield _quoted(f"{repeated}{name}=[{says}]{colons}{value}{action}")


def _short(says: str) -> str:
    return short(says).replace("\\", "\\\\").replace(":", "\\:")


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
