"""Manual pages in man(7), from command lines, README and the example that is shipped."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from command_lines import Command, Option, Program

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
EXAMPLE: Final = ROOT / "broker/usps_token_broker/drivers/units/broker.toml"

DATE: Final = "2026-11-26"
"""Of the release: a page that held the day of its making would never be the same twice."""

Row = list[str]


_SHARED: Final = 4
"""An option that so many commands take alike is told once."""


def of_program(program: Program, version: str) -> str:
    """The page of section 1."""
    name = program.name
    lines = [*_head(name, "1", version, "User Commands", program.summary), ".SH SYNOPSIS"]
    for command in program.commands:
        lines += [_usage(name, command), ".br"]
    lines += [f"{bold(name)} {bold('--help')} | {bold('--version')}"]
    lines += [".SH DESCRIPTION", *_prose(_sentence(program.about)), ".SH COMMANDS"]
    taken = Counter(option for command in program.commands for option in command.options)
    shared = [o for o, times in taken.items() if times >= _SHARED and "--help" not in o.names]
    for command in program.commands:
        lines += _command(command, shared)
    lines += [".SH OPTIONS"]
    for option in dict.fromkeys((*shared, *program.options)):
        lines += _tagged(_named(option), option.says)
    for heading, text in program.sections.items():
        lines += [f".SH {heading.upper()}", *_block(text)]
    if "exit status" not in program.sections:
        lines += _exits()
    if "environment" not in program.sections:
        lines += _variables()
    lines += [".SH FILES", *_files(), *_see_also(f"{name}(1)")]
    return "\n".join(lines) + "\n"


_OF_THE_CLIENT: Final = {"76", "126, 127"}


def _exits() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, called, means in table("Exit codes", "code"):
        if code not in _OF_THE_CLIENT:
            yield from _tagged(bold(code) + (f" ({plain(called)})" if called else ""), means)


def _variables() -> Iterator[str]:
    yield ".SH ENVIRONMENT"
    for variable, of, means in table("Configuration", "variable"):
        if "daemon" in of:
            yield from _tagged(marked(variable), means)


_FILES: Final = (
    ("/etc/usps-token-broker/broker.toml", "the configuration"),
    ("/etc/usps-token-broker/payments.d/NAME.toml", "payment slots in files of their own"),
    ("/run/usps-token-broker/broker.sock", "the socket that workers ask"),
    ("/run/usps-token-broker-state/", "tokens, lock and admin socket; for root alone"),
    ("$XDG_RUNTIME_DIR/usps-token-broker/", "the socket of a broker that is no host's"),
)
_PAGES: Final = ("usps-token(1)", "usps-token-broker(1)", "usps-token-broker.toml(5)")


def _files() -> Iterator[str]:
    for path, what in _FILES:
        yield from _tagged(italic(path), what)


def _see_also(this: str, *more: str) -> Iterator[str]:
    yield ".SH SEE ALSO"
    others = [page for page in (*_PAGES, *more) if page != this]
    for page in others:
        name, section = page[:-1].rsplit("(", 1)
        yield f".BR {name.replace('-', chr(92) + '-')} ({section})" + (
            "," if page != others[-1] else ""
        )


def _head(name: str, section: str, version: str, manual: str, summary: str) -> Iterator[str]:
    yield '.\\" Made by `python tests/manuals`; a test compares it with the code.'
    yield f'.TH {name.upper()} {section} "{DATE}" "usps-token-broker {version}" "{manual}"'
    yield ".ad l"  # paths are kept whole, so lines are of many lengths
    yield ".SH NAME"
    yield f"{plain(name)} \\- {plain(summary)}"


def _usage(program: str, command: Command) -> str:
    words = [bold(program), bold(command.name)]
    words += [f"[{_named(o)}]" for o in command.options if "--help" not in o.names]
    for word in command.words:
        value = word.value.strip("[]")
        if command.name == "exec":
            words += [bold("--"), italic(value), "[" + italic("ARG") + " ...]"]
        else:
            words.append(f"[{italic(value)}]" if word.optional else italic(value))
    return " ".join(words)


def _named(option: Option) -> str:
    names = ", ".join(map(bold, option.names))
    if option.value is None:
        return names
    value = italic(option.value.strip("[]")) if option.kind != "text" else italic(option.value)
    if option.optional:
        return f"{names} [{value}]"
    return f"{names} {value}" + (" ..." if option.many else "")


def _command(command: Command, shared: list[Option]) -> Iterator[str]:
    yield f".SS {plain(command.name)}"
    yield from _prose(command.about or _sentence(command.summary))
    for word in command.words:
        yield from _tagged(italic(word.value.strip("[]")), word.says)
    for option in command.options:
        if "--help" not in option.names and option not in shared:
            yield from _tagged(_named(option), option.says)
    if command.more:
        yield ".PP"
        yield from _block(command.more)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def of_configuration(version: str) -> str:
    """The page of section 5."""
    lines = [
        *_head(
            "usps-token-broker.toml",
            "5",
            version,
            "File Formats",
            "configuration of usps-token-broker",
        ),
        ".SH SYNOPSIS",
        italic("/etc/usps-token-broker/broker.toml"),
        ".br",
        italic("/etc/usps-token-broker/payments.d/NAME.toml"),
        ".SH DESCRIPTION",
        *_prose(
            "TOML, read by `usps-token-broker run`, and anew by `usps-token-broker reload`. "
            "Everything that is wrong in it is told at once, with file, key, what was expected and "
            "how to write it; `usps-token-broker check` does only that. An unknown key is an "
            "error. A reload takes all of it or nothing."
        ),
        ".PP",
        *_prose(
            "A payment slot may also stand in a file of its own in `payments.d` beside the "
            "configuration. Its name is that of the slot, its keys are those of a payment table, "
            "and `app`, where there are several. A bad one hurts itself alone."
        ),
        ".PP",
        *_prose(
            "Without any file the variables below make one app named `default`. File and "
            "variables together are refused."
        ),
        ".SH EXAMPLE",
        *_block(example()),
    ]
    heading = None
    for keys, default, means in table("Configuration", "key"):
        named = _table_of(keys)
        if named != heading:
            heading = named
            lines += [".SH " + plain(named)]
        short = re.sub(r"`[^`]*\.([a-z_]+)`", r"`\1`", keys)
        lines += _tagged(
            marked(short),
            f"{means}. Default: {default}" if default != "needed" else f"{means}. Needed",
        )
    lines += _variables()
    lines += [".SH FILES", *_files(), *_see_also("usps-token-broker.toml(5)", "systemd.exec(5)")]
    return "\n".join(lines) + "\n"


_TABLES: Final = {
    "": "KEYS OF THE FILE",
    "http": "[HTTP]",
    "limits": "[LIMITS]",
    "apps.NAME": "[APPS.NAME]",
    "apps.NAME.bearer": "[APPS.NAME.BEARER]",
    "apps.NAME.payments.NAME": "[APPS.NAME.PAYMENTS.NAME]",
}


def _table_of(keys: str) -> str:
    first = keys.split("`")[1]
    return _TABLES[first.rpartition(".")[0]]


def example() -> str:
    """The example that `install-units` writes, in force."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    start = lines.index("# [apps.default]")
    return "\n".join(_IN_FORCE.sub(r"\1", line) for line in lines[start:])


_IN_FORCE: Final = re.compile(r"^# (\[| *\{|\]|\w+ = )")
"""What begins a line of TOML; other comments stay comments."""


def table(heading: str, first_column: str) -> list[Row]:
    """The rows of a table of the README's reference."""
    section = README.read_text("utf-8").split(f"### {heading}\n", 1)[1].split("\n### ")[0]
    rows = section.split(f"| {first_column} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


# roff


def plain(text: str) -> str:
    """As text: nothing of it is a request or an escape, and quotes and dashes can be copied."""
    for old, new in _ESCAPES.items():
        text = text.replace(old, new)
    text = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in text)
    return "\\&" + text if text[:1] in {".", "'"} else text


_ESCAPES: Final = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def bold(text: str) -> str:
    """A word to be typed."""
    return f"\\fB{plain(text)}\\fR"


def italic(text: str) -> str:
    """A word that stands for another."""
    return f"\\fI{plain(text)}\\fR"


_WHOLE: Final = re.compile(r"(?<![^ (])(?<!\\\()(?=[^ ]*(?:\\-|[/_]))")
"""Before a word that is there to be copied: it is not hyphenated."""


def marked(text: str) -> str:
    """Markdown's backticks and links."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text.replace("\\|", "|"))
    parts = text.split("`")
    shown = "".join(bold(p) if n % 2 else plain(p).removeprefix("\\&") for n, p in enumerate(parts))
    shown = _WHOLE.sub(r"\\%", shown)
    return "\\&" + shown if shown[:1] in {".", "'"} else shown


def _prose(text: str) -> Iterator[str]:
    """Filled; a line that begins with `Exit code` is a paragraph of its own."""
    before, exits, after = text.partition("\nExit code ")
    yield marked(" ".join(before.split()))
    if exits:
        yield ".PP"
        yield marked(" ".join(f"Exit code {after}".split()))


def _block(text: str) -> Iterator[str]:
    """As it is, in lines."""
    yield ".EX"
    for line in text.rstrip().splitlines():
        yield plain(line) or "\\&"
    yield ".EE"


def _tagged(tag: str, text: str) -> Iterable[str]:
    return [".TP", tag, marked(" ".join(text.split()))]
