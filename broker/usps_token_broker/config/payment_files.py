"""`payments.d/NAME.toml`: payment slots in files of their own. A bad one hurts itself only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from usps_token_broker.config.apps import read_payment, slot_name
from usps_token_broker.config.files import read_toml
from usps_token_broker.config.kinds import NAME, Unfit
from usps_token_broker.config.problems import Problem, quoted
from usps_token_broker.config.settings import AppSettings, BrokenSlot, SlotSettings
from usps_token_broker.config.tables import Table

DIRECTORY: Final = "payments.d"
_SUFFIX: Final = ".toml"


@dataclass(frozen=True, slots=True)
class Merged:
    """The apps with the slots of the files added, and the files that could not be used."""

    apps: tuple[AppSettings, ...]
    broken: tuple[BrokenSlot, ...] = ()
    warnings: tuple[str, ...] = ()


def merge(apps: tuple[AppSettings, ...], beside: Path) -> Merged:
    """Add to each app the slots whose files lie in the directory beside its configuration."""
    directory = beside.parent / DIRECTORY
    try:
        paths = sorted(path for path in directory.iterdir() if _is_meant(path))
    except (FileNotFoundError, NotADirectoryError):
        return Merged(apps)
    except OSError as error:
        return Merged(apps, warnings=(f"{directory} is not used: {error.strerror}",))
    by_name = {app.name: app for app in apps}
    broken = []
    for path in paths:
        problems: list[Problem] = []
        found = _read(path, tuple(by_name.values()), problems)
        if problems or found is None:
            broken.append(BrokenSlot(slot_name(path.stem), path, tuple(problems)))
            continue
        app, slot = found
        by_name[app.name] = replace(app, payments=(*app.payments, slot))
    told = tuple(text for slot in broken for text in slot.told())
    return Merged(tuple(by_name.values()), tuple(broken), told)


def _is_meant(path: Path) -> bool:
    """Hidden files are those of editors, and of Kubernetes' own bookkeeping."""
    return path.suffix == _SUFFIX and not path.name.startswith(".")


def _read(
    path: Path, apps: Sequence[AppSettings], problems: list[Problem]
) -> tuple[AppSettings, SlotSettings] | None:
    if isinstance(NAME.read(path.stem), Unfit):
        problems.append(Problem(str(path), "", NAME.expected, "another name", "rename the file"))
        return None
    values = read_toml(path)
    if isinstance(values, Problem):
        problems.append(values)
        return None
    table = Table(str(path), values, problems)
    app = _app_of(table, apps)
    slot = replace(read_payment(path.stem, table), file=path)
    if app is None:
        return None
    if any(other.name == slot.name for other in app.payments):
        found = f"app {app.name} has a slot {slot.name} already"
        table.note("a slot of its own", found, "rename the file, or remove the other one")
    return app, slot


def _app_of(table: Table, apps: Sequence[AppSettings]) -> AppSettings | None:
    """The app that the file names; without a word the only one, or the one named `default`."""
    name = table.take("app", NAME, "default" if len(apps) > 1 else apps[0].name)
    app = next((app for app in apps if app.name == name), None)
    if app is None:
        names = ", ".join(app.name for app in apps)
        table.note(f"one of the apps {names}", quoted(name), "write: app = …", "app")
    return app
