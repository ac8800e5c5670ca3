"""`usps-token-broker check`: would `run` start, and with what?"""

import argparse
import grp
import math
import os
import pwd
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from usps_token_broker.cli import key, paths
from usps_token_broker.config import (
    DEFAULT_PATH,
    AppSettings,
    ConfigError,
    Settings,
    SlotSettings,
    demands,
    load,
    secret_remarks,
)
from usps_token_broker.config.problems import printable
from usps_token_broker.core.demand import Demand, Fit
from usps_token_broker.core.values import Endpoint
from usps_token_broker.doctor.files import read_as
from usps_token_broker.doctor.scene import Scene
from usps_token_broker.drivers import probing
from usps_token_broker.drivers.probing import Identity
from usps_token_broker.drivers.secret_source import CredentialSource, SecretError, owner, user

EX_CONFIG: Final = 78

DESCRIPTION = """\
Read the configuration and the client secret and say what is wrong, with file, key and how to write
it, and whether the calls an hour are enough for the tokens. Nothing is fetched, bound or written.
Root is told what the broker's own user could not read.
Exit code 0: `run` would start with every token; 78: it would not start, or would leave a payment
token out."""
EPILOG = """\
examples:
  usps-token-broker check
  usps-token-broker check --config broker.toml
next: usps-token-broker run; or where one runs already: usps-token-broker reload"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `check`."""
    paths.add_config(parser)


def act(options: argparse.Namespace) -> int:
    """Print the verdict."""
    try:
        settings = load(options.config, os.environ, uid=os.getuid())
    except ConfigError as error:
        return _verdict([str(error)], "`run` would not start")
    path = options.config or DEFAULT_PATH
    daemon = _daemon(settings, path)
    for line in _lines(settings, daemon):
        print(line)  # noqa: T201
    sys.stdout.flush()
    left_out = [told for slot in settings.broken for told in slot.told()]
    of_keys = key.troubles(settings) if settings.http_tokens else ()
    wrong, odd = _look_at_secrets(settings.apps, daemon)
    for warning in (*settings.warnings, *odd, *_unseen(settings.apps), *of_keys):
        if warning not in left_out:
            print(f"warning: {warning}", file=sys.stderr)  # noqa: T201
    problems = [*_unreadable(settings, path, daemon), *wrong]
    errors = [f"error: {text}" for text in (*left_out, *problems)]
    if len(errors) > len(left_out):
        return _verdict(errors, "`run` would not start")
    if left_out:
        names = ", ".join(printable(slot.slot) for slot in settings.broken)
        return _verdict(errors, f"`run` would start, but without {names}")
    print("ok")  # noqa: T201
    return 0


def _verdict(errors: Sequence[str], verdict: str) -> int:
    for text in (*errors, f"not ok: {verdict}"):
        print(text, file=sys.stderr)  # noqa: T201
    return EX_CONFIG


def _unseen(apps: Iterable[AppSettings]) -> Iterator[str]:
    """Systemd gives credentials to the unit alone, so what we cannot see may be in order."""
    for app in apps:
        if _is_of_a_unit(app):
            yield (
                f"app {app.name}: its client secret is a systemd credential, which only the "
                "unit is given, so it was not looked at; to do so give it to this command:\n"
                "    sudo systemd-run --pipe --wait -p LoadCredential=NAME:/path "
                "usps-token-broker check"
            )


def _daemon(settings: Settings, path: Path) -> Identity:
    """Whom the broker runs as, where root looks at the file of a service of another user."""
    if os.geteuid() != 0:  # only root can tell what another may read
        return Identity(os.geteuid(), os.getegid(), frozenset(os.getgroups()))
    is_of_service = settings.keys_file is not None and path.parent == DEFAULT_PATH.parent
    return Scene(settings=settings, unit_installed=is_of_service).daemon()


def _unreadable(settings: Settings, path: Path, daemon: Identity) -> Iterator[str]:
    """Root reads a file that the broker's own user may not."""
    # There are no keys without a file of configuration.
    if settings.keys_file is not None and probing.may(daemon, "r", path) is False:
        why = f"the daemon's user, {user(daemon.uid)}, may not read it"
        yield f"{path}: {why}; `chown {owner(daemon.uid)} {path}`"


def _look_at_secrets(apps: Iterable[AppSettings], daemon: Identity) -> tuple[list[str], list[str]]:
    """Errors, and warnings."""
    errors: list[str] = []
    warnings: list[str] = []
    for app in apps:
        if secret_remarks.stand_in(app.client_id):
            warnings.append(
                f"app {app.name}: client_id is an example; write the Consumer Key of your app, as "
                "the USPS portal shows it"
            )
        if _is_of_a_unit(app):
            continue
        try:
            secret = read_as(daemon, app.secret, os.environ)
        except SecretError as error:
            errors.append(f"app {app.name}: {error}")
        else:
            odd = secret_remarks.remark(secret, app.client_id)
            if odd is not None:
                warnings.append(f"app {app.name}: the secret that is there is hardly one: {odd}")
    return errors, warnings


def _is_of_a_unit(app: AppSettings) -> bool:
    in_unit = os.environ.get("CREDENTIALS_DIRECTORY")
    return isinstance(app.secret, CredentialSource) and not in_unit


def _lines(settings: Settings, daemon: Identity) -> Iterator[str]:
    other = "" if daemon.uid == os.getuid() else f" for a broker of {user(daemon.uid)}"
    yield f"read from  {settings.source}, as uid {os.getuid()}{other}"
    yield f"socket     {settings.socket_path}"
    yield f"state      {settings.state_dir}"
    if settings.http:
        tokens = f"tokens for the keys of {settings.keys_file}"
        with_tokens = tokens if settings.http_tokens else "no tokens"
        yield f"http       {settings.http}: /healthz, /readyz and /metrics, {with_tokens}"
    for app in settings.apps:
        yield f"app        {app.name}: {app.client_id} at {app.base_url}"
        for slot in (app.bearer, *app.payments):
            yield f"  {slot.name:<9}for {_whom(slot)}{_kept(slot)}"
        for endpoint, wanted in demands(app):
            yield f"  calls    {endpoint}: {_demand(wanted)}"
            yield from (f"           {line}" for line in _hours(endpoint, wanted))


def _kept(slot: SlotSettings) -> str:
    if slot.keep_active:
        return ", kept while in use"
    return ", required" if slot.required else ""


_FITS: Final = {
    Fit.ENOUGH: "enough",
    Fit.TIGHT: "too few for retries",
    Fit.SCARCE: "too few",
}


def _demand(wanted: Demand) -> str:
    many = "token" if wanted.always == 1 else "tokens"
    days = "call" if wanted.calls_per_day == 1 else "calls"
    return (
        f"{wanted.always} {many}, {wanted.calls_per_day} {days} a day; "
        f"{wanted.average_per_hour:.1f} an hour, busiest {wanted.busiest_per_hour}, "
        f"limit {wanted.calls_per_hour}: {_FITS[wanted.fit]}"
    )


def _hours(endpoint: Endpoint, wanted: Demand) -> Iterator[str]:
    """How long things take, where it is long; and who else may come."""
    if wanted.active and wanted.fit is Fit.ENOUGH:
        yield f"{wanted.active} more while in use: room for {wanted.room} of them at a time"
    if endpoint is Endpoint.TOKEN or wanted.fit is Fit.SCARCE:
        return
    if wanted.always:
        yield (
            f"a start with nothing saved: {_span(wanted.cold_start_seconds)} until all are there, "
            "those waited for first"
        )
    if wanted.retry_may_be_late:
        yield (
            f"a renewal that fails may find no room for {_span(wanted.retry_wait_seconds)}: "
            "the others may fill an hour"
        )


def _span(seconds: float) -> str:
    """Minutes, or hours in tenths."""
    if seconds < 3600:  # noqa: PLR2004 - an hour
        return f"{math.floor(seconds / 60) + 1} min"
    return f"{round(seconds / 360) / 10:g} h"


def _whom(slot: SlotSettings) -> str:
    who = [_called("user", uid, lambda i: pwd.getpwuid(i).pw_name) for uid in sorted(slot.users)]
    who += [_called("group", gid, lambda i: grp.getgrgid(i).gr_name) for gid in sorted(slot.groups)]
    return ", ".join(who) if who else "root and the broker's own user alone"


def _called(kind: str, number: int, name: Callable[[int], str]) -> str:
    try:
        return f"{kind} {name(number)} ({number})"
    except (KeyError, OSError):
        return f"{kind} {number}"
