"""Where things go: which directories, on which host, and whose they are."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

UNIT_SUFFIXES: Final = (".socket", ".service")
"""In the order in which they are written: whoever is needed comes first."""
CONFIG_NAME: Final = "broker.toml"


@dataclass(frozen=True, slots=True)
class Target:
    """A file or directory. `base` is taken as it is, links and all; below it none is followed."""

    base: Path
    inner: str

    @property
    def path(self) -> Path:
        """As a person reads it."""
        return self.base / self.inner

    def __truediv__(self, name: str) -> "Target":
        return Target(self.base, f"{self.inner}/{name}")


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of one host, image or user."""

    units: Target
    sysusers: Target | None = None
    config: Target | None = None
    hiding: tuple[Target, ...] = ()
    """Directories whose units systemd takes instead, the strongest first (systemd.unit(5))."""
    call: tuple[str, ...] = ("systemctl",)
    """The words that every call to its service manager begins with."""

    @property
    def is_system(self) -> bool:
        """Whether the units are for the whole host."""
        return self.sysusers is not None


def of_host() -> Layout:
    """This host.

    Units that an administrator installs go below /usr/local/lib (systemd.unit(5)), and not into
    /etc/systemd/system: there `systemctl mask` fails, and `systemctl edit --full` would edit what
    was installed and not a copy. /usr/local itself may be a link, as where /usr is immutable.
    """
    return _system(Path("/usr/local"), "lib/systemd/system", Path("/etc"), "", Path("/run"), "")


def of_image(root: Path) -> Layout:
    """The host whose root directory lies here. A link in it would lead out of it."""
    layout = _system(root, "usr/local/lib/systemd/system", root, "etc/", root, "run/")
    return replace(layout, call=("systemctl", f"--root={root}"))


def of_user(config_home: Path) -> Layout:
    """One user's own service manager; `config_home` is $XDG_CONFIG_HOME."""
    return Layout(Target(config_home, "systemd/user"), call=("systemctl", "--user"))


def _system(  # noqa: PLR0913, PLR0917 - three directories, each with where it is trusted from
    local: Path, units: str, etc: Path, in_etc: str, run: Path, in_run: str
) -> Layout:
    return Layout(
        units=Target(local, units),
        sysusers=Target(etc, f"{in_etc}sysusers.d"),
        config=Target(etc, f"{in_etc}usps-token-broker"),
        hiding=(Target(etc, f"{in_etc}systemd/system"), Target(run, f"{in_run}systemd/system")),
    )
