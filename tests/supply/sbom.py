"""The parts of each distribution as CycloneDX 1.6 JSON; `python tests/supply/sbom.py` writes them.

The wheels carry these files in `.dist-info/sboms/` (PEP 770). They hold no time and no number of
their own, so that the same pins give the same bytes.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
FILES: Final = {
    ROOT / "pyproject.toml": ROOT / "broker" / "usps-token-broker.cdx.json",
    ROOT / "clients/python/pyproject.toml": ROOT / "clients/python/usps-token-client.cdx.json",
}
_PYTHONS: Final = ("3.11", "3.12", "3.13")
_PIN: Final = re.compile(r"([A-Za-z0-9._-]+)==([^ ;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")

Pins = dict[str, tuple[str, list[str]]]


def pins() -> Pins:
    """Version and hashes of every package in constraints.txt, by its canonical name."""
    found: Pins = {}
    for block in re.split(r"\n(?=\S)", (ROOT / "constraints.txt").read_text(encoding="utf-8")):
        pin = _PIN.match(block)
        if pin:
            found[canonicalize_name(pin[1])] = (pin[2], sorted(_HASH.findall(block)))
    return found


def sbom(project: Path) -> str:
    """The whole document for the distribution of this pyproject.toml."""
    about = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    own = _purl(about["name"], about["version"])
    direct = sorted(set(_needed(about["dependencies"])))
    graph = _closure(direct)
    known = pins()
    ref = {name: _purl(name, known[name][0]) for name in graph}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application" if direct else "library",
                "bom-ref": own,
                "name": about["name"],
                "version": about["version"],
                "licenses": [{"license": {"id": about["license"]}}],
                "purl": own,
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": ref[name],
                "name": name,
                "version": known[name][0],
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in known[name][1]],
                "purl": ref[name],
            }
            for name in graph
        ],
        "dependencies": [
            {"ref": own, "dependsOn": [ref[name] for name in direct]},
            *(
                {"ref": ref[name], "dependsOn": [ref[needed] for needed in graph[name]]}
                for name in graph
            ),
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _closure(direct: Iterable[str]) -> dict[str, list[str]]:
    """What each package needs at run time, for all that are reached from these; sorted."""
    graph: dict[str, list[str]] = {}
    left = list(direct)
    while left:
        name = left.pop()
        if name not in graph:
            graph[name] = sorted(set(_needed(requires(name) or ())))
            left += graph[name]
    return dict(sorted(graph.items()))


def _needed(requirements: Iterable[str]) -> Iterator[str]:
    """Those that Linux needs with any Python that we run on, without extras."""
    for text in requirements:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(
            marker.evaluate(
                {
                    "python_version": python,
                    "python_full_version": f"{python}.0",
                    "sys_platform": "linux",
                    "platform_system": "Linux",
                    "os_name": "posix",
                    "extra": "",
                }
            )
            for python in _PYTHONS
        ):
            yield canonicalize_name(requirement.name)


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{canonicalize_name(name)}@{version}"


if __name__ == "__main__":
    for source, target in FILES.items():
        target.parent.mkdir(exist_ok=True)
        target.write_text(sbom(source), encoding="utf-8")
