"""The catalogue: every error that anybody can meet has one row, and each row is whole."""

import re

import errors_table
import pytest

from usps_token_broker.catalogue import CATALOGUE, GROUPS, Row, Who, of_accounts, of_tokens
from usps_token_broker.core.outcomes import Code
from usps_token_broker.wire.verdict_rules import VerdictCode
from usps_token_client import _errors, _exits

ROWS = [pytest.param(row, id=row.code) for row in CATALOGUE.values()]
CODE = re.compile(r"[a-z]+(_[a-z]+)*|\d{6}")
CLIENT_CODES = {
    kind.code
    for kind in vars(_errors).values()
    if isinstance(kind, type) and issubclass(kind, _errors.BrokerError)
}
BASES = {"broker_error", "denied"}
"""Codes of base classes, which no error that is raised has."""


def test_no_code_stands_for_two_rows() -> None:
    """A name that means two things names nothing."""
    assert len(CATALOGUE) == sum(map(len, GROUPS.values()))


@pytest.mark.parametrize("row", ROWS)
def test_a_row_says_everything(row: Row) -> None:
    """In phrases that fit a line of a log and end no sentence."""
    assert CODE.fullmatch(row.code)
    for text in (row.symptom, row.cause, row.fix, row.source):
        assert text.strip() == text
        assert 0 < len(text) <= 300
        assert not text.endswith(".")
        assert text.isprintable()


@pytest.mark.parametrize("code", [*Code, *VerdictCode])
def test_every_code_of_the_interface_has_a_row(code: str) -> None:
    """Whoever looks up what a program was told finds it."""
    assert code in CATALOGUE


@pytest.mark.parametrize("code", sorted(CLIENT_CODES - BASES))
def test_every_code_of_the_client_has_a_row(code: str) -> None:
    """The client has no table of its own."""
    assert code in CATALOGUE


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *(
            (code, _errors.ProtocolMismatch)
            for code in ("not_a_broker", "bad_answer", "cut_answer")
        ),
        ("not_installed", _errors.BrokerNotInstalled),
        ("not_running", _errors.BrokerNotRunning),
        ("no_permission", _errors.NoPermission),
        ("unreachable", _errors.BrokerUnreachable),
        ("busy", _errors.BrokerUnreachable),
        ("timed_out", _errors.BrokerTimeout),
    ],
)
def test_a_row_of_the_client_says_its_exit_code(code: str, kind: type[_errors.BrokerError]) -> None:
    """The one with which `usps-token` ends; a script goes by it."""
    assert f"exit code {_exits.of(kind('x', code=code))}" in CATALOGUE[code].symptom


MENDED = [*of_tokens.CREDENTIALS, *of_accounts.ROWS]


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.code) for row in MENDED if row.who in {Who.HOST, Who.ACCOUNT}],
)
def test_who_mends_a_refusal_is_told_what_comes_then(row: Row) -> None:
    """The broker asks a refused token again by itself only after hours, and reads no file anew."""
    assert "`usps-token-broker re" in row.fix


def test_the_readme_has_the_table() -> None:
    """As `python tests/catalogue` makes it."""
    assert errors_table.in_readme() == errors_table.table()
