"""The unit files that came with this program."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from usps_token_broker.drivers.units.places import UNIT_SUFFIXES

_IN_WHEEL: Final = Path(__file__).parents[2] / "units"
_IN_CHECKOUT: Final = Path(__file__).parents[4] / "systemd"
_EXAMPLE: Final = Path(__file__).with_name("broker.toml")


@dataclass(frozen=True, slots=True)
class Shipped:
    """Texts by file name."""

    units: dict[str, str]
    sysusers: dict[str, str]
    example: str
    """A configuration to begin with, nothing in force in it."""


def read(*, for_user: bool) -> Shipped:
    """What a wheel holds, else the checkout that an editable installation runs from. Blocks.

    Raises OSError when neither is there. Without units for users `units` is empty.
    """
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
    names = dict(_texts(folder / "user" if for_user else folder, UNIT_SUFFIXES))
    if not for_user and not names:
        raise FileNotFoundError(f"no units in {folder}")
    accounts = {} if for_user else dict(_texts(folder / "sysusers.d", (".conf",)))
    return Shipped(names, accounts, _EXAMPLE.read_text("utf-8"))


def _texts(folder: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for suffix in suffixes:
        for path in sorted(folder.glob(f"*{suffix}")):
            yield path.name, path.read_text("utf-8")
