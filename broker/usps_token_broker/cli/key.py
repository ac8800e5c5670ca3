"""`usps-token-broker key`: local keys, for programs that cannot be changed."""

import argparse
import json
import os
import pwd
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from usps_token_broker.cli import paths
from usps_token_broker.config import AppSettings, ConfigError, Settings, load
from usps_token_broker.config.kinds import NAME, Unfit
from usps_token_broker.core.values import BEARER, Secret
from usps_token_broker.drivers import clock, key_file
from usps_token_broker.wire.local_keys import LocalKey, decode, digest_of, encode

EX_UNAVAILABLE: Final = 69
EX_CANTCREAT: Final = 73
EX_NOPERM: Final = 77
EX_CONFIG: Final = 78

DESCRIPTION = """\
Make, list and revoke local keys. A program that cannot be changed is given one in place of USPS's
Consumer Key and Secret, and the broker's address (http.listen, with http.tokens = true) in place of
USPS's: it asks there as it would ask USPS, and gets the broker's tokens. `add` prints the key's
secret, this once; the file keeps a digest of it. What `add` and `revoke` do holds from the next
call on, whether the broker runs or not.
Exit code 0: done; 69: no key of that name; 73: the file cannot be written, or the name is taken;
77: not for this user; 78: the configuration is wrong, or has no such app or token."""
EPILOG = """\
examples:
  usps-token-broker key add odoo
  usps-token-broker key add magento --slots bearer,payment
  usps-token-broker key list
  usps-token-broker key revoke odoo
next: give id, secret and address to the program; the log says when it takes its first token"""

_SYSTEM_USER: Final = "usps-token-broker"
_SYSTEM_CONFIG: Final = Path("/etc/usps-token-broker")


class _GivenUpError(Exception):
    """Said in words, and ended with a code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `key`."""
    parser.add_argument(
        "action", metavar="ACTION", choices=("add", "list", "revoke"), help="add, list or revoke"
    )
    parser.add_argument(
        "name",
        metavar="KEY",
        nargs="?",
        help="what the key is called, in `list` and in the log; for `add` and `revoke`",
    )
    parser.add_argument(
        "--slots",
        metavar="SLOTS",
        default=BEARER,
        help="which tokens it opens, with commas between them: bearer (the default), payment, "
        "payment-NAME; for `add`",
    )
    parser.add_argument("--app", metavar="NAME", help="of which app, where there are several")
    paths.add_config(parser)
    parser.add_argument("--json", action="store_true", help="the same for programs")
    parser.set_defaults(refuse_usage=parser.error)


def act(options: argparse.Namespace) -> int:
    """Do it and say so."""
    if (options.action == "list") != (options.name is None):
        options.refuse_usage(
            "list takes no KEY" if options.name else f"say which: {options.action} KEY"
        )
    try:
        settings = load(options.config, os.environ, uid=os.getuid())
        _ACTIONS[options.action](options, settings)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return EX_CONFIG
    except key_file.KeyFileError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return EX_NOPERM if error.denied else EX_CANTCREAT
    except _GivenUpError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


def _add(options: argparse.Namespace, settings: Settings) -> None:
    name: str = options.name
    if isinstance(NAME.read(name), Unfit):
        options.refuse_usage(f"KEY is {NAME.expected}")
    app = _app(options, settings)
    slots = _slots(options, app)
    secret = Secret(key_file.new_secret())
    key = LocalKey(
        name, key_file.new_id(), digest_of(secret), app.name, slots, float(int(clock.now().wall))
    )

    def edit(keys: tuple[LocalKey, ...]) -> Iterable[LocalKey]:
        if any(other.name == name for other in keys):
            raise _GivenUpError(
                f"there is a key {name} already; revoke it first (`usps-token-broker key revoke "
                f"{name}`), or choose another name",
                EX_CANTCREAT,
            )
        return (*keys, key)

    _change(settings, edit)
    _show_once(options, settings, key, secret)


def _revoke(options: argparse.Namespace, settings: Settings) -> None:
    def edit(keys: tuple[LocalKey, ...]) -> Iterable[LocalKey]:
        kept = [key for key in keys if key.name != options.name]
        if len(kept) == len(keys):
            names = ", ".join(key.name for key in keys) or "none"
            raise _GivenUpError(f"no key {options.name!r}; there are: {names}", EX_UNAVAILABLE)
        return kept

    _change(settings, edit)
    if options.json:
        print(json.dumps({"revoked": options.name}))  # noqa: T201
    else:
        print(  # noqa: T201
            f"{options.name} revoked: it opens nothing from now on. Tokens that it was handed stay "
            "good until they end (`usps-token-broker renew` and `forget` do not end them at USPS)"
        )


def troubles(settings: Settings) -> Iterator[str]:
    """What keeps the keys of a configuration from opening what they are for. Blocks."""
    slots = {app.name: {slot.name for slot in (app.bearer, *app.payments)} for app in settings.apps}
    try:
        keys = _stored(settings)
    except (key_file.KeyFileError, _GivenUpError) as error:
        yield f"local keys open nothing: {error}"
        return
    if not keys:
        yield "http.tokens is on, and there is no key: usps-token-broker key add NAME"
    for key in keys:
        gone = sorted(set(key.slots) - slots.get(key.app, set()))
        if gone:
            yield (
                f"the key {key.name} is for {', '.join(f'{key.app}/{name}' for name in gone)}, "
                f"which the configuration does not have: usps-token-broker key revoke {key.name}"
            )


def _stored(settings: Settings) -> tuple[LocalKey, ...]:
    path = _path(settings)
    return _keys(path, key_file.read(path, _owner(settings, path)))


def _list(options: argparse.Namespace, settings: Settings) -> None:
    path, keys = _path(settings), _stored(settings)
    if options.json:
        print(json.dumps([_told(key) for key in keys], indent=2))  # noqa: T201
        return
    for key in keys:
        made = datetime.fromtimestamp(key.made_at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"{key.name:<16} {key.id}  {key.app}: {','.join(key.slots)}  made {made}")  # noqa: T201
    if not keys:
        print(f"no keys in {path}")  # noqa: T201


_ACTIONS: Final[dict[str, Callable[[argparse.Namespace, Settings], None]]] = {
    "add": _add,
    "list": _list,
    "revoke": _revoke,
}


def _told(key: LocalKey) -> dict[str, Any]:
    """All but the digest, which nobody has a use for."""
    return {
        "name": key.name,
        "client_id": key.id,
        "app": key.app,
        "slots": list(key.slots),
        "made_at": key.made_at,
    }


def _show_once(
    options: argparse.Namespace, settings: Settings, key: LocalKey, secret: Secret
) -> None:
    """The one place that shows a secret: on standard output, which is whoever made it."""
    if options.json:
        print(json.dumps({**_told(key), "client_secret": secret.reveal()}))  # noqa: T201
    else:
        print(f"client id      {key.id}")  # noqa: T201
        print(f"client secret  {secret.reveal()}")  # noqa: T201
    note = "the secret is shown this once; it is kept nowhere"
    if not settings.http_tokens:
        note += (
            '. It opens nothing yet: write [http] with listen = "127.0.0.1:9842" and tokens = true '
            "into the configuration, and restart the broker"
        )
    else:
        note += f". The address for the program is http://{settings.http}"
    print(note, file=sys.stderr)  # noqa: T201


def _app(options: argparse.Namespace, settings: Settings) -> AppSettings:
    """The app that is named, else the only one, else `default`."""
    names = [app.name for app in settings.apps]
    wanted = options.app or (names[0] if len(names) == 1 else "default")
    for app in settings.apps:
        if app.name == wanted:
            return app
    raise _GivenUpError(f"no app {wanted!r}; --app takes one of {', '.join(names)}", EX_CONFIG)


def _slots(options: argparse.Namespace, app: AppSettings) -> tuple[str, ...]:
    """Those that are named, which must be configured; a payment call takes a bearer."""
    named = tuple(dict.fromkeys(filter(None, re.split(r"[,\s]+", options.slots))))
    there = [slot.name for slot in (app.bearer, *app.payments)]
    unknown = [name for name in named if name not in there]
    if unknown or not named:
        raise _GivenUpError(
            f"app {app.name} has no token {unknown[0]!r}; it has {', '.join(there)}"
            if unknown
            else f"--slots names no token; app {app.name} has {', '.join(there)}",
            EX_CONFIG,
        )
    if BEARER not in named:
        raise _GivenUpError(
            f"a program asks for a payment token with a bearer: --slots {BEARER},{','.join(named)}",
            EX_CONFIG,
        )
    return named


def _change(settings: Settings, edit: Callable[[tuple[LocalKey, ...]], Iterable[LocalKey]]) -> None:
    path = _path(settings)
    key_file.change(
        path, lambda content: encode(edit(_keys(path, content))), _owner(settings, path)
    )


def _keys(path: Path, content: bytes | None) -> tuple[LocalKey, ...]:
    try:
        return () if content is None else decode(content)
    except ValueError as error:
        raise _GivenUpError(
            f"{path}: {error}; take it away, and make keys anew", EX_CANTCREAT
        ) from None


def _path(settings: Settings) -> Path:
    if settings.keys_file is None:
        raise _GivenUpError(
            "keys lie beside a configuration file, and here there is none: write one "
            "(`usps-token-broker install-units` begins one), or name it with --config",
            EX_CONFIG,
        )
    return settings.keys_file


def _owner(settings: Settings, path: Path) -> int:
    """Whom the broker runs as: who has its state directory, else the file, else its usual user."""
    if os.geteuid() != 0:
        return os.geteuid()
    for place in (settings.state_dir, path):
        try:
            return place.lstat().st_uid
        except OSError:
            continue
    if path.parent == _SYSTEM_CONFIG:
        try:
            return pwd.getpwnam(_SYSTEM_USER).pw_uid
        except KeyError:
            pass
    return 0
