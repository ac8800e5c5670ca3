"""`usps-token-broker completion`: what a shell needs to complete our commands."""

import argparse
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

EX_UNAVAILABLE: Final = 69

DESCRIPTION = """\
Print what a shell needs to complete commands, options, and names of tokens and applications. The
files lie in share/ of the environment, where a shell looks by itself only for what is installed
for the whole host.
Exit code 0: printed; 69: this installation has no such file."""
EPILOG = """\
examples:
  . <(usps-token-broker completion bash)                     in ~/.bashrc
  . <(usps-token-broker completion zsh)                      in ~/.zshrc, after compinit
  usps-token-broker completion fish | source                 in ~/.config/fish/config.fish
  usps-token-broker completion bash usps-token > /etc/bash_completion.d/usps-token
next: open another shell, type usps-token-broker and press TAB twice"""

SHELLS: Final = {
    "bash": "share/bash-completion/completions/{0}",
    "zsh": "share/zsh/site-functions/_{0}",
    "fish": "share/fish/vendor_completions.d/{0}.fish",
}
_DISTRIBUTIONS: Final = {
    "usps-token-broker": "usps-token-broker",
    "usps-token": "usps-token-client",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `completion`."""
    parser.add_argument(
        "shell", metavar="SHELL", choices=SHELLS, help="for which shell: bash, zsh or fish"
    )
    parser.add_argument(
        "program",
        metavar="PROGRAM",
        nargs="?",
        choices=_DISTRIBUTIONS,
        help="of which command: usps-token-broker, or the client's, usps-token (default: both, as "
        "far as they are in this environment)",
    )


def act(options: argparse.Namespace) -> int:
    """Print them."""
    named = [options.program] if options.program else list(_DISTRIBUTIONS)
    texts = [text for program in named if (text := shipped(program, options.shell)) is not None]
    if not texts:
        print(  # noqa: T201
            f"this installation has no {SHELLS[options.shell].format(named[0])}; "
            f"install {_DISTRIBUTIONS[named[0]]} into this environment, from its wheel",
            file=sys.stderr,
        )
        return EX_UNAVAILABLE
    print("\n".join(texts), end="")  # noqa: T201
    return 0


def shipped(program: str, shell: str) -> str | None:
    """The file that was installed with the program for this shell. Blocks."""
    wanted = SHELLS[shell].format(program)
    try:
        files = metadata.distribution(_DISTRIBUTIONS[program]).files or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if str(file).endswith(wanted):
            try:
                return Path(file.locate()).read_text("utf-8")
            except OSError:
                return None
    return None
