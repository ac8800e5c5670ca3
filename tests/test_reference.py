"""The README's reference is held against the code, row by row."""

import argparse
import re
from dataclasses import fields
from pathlib import Path

import pytest

from usps_token_broker import cli
from usps_token_broker.config import AppSettings, ConfigError, SlotSettings, http, load
from usps_token_broker.config.environment import VARIABLES
from usps_token_broker.config.limits import UserLimits
from usps_token_broker.wire.operations import OPERATIONS
from usps_token_broker.wire.problems import STATUS
from usps_token_client import _arguments, _exits, _running, _settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXIT_CODE = re.compile(r"^_?EX_[A-Z]+: Final = (\d+)$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")


def table(heading, first_column):
    """The rows of the table below this heading whose first column has this name."""
    section = README.split(f"### {heading}\n", 1)[1].split("\n## ")[0].split("\n### ")[0]
    rows = section.split(f"| {first_column} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def words(cell):
    """What stands in backticks."""
    return CODE.findall(cell)


def known_keys(text, tmp_path):
    """Every key that is taken, as the configuration says it of one that is not."""
    path = tmp_path / "broker.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(path, {}, uid=0)
    told = [p.fix for p in refused.value.problems if p.found == "an unknown one"]
    return [fix.removeprefix("the keys here are ").split(", ") for fix in told]


def test_every_key_is_in_the_reference_and_no_other(tmp_path):
    """What the reader of each table takes, by its own word."""
    text = """
        qqqqqqqq = 1
        [limits]
        qqqqqqqq = 1
        [http]
        qqqqqqqq = 1
        [apps.NAME]
        qqqqqqqq = 1
        [apps.NAME.bearer]
        qqqqqqqq = 1
        [apps.NAME.payments.NAME]
        qqqqqqqq = 1
    """
    by_table = {frozenset(keys): keys for keys in known_keys(text, tmp_path)}
    taken = set()
    for keys in by_table.values():
        if "apps" in keys:
            taken |= {key for key in keys if key not in {"apps", "http", "limits"}}
        elif "streams_per_uid" in keys:
            taken |= {f"limits.{key}" for key in keys}
        elif "listen" in keys:
            taken |= {f"http.{key}" for key in keys}
        elif "base_url" in keys:
            taken |= {f"apps.NAME.{key}" for key in keys if key not in {"bearer", "payments"}}
        elif "roles" in keys:
            taken |= {f"apps.NAME.payments.NAME.{key}" for key in keys}
        else:
            taken |= {f"apps.NAME.bearer.{key}" for key in keys}
    assert {key for row in table("Configuration", "key") for key in words(row[0])} == taken


def test_the_defaults_are_those_of_the_code():
    """Numbers and flags; where a default is a place or a word, the meaning says it."""
    told = {
        key: row[1].strip("`") for row in table("Configuration", "key") for key in words(row[0])
    }
    for field in fields(AppSettings):
        key = f"apps.NAME.{field.name}"
        if isinstance(field.default, int | float) and key in told:
            assert float(told[key]) == field.default, key
    for field in fields(UserLimits):
        assert int(told[f"limits.{field.name}"]) == field.default
    bearer = AppSettings.__dataclass_fields__["bearer"].default_factory()
    assert told["apps.NAME.bearer.required"] == str(bearer.required).lower()
    slot = SlotSettings("payment")
    assert told["apps.NAME.payments.NAME.required"] == str(slot.required).lower()
    kept = '"active"' if slot.keep_active else '"always"'
    assert told["apps.NAME.payments.NAME.keep"] == kept


def test_every_variable_is_in_the_reference():
    """Those that the configuration reads, those of clients, and those that `exec` sets."""
    told = {name for row in table("Configuration", "variable") for name in words(row[0])}
    source = Path(_running.__file__).read_text()
    given = set(re.findall(r'"(USPS_[A-Z_]+)"', source))
    places = {"USPS_TOKEN_SOCKET", "USPS_TOKEN_STATE_DIR", http.VARIABLE}
    assert told == {*VARIABLES, *places, _settings.STATIC_VARIABLE, *given}


def test_every_call_is_in_the_reference_with_its_query():
    """The table that requests are routed by."""
    told = {row[0].strip("`"): words(row[1]) for row in table("Calls", "call")}
    served = {f"{op.method} {op.path}": [key.name for key in op.query] for op in OPERATIONS}
    assert told == served


def test_what_only_the_admin_socket_serves_is_said_so():
    """And of no other call."""
    told = {row[0].strip("`") for row in table("Calls", "call") if "`admin.sock` only" in row[2]}
    assert told == {f"{op.method} {op.path}" for op in OPERATIONS if op.admin}


def test_every_code_is_in_the_reference_with_its_status():
    """One row each."""
    told = {row[0].strip("`"): int(row[1]) for row in table("Codes", "code")}
    assert told == {code.value: status for code, status in STATUS.items()}


def options_of(command):
    """The long options of a daemon command, by its parser."""
    parser = cli.make_parser(command)
    [commands] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    actions = commands.choices[command]._actions
    return {o for a in actions for o in a.option_strings if o.startswith("--")} - {"--help"}


def test_every_command_is_in_the_reference_with_its_options():
    """Of the daemon and of the client."""
    told = {row[0].strip("`"): set(words(row[1])) for row in table("Commands", "command")}
    there = {f"usps-token-broker {name}": options_of(name) for name in cli._COMMANDS}
    there |= {f"usps-token {name}": set(o) for name, o in _arguments.COMMANDS.items()}
    assert told == there


def exit_codes():
    """Every exit code that is named in the code."""
    found = {
        value for name, value in vars(_exits).items() if name.isupper() and value in range(256)
    }
    for path in (ROOT / "broker/usps_token_broker").rglob("*.py"):
        found |= {
            int(n)
            for n in re.findall(r"^_?EX_[A-Z]+: Final = (\d+)$", path.read_text(), re.MULTILINE)
        }
    return found


def test_every_exit_code_is_in_the_reference():
    """And none that nothing ends with."""
    told = {int(n) for row in table("Exit codes", "code") for n in row[0].split(", ")}
    assert told == exit_codes() | {0}
