"""What to do, as values: from what should be there and what is there to steps and orders."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from usps_token_broker.drivers.units.files import Found, Link, Other, Regular
from usps_token_broker.drivers.units.places import UNIT_SUFFIXES, Target
from usps_token_broker.drivers.units.texts import Origin, origin

SERVICE_USER: Final = "usps-token-broker"


class Deed(StrEnum):
    """What becomes of a file."""

    CREATE = "create"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"
    REFUSE = "refuse"
    """Somebody else's: not touched."""


@dataclass(frozen=True, slots=True)
class Step:
    """One file and what becomes of it."""

    target: Target
    deed: Deed
    before: bytes = b""
    after: bytes = b""
    saves: bool = False
    """Whether what is there is given another name first."""
    why: str = ""
    fix: str = ""

    @property
    def changes(self) -> bool:
        """Whether anything is written or taken away."""
        return self.deed in {Deed.CREATE, Deed.REPLACE, Deed.REMOVE}

    @property
    def path(self) -> Path:
        """As a person reads it."""
        return self.target.path

    @property
    def is_unit(self) -> bool:
        """Whether the service manager reads it."""
        return self.path.suffix in UNIT_SUFFIXES


@dataclass(frozen=True, slots=True)
class Order:
    """A command for the service manager, or for a tool of its."""

    words: tuple[str, ...]
    fix: str
    """What to do when it fails."""

    def __str__(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Manager:
    """What the service manager says of itself and of our units."""

    version: int | None = None
    """None where there is none that can be asked."""
    running: bool = False
    has_user: bool = True
    stale: frozenset[str] = frozenset()
    """Units that were changed since it read them."""
    enabled: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()


def installing(target: Target, wanted: bytes, found: Found, *, force: bool) -> Step:
    """The step that puts `wanted` there, unless it is in somebody's way."""
    match found:
        case None:
            return Step(target, Deed.CREATE, after=wanted)
        case Other(what):
            return Step(target, Deed.REFUSE, why=f"is {what}", fix="move it away")
        case Regular(data) if data == wanted:
            return Step(target, Deed.KEEP, data, wanted)
        case Regular(data) if origin(data) is Origin.OURS:
            return Step(target, Deed.REPLACE, data, wanted)
        case Regular() | Link():
            before = found.data if isinstance(found, Regular) else b""
            if force:
                return Step(target, Deed.REPLACE, before, wanted, saves=True)
            fix = f"keep what you need of it in {_beside(target)}; --force then moves it aside"
            return Step(target, Deed.REFUSE, before, wanted, why=_whose(found), fix=fix)


def removing(target: Target, found: Found, *, force: bool) -> Step | None:
    """The step that takes away what we wrote; None when nothing is there."""
    match found:
        case None:
            return None
        case Other(what):
            return Step(target, Deed.REFUSE, why=f"is {what}", fix="move it away")
        case Regular(data) if origin(data) is Origin.OURS:
            return Step(target, Deed.REMOVE, data)
        case Regular() | Link():
            before = found.data if isinstance(found, Regular) else b""
            if force:
                return Step(target, Deed.REMOVE, before, saves=True)
            fix = "remove it yourself if nobody needs it, or --force moves it aside"
            return Step(target, Deed.REFUSE, before, before, why=_whose(found), fix=fix)


def _whose(found: Regular | Link) -> str:
    if isinstance(found, Link):
        return f"is a symbolic link to {found.to}, which somebody has decided"
    changed = origin(found.data) is Origin.CHANGED
    return "was changed after it was written" if changed else "is not of install-units"


def _beside(target: Target) -> str:
    name = Path(target.inner).name
    if name.endswith(UNIT_SUFFIXES):
        return f"a drop-in (systemctl edit {name})"
    return "a file of another name"


def hidden(name: str, at: Path, found: Found) -> str | None:
    """A warning for a unit that systemd takes from elsewhere, with what it finds there."""
    match found:
        case None:
            return None
        case Link("/dev/null"):
            return f"{name} is masked, and stays so until: systemctl unmask {name}"
        case _:
            return (
                f"systemd reads {at} and not what is written here; if that is an older copy, "
                "remove it; changes of yours belong in a drop-in: "
                f"systemctl edit {name}"
            )


def orders_after_install(
    steps: Iterable[Step], manager: Manager, *, now: bool, call: tuple[str, ...]
) -> Iterator[Order]:
    """What the service manager has to be told; nothing on a second run.

    `call` is systemctl with the options that every call needs.
    """
    steps = tuple(steps)
    for step in steps:
        if step.path.suffix == ".conf" and not manager.has_user:
            yield Order(("systemd-sysusers", str(step.path)), _BY_HAND)
    units = {step.path.name: step for step in steps if step.is_unit}
    changed = [name for name, step in units.items() if step.changes]
    if manager.running and (changed or manager.stale & units.keys()):
        yield Order((*call, "daemon-reload"), "run it by hand")
    if now:
        yield from _orders_now(units, changed, manager, call)


_BY_HAND: Final = (
    f"make the user by hand: useradd --system --no-create-home --shell /usr/sbin/nologin "
    f"{SERVICE_USER}"
)


def _orders_now(
    units: Mapping[str, Step], changed: list[str], manager: Manager, call: tuple[str, ...]
) -> Iterator[Order]:
    if not manager.enabled >= units.keys():
        yield Order((*call, "enable", *units), "when that is mended, run this again")
    services = [name for name in units if name.endswith(".service")]
    running = bool(manager.active & set(services))
    # A socket that has changed cannot be restarted under a running service, only with it.
    renewed = [name for name in units if name in changed or name in services]
    if running and changed:
        yield Order((*call, "restart", *renewed), _SEE_JOURNAL)
    elif not manager.active >= units.keys():
        yield Order((*call, "start", *units), _SEE_JOURNAL)


_SEE_JOURNAL: Final = (
    "the journal says why (journalctl -u usps-token-broker -n 20); mostly the configuration or "
    "the client secret is still missing: usps-token-broker check"
)


def notes_after_install(
    steps: Iterable[Step], manager: Manager, call: tuple[str, ...]
) -> Iterator[str]:
    """What is left to do for a person who did not say --now."""
    steps = tuple(steps)
    units = [step for step in steps if step.is_unit]
    changed = {step.path.name for step in units if step.changes}
    services = [step.path.name for step in units if step.path.suffix == ".service"]
    if changed and manager.active & set(services):
        renewed = " ".join([*sorted(changed - set(services)), *services])
        yield f"what runs goes on with the old units until: {' '.join(call)} restart {renewed}"
    elif all(step.deed is Deed.CREATE for step in units):
        configs = [step.path for step in steps if step.path.suffix == ".toml"]
        for path in configs:
            secret = path.with_name("client-secret")
            yield f"next: fill in {path}, and put the client secret into {secret}, 0600"
        when, start = ("at boot", "enable")
        if manager.running:
            when, start = ("now and at boot", "enable --now")
        yield f"to have it started {when}: {' '.join(call)} {start} {' '.join(services)}"


def orders_before_removal(
    steps: Iterable[Step], manager: Manager, call: tuple[str, ...]
) -> Iterator[Order]:
    """Stop and disable what goes away; a unit that stays goes on running."""
    names = [step.path.name for step in steps if step.is_unit and step.deed is Deed.REMOVE]
    if manager.running and names:
        yield Order((*call, "disable", "--now", *names), "stop them by hand, then run this again")
        failed = [name for name in names if name in manager.failed]
        if failed:  # else they would be listed as failed for ever
            yield Order((*call, "reset-failed", *failed), "run it by hand, then run this again")


def orders_after_removal(
    steps: Iterable[Step], manager: Manager, call: tuple[str, ...]
) -> Iterator[Order]:
    """Have the service manager forget them."""
    removed = any(step.is_unit and step.deed is Deed.REMOVE for step in steps)
    if manager.running and removed:
        yield Order((*call, "daemon-reload"), "run it by hand")
