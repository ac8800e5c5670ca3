"""The lists of parts that the wheels carry."""

import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("sbom", Path(__file__).with_name("sbom.py"))
sbom = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sbom)


@pytest.mark.parametrize("project", sbom.FILES, ids=lambda path: path.parent.name)
def test_the_committed_list_is_what_the_pins_say(project):
    """Whoever changes a dependency or a pin makes it anew: `python tests/supply/sbom.py`."""
    assert sbom.FILES[project].read_text(encoding="utf-8") == sbom.sbom(project)


@pytest.mark.parametrize("project", sbom.FILES, ids=lambda path: path.parent.name)
def test_every_part_has_hashes_and_is_needed_by_another(project):
    """No part without a hash, none that nothing needs, and nothing needed that is not listed."""
    told = json.loads(sbom.FILES[project].read_text(encoding="utf-8"))
    parts = {part["bom-ref"] for part in told["components"]}
    assert all(part["hashes"] for part in told["components"])
    assert {needed for each in told["dependencies"] for needed in each["dependsOn"]} == parts
    own = told["metadata"]["component"]["bom-ref"]
    assert {each["ref"] for each in told["dependencies"]} == parts | {own}


def test_the_client_has_no_parts():
    """It needs nothing but Python."""
    project = sbom.ROOT / "clients/python/pyproject.toml"
    assert json.loads(sbom.sbom(project))["components"] == []


@pytest.mark.parametrize("project", sbom.FILES, ids=lambda path: path.parent.name)
def test_the_wheel_takes_its_list(project):
    """Its build is told the very file."""
    told = tomllib.loads(project.read_text(encoding="utf-8"))
    files = told["tool"]["hatch"]["build"]["targets"]["wheel"]["sbom-files"]
    assert [project.parent / file for file in files] == [sbom.FILES[project]]
