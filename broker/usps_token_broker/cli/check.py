"""`usps-token-broker check`: would `run` start, and with what?"""

import argparse
import os
import sys
from typing import Final

from usps_token_broker.cli import paths
from usps_token_broker.config import AppSettings, ConfigError, Settings, load
from usps_token_broker.drivers.secret_source import SecretError, read_secret

EX_CONFIG: Final = 78

DESCRIPTION = """\
Read the configuration and the client secret and say what is wrong, with file, key and how to write
it. Nothing is fetched, bound or written. Exit code 0: `run` would start; 78: it would not."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `check`."""
    paths.add_config(parser)


def act(options: argparse.Namespace) -> int:
    """Print the verdict."""
    try:
        settings = load(options.config, os.environ, uid=os.getuid())
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return EX_CONFIG
    problems = [problem for app in settings.apps for problem in _secret_problems(app)]
    for line in [*_lines(settings), *(f"warning: {text}" for text in settings.warnings)]:
        print(line)  # noqa: T201
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201
    if not problems:
        print("ok")  # noqa: T201
    return EX_CONFIG if problems else 0


def _secret_problems(app: AppSettings) -> list[str]:
    try:
        read_secret(app.secret, os.environ, uid=os.getuid())
    except SecretError as error:
        return [f"app {app.name}: {error}"]
    return []


def _lines(settings: Settings) -> list[str]:
    lines = [f"socket     {settings.socket_path}", f"state      {settings.state_dir}"]
    for app in settings.apps:
        lines.append(f"app        {app.name}: {app.client_id} at {app.base_url}")
        for slot in (app.bearer, *app.payments):
            who = [f"uid {uid}" for uid in sorted(slot.users)]
            who += [f"gid {gid}" for gid in sorted(slot.groups)]
            opened = ", ".join(who) if who else "root and the daemon's own user alone"
            required = ", required" if slot.required else ""
            lines.append(f"  {slot.name:<9}for {opened}{required}")
    return lines
