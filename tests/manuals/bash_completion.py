"""Completion for bash, which needs nothing but bash 4 (not the package bash-completion)."""

from collections.abc import Iterator

from command_lines import Command, Program
from completion_words import fixed, flags, function, kinds, names, runs_others, taking, values

HEAD = "# Made by `python tests/manuals`; a test compares it with the code."


def text(program: Program) -> str:
    """The whole file."""
    me = function(program)
    lines = [
        f"# bash completion for {program.name}",
        HEAD,
        "",
        *_values(program),
        "",
        f"{me}() {{",
        "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
        "  local command='' last='' word IFS=$' \\t\\n'",
        "  local -i at words=0 skip=0",
        "  COMPREPLY=()",
        "  # bash makes three words of --option=value.",
        "  if [[ $cur == = ]]; then cur=",
        "  elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi",
        "  for ((at = 1; at < COMP_CWORD; at++)); do",
        "    word=${COMP_WORDS[at]}",
        "    if ((skip)); then",
        "      [[ $word == = ]] || skip=0",
        "      continue",
        "    fi",
        "    case $word in",
        "    =) ;;",
        *_dashes(program),
        f"    {' | '.join(taking(program))}) skip=1 last=$word ;;",
        "    -*) last=$word ;;",
        "    *)",
        "      if [[ -z $command ]]; then command=$word last=",
        "      else words+=1; fi",
        "      ;;",
        "    esac",
        "  done",
    ]
    lines += [
        "  case $prev in",
        *_option_cases(program),
        "  esac",
        "  if [[ $cur == -* ]]; then",
        "    case $command in",
        *(f"    {c.name}) {me}_words '{' '.join(flags(c.options) or ['--help'])}' ;;"
          for c in program.commands),
        f"    *) {me}_words '{' '.join(flags(program.options))}' ;;",
        "    esac",
        "    return",
        "  fi",
        "  case $command:$last:$words in",
        *_word_cases(program),
        "  esac",
        "}",
        "",
        f"complete -F {me} {program.name}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _values(program: Program) -> Iterator[str]:
    me = function(program)
    yield f"{me}_words() {{"
    yield '  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")'
    yield "}"
    yield ""
    yield f"{me}_value() {{"
    yield "  case $1 in"
    there = kinds(program)
    for kind, commands in _listers(program).items():
        if kind in there:
            yield from (f"  {kind})", *(f"    {c}" for c in commands), "    ;;")
    yield "  esac"
    yield "}"


def _listers(program: Program) -> dict[str, list[str]]:
    """What puts the values of a kind into COMPREPLY."""
    words, name = f"{function(program)}_words", program.name
    payments = f"{names(name, 'slot')} | sed -n 's/^payment-//p'"
    return {
        "file": [
            "compopt -o filenames 2>/dev/null",
            'mapfile -t COMPREPLY < <(compgen -f -- "$cur")',
        ],
        "directory": [
            "compopt -o filenames 2>/dev/null",
            'mapfile -t COMPREPLY < <(compgen -d -- "$cur")',
        ],
        "command": ['mapfile -t COMPREPLY < <(compgen -c -- "$cur")'],
        "slot": [f'{words} "{fixed("slot")} $({names(name, "slot")})"'],
        "app": [f'{words} "$({names(name, "app")})"'],
        "payment": [f'{words} "{fixed("payment")} $({payments})"'],
        **{kind: [f"{words} '{fixed(kind)}'"] for kind in ("shell", "program", "fault", "host")},
    }


def _dashes(program: Program) -> Iterator[str]:
    """Behind -- everything belongs to the command that is to be run."""
    if not runs_others(program):
        return
    yield "    --)"
    yield "      if ((COMP_CWORD == at + 1)); then"
    yield f"        {function(program)}_value command"
    yield "      else"
    yield "        compopt -o filenames 2>/dev/null"
    yield '        mapfile -t COMPREPLY < <(compgen -f -- "$cur")'
    yield "      fi"
    yield "      return"
    yield "      ;;"


def _option_cases(program: Program) -> Iterator[str]:
    """A value right behind its option."""
    me = function(program)
    for name, option in values(program).items():
        yield f"  {name})"
        if option.optional or option.many:
            yield f"    [[ $cur == -* ]] || {{ {me}_value {option.kind}; return; }}"
        else:
            yield from ([] if option.kind == "text" else [f"    {me}_value {option.kind}"])
            yield "    return"
        yield "    ;;"


def _word_cases(program: Program) -> Iterator[str]:
    """What is no option: the command itself, and what it takes."""
    me = function(program)
    yield f"  :*:0) {me}_words '{' '.join(c.name for c in program.commands)}' ;;"
    for command in program.commands:
        yield from _words_of(me, command)


def _words_of(me: str, command: Command) -> Iterator[str]:
    for option in command.options:
        if option.many:
            yield f"  {command.name}:{option.names[-1]}:*) {me}_value {option.kind} ;;"
    for number, word in enumerate(command.words):
        yield f"  {command.name}:*:{number}) {me}_value {word.kind} ;;"
        if word.kind == "command":
            yield f"  {command.name}:*:*) {me}_value file ;;"
