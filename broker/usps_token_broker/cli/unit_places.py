"""Where `install-units` and `uninstall-units` act, from their options; and with what."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from usps_token_broker.drivers.units import (
    Layout,
    Manager,
    Shipped,
    UnitsError,
    manager,
    places,
    shipped,
)

EX_UNAVAILABLE: Final = 69
EX_NOPERM: Final = 77


def layout(options: argparse.Namespace) -> Layout:
    """Where to act. Raises UnitsError for a place that is not there or not this user's."""
    if options.user:
        home = _config_home()
        _check_owner(home)
        return places.of_user(home)
    if options.root is not None:
        if not options.root.is_dir():
            raise UnitsError(f"{options.root} is no directory; --root takes one that is there")
        return places.of_image(options.root)
    if not options.dry_run:
        _check_host(options.command)
    return places.of_host()


def _config_home() -> Path:
    named = os.environ.get("XDG_CONFIG_HOME", "")
    if named.startswith("/"):  # others are to be ignored (XDG Base Directory Specification)
        return Path(named)
    try:
        return Path.home() / ".config"
    except RuntimeError:
        raise UnitsError("nobody knows your home directory; set HOME") from None


def _check_owner(home: Path) -> None:
    """Under sudo, HOME may be somebody else's, who could then not change his own units."""
    # Unlike Path.exists, this takes what cannot be looked at for what is not there.
    there = next(p for p in (home, *home.parents) if os.path.exists(p))  # noqa: PTH110
    owner = there.stat().st_uid
    if owner not in {os.geteuid(), 0}:
        raise UnitsError(
            f"{there} belongs to uid {owner} and you are uid {os.geteuid()}; "
            "run --user as the user whose units they are, without sudo",
            EX_NOPERM,
        )


def _check_host(command: str) -> None:
    if os.geteuid() != 0:
        itself = Path(sys.argv[0]).absolute()
        raise UnitsError(
            f"only root can change the units of this host (you are uid {os.geteuid()}); "
            f"sudo {itself} {command}, or --dry-run, --user or --root DIR",
            EX_NOPERM,
        )
    if not manager.there_is_one():
        raise UnitsError(
            "there is no systemctl here, so nothing would read the units; for an image: "
            "--root DIR; without systemd: usps-token-broker run",
            EX_UNAVAILABLE,
        )


def units(options: argparse.Namespace) -> Shipped:
    """What this release has for them. Raises UnitsError when that is nothing."""
    try:
        texts = shipped.read(for_user=options.user)
    except OSError as error:
        raise UnitsError(
            f"this installation has no units ({error}); install the wheel again", EX_UNAVAILABLE
        ) from None
    if not texts.units:
        raise UnitsError(
            "this release has no units for a user's own service manager; "
            "start `usps-token-broker run` otherwise, or install for the host without --user",
            EX_UNAVAILABLE,
        )
    return texts


def host(options: argparse.Namespace, where: Layout, texts: Shipped) -> Manager:
    """The service manager concerned; of an image's nothing is known. Blocks."""
    if options.root is not None:
        return Manager()
    return manager.survey(texts.units, where.call, for_user=options.user)
