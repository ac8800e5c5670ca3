"""SECURITY.md says nothing that no test shows."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
ATTACKERS = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)[:-1]
"""All sections but the last, which says what is not defended against."""


@pytest.mark.parametrize(("file", "test"), NAMED, ids=lambda part: part)
def test_each_test_that_it_names_is_there(file, test):
    """By its file and its name."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert test in {node.name for node in tree.body if isinstance(node, functions)}


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_each_claim_about_an_attacker_ends_with_its_test(attacker):
    """Every item of every section."""
    section = PAGE.split(f"## {attacker}\n", 1)[1].split("\n## ", 1)[0]
    items = re.findall(r"^- .+$", section, re.MULTILINE)
    assert items
    for item in items:
        assert re.search(r"`tests/[\w/]+\.py::\w+`", item), item
