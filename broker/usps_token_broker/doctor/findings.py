"""What a check has found, as values."""

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from usps_token_broker.catalogue import Who, row

EX_TEMPFAIL: Final = 75
EX_CONFIG: Final = 78


class Verdict(enum.StrEnum):
    """How something stands."""

    PASS = "pass"  # noqa: S105 - a word of a verdict
    WARN = "warn"
    FAIL = "fail"
    UNSEEN = "not looked at"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. It holds no secret."""

    check: str
    """Of which group it is, one word or two."""
    verdict: Verdict
    saw: str
    """What was seen; of what was not looked at, why."""
    code: str = ""
    """Its row of the catalogue; empty where nothing is wrong."""
    fix: str = ""


def passed(check: str, saw: str) -> Finding:
    """All is well with it."""
    return Finding(check, Verdict.PASS, saw)


def unseen(check: str, why: str, fix: str = "") -> Finding:
    """Nobody looked, and why."""
    return Finding(check, Verdict.UNSEEN, why, fix=fix)


def warned(check: str, code: str, saw: str, fix: str = "") -> Finding:
    """It works, and may not for long, or not as it is meant. Raises KeyError for no known row."""
    return Finding(check, Verdict.WARN, saw, code, fix or row(code).fix)


def failed(check: str, code: str, saw: str, fix: str = "") -> Finding:
    """It does not work; the fix is that of the row unless one fits better. Raises KeyError."""
    return Finding(check, Verdict.FAIL, saw, code, fix or row(code).fix)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when nothing fails; 78 when a person must act; 75 when all that fails passes by itself."""
    failures = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    if not failures:
        return 0
    passing = all(row(finding.code).who is Who.NOBODY for finding in failures)
    return EX_TEMPFAIL if passing else EX_CONFIG
