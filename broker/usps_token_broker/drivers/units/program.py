"""Which program the service starts: the one that was called; and whether it could."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

NAME: Final = "usps-token-broker"
_HIDDEN: Final = {
    "ProtectHome=": ("/home", "/root", "/run/user"),
    "PrivateTmp=": ("/tmp", "/var/tmp"),  # noqa: S108 - directories that the service does not see
}


def called_as(argument: str, executable: str) -> tuple[str, ...]:
    """The words that start this program again: sys.argv[0] and sys.executable made absolute.

    A link is kept, since it may be what survives an update. A program that was started as a
    module is found beside its Python, else started as a module again.
    """
    beside = Path(executable).with_name(NAME)
    for path in (Path(argument), beside):
        if path.name == NAME and os.access(path, os.X_OK):
            return (os.path.abspath(path),)  # noqa: PTH100 - resolve() would follow the link
    return (executable, "-m", "usps_token_broker")


def obstacle(program: Sequence[str]) -> str | None:
    """Why a service with our sandbox and a user of its own could not start this program. Blocks."""
    for way in (program[0], sys.executable, sys.base_prefix):
        path = Path(way).resolve()
        told = next(_hidden(str(path)), None) or next(_closed(path), None)
        if told is not None:
            return told
    return None


def _hidden(path: str) -> Iterator[str]:
    for directive, roots in _HIDDEN.items():
        for root in roots:
            if path.startswith(f"{root}/"):
                yield (
                    f"the service cannot start {path}: {directive} hides {root} from it; install "
                    f"into an environment elsewhere, such as /opt/{NAME}, with a Python that all "
                    "can use"
                )


def _closed(path: Path) -> Iterator[str]:
    for place in (*reversed(path.parents), path):
        try:
            mode = place.stat().st_mode
        except OSError:
            return
        if not mode & stat.S_IXOTH:
            yield (
                f"the service cannot start {path}: {place} has mode {stat.S_IMODE(mode):04o}, and "
                f"the user {NAME} needs x on it: chmod o+x {place}"
            )
