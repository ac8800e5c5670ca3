"""What is made of pip-audit's answer."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("audit", Path(__file__).with_name("audit.py"))
audit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(audit)

CLEAN = {"name": "idna", "version": "3.20", "vulns": []}
SKIPPED = {"name": "h11", "skip_reason": "not found"}
FOUND = {"name": "idna", "version": "3.4", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.7"]}]}


def test_a_finding_fails_and_says_where_it_is_mended(capsys):
    assert audit.tell([CLEAN, SKIPPED, FOUND], 3) == 1
    assert capsys.readouterr().out == "idna 3.4: PYSEC-1, mended in 3.7\n"


def test_how_many_were_looked_at_is_told(capsys):
    assert audit.tell([CLEAN, SKIPPED], 2) == 0
    assert capsys.readouterr().out == "none known in 1 of 2 packages\n"


def test_an_index_without_such_data_fails_nothing_and_is_told(capsys):
    assert audit.tell([SKIPPED], 1) == 0
    assert capsys.readouterr().out.startswith("NOT LOOKED AT: the package index")


def test_a_missing_program_fails_nothing_and_is_told(capsys):
    assert audit.main("/nonexistent/pip-audit") == 0
    assert capsys.readouterr().out.startswith("NOT LOOKED AT: pip-audit")
