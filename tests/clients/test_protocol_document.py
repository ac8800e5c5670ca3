"""clients/PROTOCOL.md says what the code does: every name and number in it that code also has."""

import re
from pathlib import Path

import msgspec
import pytest

from usps_token_broker.app import queries
from usps_token_broker.core.commands import Outcome
from usps_token_broker.core.outcomes import Code
from usps_token_broker.drivers.server import Limits
from usps_token_broker.wire import keys
from usps_token_broker.wire.messages import (
    AnswerReport,
    HeadersMessage,
    TokenMessage,
    VerdictMessage,
)
from usps_token_broker.wire.problems import STATUS, Problem
from usps_token_client import _exits, _finding, _http, _obtaining, _settings, _steps
from usps_token_client._checking import problem
from usps_token_client._http import Answer

TEXT = (Path(__file__).parents[2] / "clients" / "PROTOCOL.md").read_text("utf-8")
SECTIONS = dict(part.strip().split("\n", 1) for part in re.split(r"(?m)^## \d+ ", TEXT)[1:])


def words(section):
    """What stands between backticks and quotes there."""
    return set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`]*)`", SECTIONS[section]))))


def refusals():
    """Code, status and exit of each row of the table of refusals."""
    rows = re.findall(r"(?m)^\| (`.*?) \| (\d+) \|.*\| (\d+) \|$", SECTIONS["Refusals"])
    for codes, status, ended in rows:
        for code in re.findall(r"`(\w+)`", codes):
            yield code, int(status), int(ended)


@pytest.mark.parametrize(
    ("message", "section"),
    [
        (TokenMessage, "Tokens and headers"),
        (HeadersMessage, "Tokens and headers"),
        (Problem, "Refusals"),
    ],
)
def test_every_field_is_described(message, section):
    """A new field wants a line."""
    fields = {field.name for field in msgspec.structs.fields(message)}
    assert fields <= words(section)


@pytest.mark.parametrize("message", [AnswerReport, VerdictMessage])
def test_reports_and_verdicts_are_described(message):
    """Every field of either, in the text or in its example."""
    for field in msgspec.structs.fields(message):
        assert re.search(
            rf'[`"]{field.name}[`"]', SECTIONS["When USPS answers 401 (or anything else)"]
        )


def test_every_query_key_is_described():
    """With its default."""
    names = {key for key in queries.Query.__slots__ if key != "slot"}
    assert names <= words("Tokens and headers")
    assert f"| `wait` | {keys.WAIT_SECONDS:g} |" in TEXT
    assert f"at most {keys.WAIT_MOST_SECONDS:g}." in TEXT


def test_every_outcome_is_described():
    """With whether to send the call again."""
    for outcome in Outcome:
        retry = outcome in {Outcome.SUPERSEDED, Outcome.RENEWED}
        assert f"| `{outcome}` | {str(retry).lower()} |" in TEXT


def test_every_code_is_told_with_its_status_and_exit():
    """As the broker sends it, and as the command ends with it."""
    told = {code: (status, ended) for code, status, ended in refusals()}
    assert set(told) == set(Code) - {Code.CONFIG_INVALID}  # of the admin socket alone
    for code, (status, ended) in told.items():
        assert status == STATUS[Code(code)]
        answer = Answer(status, {}, msgspec.json.encode({"code": code}))
        assert ended == _exits.of(problem(answer)), code


def test_limits_are_told():
    """What one client may take of the server."""
    limits = Limits()
    for fact in (
        f"{limits.head_bytes // 1024} KiB of head",
        f"{limits.body_bytes // 1024} KiB of body",
        f"within {limits.head_seconds:g} s",
        f"after {limits.idle_seconds:g} s without one",
        f"{limits.connections_per_uid} connections",
        f"{limits.waiting_per_uid} waiting requests",
    ):
        assert fact in TEXT


def test_the_client_s_numbers_are_told():
    """Where it looks, and how long it takes for what."""
    assert _finding.SYSTEM_SOCKET in TEXT
    assert _finding.VARIABLE in TEXT
    assert f"({_settings.TIMEOUT_SECONDS:g} s in the shipped clients)" in TEXT
    assert f"at its deadline ({_settings.READY_SECONDS:g} s)" in TEXT
    assert f"{_steps.FIRST_PAUSE_SECONDS * 1000:g} ms, doubling to" in TEXT
    assert f"doubling to {_steps.LONGEST_PAUSE_SECONDS:g} s" in TEXT
    assert (_obtaining.RECHECK_SECONDS, "two seconds at most" in TEXT) == (2.0, True)
    assert (_http.MOST_BYTES, "an answer over 1 MiB" in TEXT) == (1 << 20, True)
