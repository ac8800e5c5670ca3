"""What bash, zsh and fish offer at the end of a line, asked of the real shells."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from command_lines import broker, client
from shipped_files import BROKER, CLIENT

from usps_token_broker.cli.completion import SHELLS
from usps_token_broker.wire.status import AppMessage, SlotMessage

FOLDER = Path(__file__).parent
BASH = """\
source "$1"
read -ra COMP_WORDS <<<"${2//=/ = }"
[[ $2 != *[\\ =] ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
$(complete -p "${COMP_WORDS[0]}" | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
((${#COMPREPLY[@]} == 0)) || printf '%s\\n' "${COMPREPLY[@]}"
"""
"""As bash splits it: --option=value is three words."""
FISH = "source $argv[1]; complete -C $argv[2]"
STATUS = {
    "apps": [
        {"app": "default", "slots": [{"slot": "bearer"}, {"slot": "payment"}]},
        {"app": "shop-two", "slots": [{"slot": "payment-paris"}, {"slot": "$(touch pwned)"}]},
    ]
}


@pytest.fixture
def home(tmp_path):
    """A directory with files, and a broker's programs that know of several tokens."""
    (tmp_path / "broker.toml").touch()
    (tmp_path / "brokers").mkdir()
    for name, indent in (("usps-token-broker", 2), ("usps-token", None)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            '#!/bin/sh\n[ "$*" = "status --json" ] || exit 64\n'
            f"cat <<'END'\n{json.dumps(STATUS, indent=indent)}\nEND\n"
        )
        program.chmod(0o755)
    return tmp_path


@pytest.fixture
def in_shell(home):
    """Run the words of a shell in that directory, with its programs; what it prints."""

    def run(*words):
        done = subprocess.run(
            words,
            cwd=home,
            env={
                "PATH": f"{home}/bin:{os.environ['PATH']}",
                "HOME": str(home),
                "CAPTURED": str(home / "captured"),
                "TERM": "dumb",
                "LANG": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture(params=SHELLS)
def offered_each(request, home, in_shell):
    """What a shell offers for each of some lines that begin with the same program."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")

    def ask(*lines):
        program = lines[0].split()[0]
        share = BROKER if program == "usps-token-broker" else CLIENT
        file = share.parent / SHELLS[shell].format(program)
        if shell == "zsh":
            # One shell for all: it takes a second to load its completions.
            in_shell("zsh", "-f", FOLDER / "capture.zsh", file.parent, *lines)
            _, *texts = re.split("^== .*$", (home / "captured").read_text(), flags=re.MULTILINE)
        elif shell == "bash":
            begin = ("bash", "--norc", "--noprofile", "-c", BASH, "-", file)
            texts = [in_shell(*begin, line) for line in lines]
        else:
            begin = ("fish", "--no-config", "-c", FISH, file)
            texts = [in_shell(*begin, line) for line in lines]
        return [words_of(text, line) for text, line in zip(texts, lines, strict=True)]

    return ask


def words_of(text, line):
    """The words, without descriptions and without what all shells do not do alike."""
    found = {word.split("\t")[0].rstrip("/") for word in text.splitlines()}
    # fish repeats what stands before the sign; zsh offers options where nothing else can stand.
    found = {word.rpartition("=")[2] for word in found} - {""}
    wanted = line.rpartition(" ")[2].startswith("-")
    return {word for word in found if wanted or not word.startswith("-")}


@pytest.fixture
def offered(offered_each):
    """What a shell offers for one line."""
    return lambda line: offered_each(line)[0]


PROGRAMS = (broker(), client())


def test_the_names_are_where_the_broker_puts_them():
    """In its status, under these keys."""
    assert {"app", "slots"} <= set(AppMessage.__struct_fields__)
    assert "slot" in SlotMessage.__struct_fields__


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_command_is_offered(offered, program):
    """And nothing else, where a command stands."""
    assert offered(f"{program.name} ") == {command.name for command in program.commands}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_beginning_narrows_it(offered, program):
    """By prefix."""
    assert offered(f"{program.name} st") == {"status"}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_option_of_a_command_is_offered(offered_each, program):
    """For each command its own."""
    found = offered_each(*(f"{program.name} {command.name} --" for command in program.commands))
    for command, there in zip(program.commands, found, strict=True):
        names = {n for option in command.options for n in option.names if n.startswith("--")}
        assert there == names, command.name


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_options_of_the_program_are_offered(offered, program):
    """Before any command."""
    names = {n for option in program.options for n in option.names if n.startswith("--")}
    assert names >= {"--help", "--version"}
    assert offered(f"{program.name} --") == names


VALUES = {
    "usps-token-broker run --config br": {"broker.toml", "brokers"},
    "usps-token-broker run --config=br": {"broker.toml", "brokers"},
    "usps-token-broker install-units --root br": {"brokers"},
    "usps-token-broker renew ": {"bearer", "payment", "payment-paris"},
    "usps-token-broker renew --wait 5 pay": {"payment", "payment-paris"},
    "usps-token-broker renew bearer ": set(),
    "usps-token-broker forget --app ": {"default", "shop-two"},
    "usps-token-broker forget --app sh": {"shop-two"},
    "usps-token-broker renew --wait ": set(),
    "usps-token-broker completion ": {"bash", "zsh", "fish"},
    "usps-token-broker completion bash usps-token-": {"usps-token-broker"},
    "usps-token-broker simulate --fault un": {"unauthorized", "unavailable"},
    "usps-token-broker status --socket run --fo": {"--follow"},
    "usps-token --app x be": {"bearer"},
    "usps-token bearer ": set(),
    "usps-token bearer --app=sh": {"shop-two"},
    "usps-token payment ": {"default", "paris"},
    "usps-token headers --payment ": {"default", "paris"},
    "usps-token headers --payment p": {"paris"},
    "usps-token wait --slot ": {"bearer", "payment", "payment-paris"},
    "usps-token wait --slot bearer pay": {"payment", "payment-paris"},
    "usps-token wait --slot bearer --ti": {"--timeout"},
    "usps-token exec -- usps-token-b": {"usps-token-broker"},
    "usps-token exec usps-token-b": {"usps-token-broker"},
    "usps-token exec --payment=paris -- cat broker.t": {"broker.toml"},
    "usps-token exec cat broker.t": {"broker.toml"},
}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_values_are_offered(offered_each, program):
    """Files, names of tokens and applications that the broker knows, and words of ours."""
    lines = [line for line in VALUES if line.split()[0] == program.name]
    found = offered_each(*lines)
    assert dict(zip(lines, found, strict=True)) == {line: VALUES[line] for line in lines}


def test_without_a_broker_the_usual_tokens_are_offered(offered, home):
    """And no word of complaint gets onto the line that somebody types."""
    for program in (home / "bin").iterdir():
        program.write_text("#!/bin/sh\necho no broker here >&2\nexit 69\n")
    assert offered("usps-token-broker renew ") == {"bearer", "payment"}
    assert offered("usps-token wait --slot ") == {"bearer", "payment"}
    assert offered("usps-token bearer --app ") == set()


def test_a_broker_that_hangs_costs_a_second(offered, home):
    """Somebody waits at a prompt."""
    (home / "bin" / "usps-token-broker").write_text("#!/bin/sh\nexec sleep 600\n")
    assert offered("usps-token-broker renew ") == {"bearer", "payment"}


def test_the_files_are_for_any_locale():
    """A shell that knows no UTF-8 reads them, too."""
    for share in (BROKER, CLIENT):
        for path in (p for p in share.rglob("*") if p.is_file()):
            assert path.read_bytes().isascii(), path


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="there is no shellcheck")
@pytest.mark.parametrize("share", [BROKER, CLIENT], ids=lambda share: share.parent.name)
def test_shellcheck_has_nothing_to_say_of_the_file_for_bash(share):
    """It runs in the shell of whoever completes something."""
    [path] = (share / "bash-completion").rglob("usps-token*")
    done = subprocess.run(
        ["shellcheck", "-s", "bash", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_strange_ifs_of_bash_changes_nothing(home):
    """Somebody's IFS, and somebody's `set -u`."""
    done = subprocess.run(
        ["bash", "--norc", "-c", "set -u\n" + BASH.replace("COMP_CWORD=", "IFS=:; COMP_CWORD="),
         "-", str(BROKER / "bash-completion/completions/usps-token-broker"),
         "usps-token-broker re"],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == (["reload", "renew"], "")


def test_a_name_is_never_run(offered, home):
    """A shell expands what it is offered; names with such characters are left out."""
    assert "payment-paris" in offered("usps-token-broker renew ")
    assert not (home / "pwned").exists()
