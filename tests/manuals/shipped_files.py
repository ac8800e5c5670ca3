"""Every file that is made, and where it lies: share/ here becomes share/ of an environment."""

import tomllib
from pathlib import Path
from typing import Final

import bash_completion
import fish_completion
import manual_pages
import zsh_completion
from command_lines import Program, broker, client

from usps_token_broker.cli.completion import SHELLS

ROOT: Final = Path(__file__).parents[2]
BROKER: Final = ROOT / "broker/share"
CLIENT: Final = ROOT / "clients/python/share"

_COMPLETIONS: Final = {"bash": bash_completion, "zsh": zsh_completion, "fish": fish_completion}


def files() -> dict[Path, str]:
    """Path and text of each."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    page = BROKER / "man/man5/usps-token-broker.toml.5"
    return {
        page: manual_pages.of_configuration(version),
        **_of(BROKER, broker(), version),
        **_of(CLIENT, client(), version),
    }


def _of(share: Path, program: Program, version: str) -> dict[Path, str]:
    found = {share / f"man/man1/{program.name}.1": manual_pages.of_program(program, version)}
    for shell, place in SHELLS.items():
        path = share.parent / place.format(program.name)
        found[path] = _COMPLETIONS[shell].text(program)
    return found
